"""Several processes that listen: whose a meter is that dials in, who works its commands, in their order, and what a dead or a stubborn process costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest
from engines import Opened
from nats_engine import by_nats
from nats_server import Broker
from patience import PATIENCE_S
from postgresql_server import Cluster
from stored_values import NOW, a_request, some_commands

from ami_hes.commands import Lane
from ami_hes.engine import Delivery
from ami_hes.engine.nats_engine import FrontAlone, Listener
from ami_hes.engine.nats_link import NatsAddress
from ami_hes.engine.partitions import DIALLED_IN
from ami_hes.store import Database, NotOwned, SqlDialledIn, SqlResults
from ami_process.store.postgresql import Server

pytestmark = [pytest.mark.needs("nats"), pytest.mark.needs("postgresql")]


@dataclass
class Here:
    """The Connections port with connections of no meter."""

    meters: set[str] = field(default_factory=set)
    gone: list[str] = field(default_factory=list)

    def has(self, mrid: str) -> bool:
        return mrid in self.meters

    def let_go(self, mrid: str) -> None:
        self.meters.discard(mrid)
        self.gone.append(mrid)

    def forget_counters(self, mrid: str) -> None:
        pass

    def close_all(self) -> None:
        self.meters.clear()


@dataclass
class Process:
    """A process that listens."""

    opened: Opened
    here: Here

    async def dials_in(self, mrid: str) -> None:
        assert await self.opened.engine.claims.claim(mrid, proved=True)
        self.here.meters.add(mrid)
        self.opened.engine.claims.arrived(mrid)

    async def take(self) -> Delivery[object]:
        async with asyncio.timeout(PATIENCE_S):
            (delivery,) = await self.opened.engine.commands.take(Lane, 1)
        return delivery

    @property
    def is_keeper(self) -> bool:
        return DIALLED_IN in self.opened.engine.commands.owned  # type: ignore[attr-defined]


@dataclass
class Site:
    server: Server
    address: NatsAddress

    @asynccontextmanager
    async def listener(self) -> AsyncIterator[Process]:
        here = Here()
        async with by_nats(self.server, self.address, role=Listener, connections=here) as opened:
            yield Process(opened, here)

    @asynccontextmanager
    async def front(self) -> AsyncIterator[Opened]:
        async with by_nats(self.server, self.address, role=FrontAlone, connections=Here()) as opened:
            yield opened


@pytest.fixture
def site(postgresql: Cluster, nats: Broker) -> Iterator[Site]:
    yield Site(postgresql.new_place(), NatsAddress((nats.server,), nats.new_system()))


async def accepted(front: Opened, request_id: str, *meters: str) -> None:
    jobs = some_commands(request_id, *meters)
    await front.results.accept(a_request(request_id), jobs)
    await front.engine.commands.put(jobs)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


def named(delivery: Delivery[object]) -> str:
    return delivery.job.request_id  # type: ignore[attr-defined,no-any-return]


async def test_of_a_meter_that_has_gone_elsewhere_no_attempt_is_kept_and_of_others_they_are(
    postgresql: Cluster,
) -> None:
    place = postgresql.new_place()
    async with Database(place) as first, Database(place) as second:
        one, other = SqlDialledIn(first), SqlDialledIn(second)
        here, there = SqlResults(first, shared=True), SqlResults(second, shared=True)
        await here.accept(a_request("r1"), some_commands("r1", "M1", "M2"))
        with pytest.raises(NotOwned):
            await one.claim("m1")
        numbers = await one.take_number(), await other.take_number()
        assert len(set(numbers)) == 2
        assert [await one.claim("m1"), await one.claim("m2"), await one.claim("m1")] == [None, None, None]
        assert await other.claim("m1") == numbers[0]
        refused, kept = await asyncio.gather(
            here.attempt("r1", "M1", NOW, "m1"), here.attempt("r1", "M2", NOW, "m2"), return_exceptions=True
        )
        assert isinstance(refused, NotOwned)
        assert kept is None
        await there.attempt("r1", "M1", NOW, "m1")
        assert await one.holder("m1") == numbers[1]
    async with Database(place) as third:
        assert await SqlDialledIn(third).take_number() == numbers[0]
        assert await SqlDialledIn(third).claimed() == {"m1"}, "what a dead process had is nobody's"


async def test_what_waits_for_a_meter_is_worked_where_it_dials_in_and_in_its_order(site: Site) -> None:
    async with site.front() as front, site.listener() as keeper, site.listener() as other:
        assert (keeper.is_keeper, other.is_keeper) == (True, False)
        for name in ("r1", "r2", "r3"):
            await accepted(front, name, "M1")
        await other.dials_in("m1")
        for name in ("r1", "r2", "r3"):
            delivery = await other.take()
            assert named(delivery) == name
            await delivery.done()
        async with asyncio.timeout(PATIENCE_S):
            while await front.engine.commands.pending(Lane.CONTROL):
                await asyncio.sleep(0.01)
        await keeper.dials_in("m2")
        await accepted(front, "r4", "M2")
        assert named(await keeper.take()) == "r4"


async def test_a_meter_that_dials_in_elsewhere_is_had_there_when_nothing_of_it_is_in_hand_any_more(site: Site) -> None:
    async with site.front() as front, site.listener() as first, site.listener() as second:
        await first.dials_in("m1")
        for name in ("r1", "r2"):
            await accepted(front, name, "M1")
        in_hand = await first.take()
        moving = asyncio.create_task(second.dials_in("m1"))
        await until(lambda: first.here.gone == ["m1"] * len(first.here.gone) and bool(first.here.gone))
        assert not moving.done()
        await in_hand.done()
        await moving
        assert named(await second.take()) == "r2", "the first one was done"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await first.opened.engine.commands.take(Lane, 1)


async def test_what_is_not_done_where_the_meter_was_comes_again_where_it_is(site: Site) -> None:
    async with site.front() as front, site.listener() as first, site.listener() as second:
        await first.dials_in("m1")
        await accepted(front, "r1", "M1")
        in_hand = await first.take()
        moving = asyncio.create_task(second.dials_in("m1"))
        await until(lambda: bool(first.here.gone))
        await in_hand.again(0.0)
        await moving
        delivery = await second.take()
        assert (named(delivery), delivery.redelivered) == ("r1", True)


async def test_when_the_keeper_dies_another_one_hands_what_waits(site: Site) -> None:
    async with site.front() as front, AsyncExitStack() as life:
        dead = await life.enter_async_context(site.listener())
        async with site.listener() as left:
            assert (dead.is_keeper, left.is_keeper) == (True, False)
            await accepted(front, "r1", "M1", "M2")
            await life.aclose()
            await until(lambda: left.is_keeper)
            await left.dials_in("m2")
            assert (await left.take()).job.subject == "M2"  # type: ignore[attr-defined]


async def test_who_does_not_prove_itself_takes_no_meter_from_who_has_it(site: Site) -> None:
    async with site.listener() as first, site.listener() as second:
        await first.dials_in("m1")
        claims = second.opened.engine.claims
        assert not await claims.claim("m1", proved=False)
        assert not await claims.is_ours("m1")
        first.here.meters.clear()
        assert await claims.claim("m1", proved=False), "nobody has it"
        assert first.here.gone == ["m1"]

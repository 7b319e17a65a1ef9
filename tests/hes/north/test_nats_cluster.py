"""Three servers of NATS that keep each stream together: one of them is killed, whichever it is, and the dispatch goes on with what it had."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

import pytest
from nats.errors import Error
from nats_server import Broker, brokers
from patience import PATIENCE_S
from reported import Reported
from stored_values import some_commands

from ami_hes.commands import Lane
from ami_hes.engine.nats_link import NatsAddress, NatsLink, acknowledge, patiently, read
from ami_hes.engine.partitions import ALL

pytestmark = [pytest.mark.needs("nats"), pytest.mark.ci]
METERS = ("M1", "M2", "M3")


async def leader(link: NatsLink) -> str:
    """Of the three, once all of them have what there is."""
    while True:
        with suppress(Error, TimeoutError):
            info = await link._js.stream_info(link._stream(Lane.CONTROL))
            assert info.config.num_replicas == 3
            among = info.cluster
            if among is not None and among.leader and [one.current for one in among.replicas or ()] == [True, True]:
                return among.leader
        await asyncio.sleep(0.05)


async def test_what_three_servers_keep_survives_the_one_that_leads() -> None:
    with brokers(3) as servers:
        few = NatsAddress(tuple(one.server for one in servers), "t")
        wanted = NatsAddress(few.servers, few.system, replicas=3)
        async with asyncio.timeout(PATIENCE_S):
            await patiently(partial(made, few))
            async with NatsLink.opened(wanted, Reported()) as link:
                await patiently(lambda: link.publish([(1, job) for job in some_commands("r1", *METERS)], again=True))
                end(servers, await leader(link))
                await patiently(lambda: link.publish([(2, job) for job in some_commands("r2", *METERS)], again=True))
                assert await patiently(lambda: link.waiting(Lane.CONTROL)) == 2 * len(METERS)
                await patiently(lambda: link.subscribe(ALL))
                assert await arrived(link, 2 * len(METERS)) == {(r, m) for r in ("r1", "r2") for m in METERS}


async def made(address: NatsAddress) -> None:
    """Streams of one replica, as a system had them before it was given more servers."""
    async with NatsLink.opened(address, Reported()):
        pass


def end(servers: list[Broker], name: str) -> None:
    servers[int(name.removeprefix("n"))].stop()


async def arrived(link: NatsLink, number: int) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    while len(found) < number:
        message = await link.arriving.get()
        one = read(message)
        assert one is not None
        found.add(one.key)
        await acknowledge(message)
    return found

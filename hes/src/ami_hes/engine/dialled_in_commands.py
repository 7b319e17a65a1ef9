"""Commands for meters that dial in, among processes that listen: one of them keeps what waits, and whoever has a meter's connection works it.

All these commands are one partition (DIALLED_IN). Its owner, the keeper, is sent them and acknowledges them when they are done. It hands
the names of what waits for a meter to the process that has its connection: always all of them, in their order, so that a word which is lost
costs time and no order. What waits for a meter that is connected nowhere stays with the keeper, takes up nobody's room, and is handed
when the meter has come; at its deadline the keeper ends it. What is handed says nothing of a command but its name: it is loaded from the store.
"""

import json
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from ami_hes.commands import CommandJob
from ami_hes.engine.dialled_in_port import Connections, NoConnections
from ami_hes.engine.memory_commands import MemoryCommands
from ami_hes.engine.nats_link import NatsLink, acknowledge, patiently
from ami_hes.engine.partitions import DIALLED_IN
from ami_hes.store import DialledIn, StoredCommand, StoreUnavailable
from ami_process.environment import real_sleep, real_time

if TYPE_CHECKING:
    from nats.aio.msg import Msg

Key = tuple[str, str]
Load = Callable[[Collection[Key]], Awaitable[Mapping[Key, StoredCommand]]]
WORK, HERE, DONE = "dialled-in.work", "dialled-in.here", "dialled-in.done"
"""What is said: names of commands by meter; meters that have come; names of commands that are done."""
LOOK_EVERY_S = 1.0
"""How often the keeper looks for what is late."""
GRACE_S = 5.0
"""So long behind its deadline a command is left to who may have its meter: that one has ended it by then and said so."""
HAND_AGAIN_S, ASK_STORE_S = 10.0, 60.0
"""How often what waits for meters that somebody has is handed once more, and what waits is looked up in the store: in case a word was lost."""
AT_ONCE, OF_A_METER = 200, 100
"""Meters that are named together, and commands of each; the others are named when some of these are done."""
LONGEST_WORD = 1_000_000


@dataclass(frozen=True, slots=True)
class DialledInMeters:
    """What the commands for meters that dial in need to know."""

    store: DialledIn
    meter_of: Callable[[CommandJob], str]
    """The meter (`mrid_key`) that has to dial in for this command; empty for one that waits for none."""
    seconds_until_deadline: Callable[[CommandJob], float]
    connections: Connections = field(default_factory=NoConnections)


@dataclass(slots=True)
class _Waiting:
    """A command that is not done, at its keeper."""

    job: CommandJob
    again: bool
    """Whether a process may have had it in hand."""
    messages: list["Msg"]
    since: float
    ending: bool = False
    """Whether this process ends it itself."""


class DialledInCommands:
    """Both sides: what this process keeps, if it is the keeper, and what it works of meters that it has."""

    def __init__(
        self, link: NatsLink, memory: MemoryCommands, load: Load, meters: DialledInMeters, places: dict[Key, int]
    ) -> None:
        """`places`: where what is in memory came from."""
        self._link = link
        self._memory = memory
        self._load = load
        self._meters = meters
        self._places = places
        self._waiting: dict[str, dict[Key, _Waiting]] = {}
        """Of the keeper, by meter, in their order."""
        self._meter_of: dict[Key, str] = {}
        """Of the same."""
        self._here: dict[str, dict[Key, None]] = {}
        """By meter, what of it is in memory."""
        self._at: dict[Key, str] = {}

    # --- the keeper

    async def came(self, arrived: Sequence[tuple["Msg", StoredCommand, bool]]) -> None:
        """These are not done; the last value: whether somebody may have had them in hand."""
        meters: dict[str, None] = {}
        for message, command, again in arrived:
            meter, key = self._meters.meter_of(command.job), _key(command.job)
            known = self._waiting.setdefault(meter, {}).get(key)
            if known is not None:
                known.messages.append(message)
                continue
            again = again or command.attempted or command.result is not None
            one = _Waiting(command.job, again, [message], real_time())
            self._waiting[meter][key], self._meter_of[key] = one, meter
            if not meter or command.result is not None:
                await self._end_here(one)
            meters[meter] = None
        meters.pop("", None)
        await self._hand(meters)

    def waiting(self) -> Iterable[CommandJob]:
        """What this process keeps and does not work itself."""
        return (one.job for kept in self._waiting.values() for key, one in kept.items() if key not in self._at)

    def clear(self) -> None:
        """This process is the keeper no more."""
        self._waiting.clear()
        self._meter_of.clear()

    async def keep_on(self) -> None:
        """Until cancelled: end what is late, and make up for words that were lost."""
        handed = asked = real_time()
        while True:
            await real_sleep(LOOK_EVERY_S)
            with suppress(StoreUnavailable):
                await self._end_late()
                if real_time() - handed >= HAND_AGAIN_S and self._waiting:
                    handed = real_time()
                    claimed = await self._meters.store.claimed()
                    await self._hand([meter for meter in self._waiting if meter in claimed])
                if real_time() - asked >= ASK_STORE_S:
                    asked = real_time()
                    await self._ask_store(asked - ASK_STORE_S)

    async def _hand(self, meters: Iterable[str]) -> None:
        """What waits for these, to whoever has them."""
        elsewhere: dict[str, list[tuple[str, str, bool]]] = {}
        for meter in meters:
            kept = self._waiting.get(meter, {})
            if self._meters.connections.has(meter):
                for one in list(kept.values()):
                    await self._put(one.job, meter, again=one.again)
                    one.again = True
            elif kept:
                elsewhere[meter] = [(*key, one.again) for key, one in islice(kept.items(), OF_A_METER)]
                for one in islice(kept.values(), OF_A_METER):
                    one.again = True
            if len(elsewhere) == AT_ONCE:
                await self._link.say(WORK, json.dumps(elsewhere).encode())
                elsewhere = {}
        if elsewhere:
            await self._link.say(WORK, json.dumps(elsewhere).encode())

    async def _end_late(self) -> None:
        for meter, kept in list(self._waiting.items()):
            for key, one in list(kept.items()):
                late_s = -self._meters.seconds_until_deadline(one.job)
                if late_s < 0 or one.ending or key in self._at:
                    continue
                if late_s >= GRACE_S or await self._meters.store.holder(meter) is None:
                    await self._end_here(one)

    async def _end_here(self, one: _Waiting) -> None:
        """Whoever takes it finds that it is late, that nothing is there to wait for, or what came of it."""
        one.ending = True
        await self._put(one.job, self._meter_of[_key(one.job)], again=True)

    async def _ask_store(self, before: float) -> None:
        """What is done without a word of it, or forgotten, is not kept any longer."""
        old = [key for kept in self._waiting.values() for key, one in kept.items() if one.since < before]
        for first in range(0, len(old), 500):
            some = [key for key in old[first : first + 500] if key not in self._at]
            found = await self._load(some) if some else {}
            for key in some:
                one = self._waiting.get(self._meter_of.get(key, ""), {}).get(key)
                if one is not None and key not in found:
                    await self._done(key)
                elif one is not None and found[key].result is not None:
                    await self._end_here(one)

    async def _done(self, key: Key) -> None:
        meter = self._meter_of.pop(key, None)
        if meter is None:
            return
        kept = self._waiting[meter]
        had_more = len(kept) > OF_A_METER
        for message in kept.pop(key).messages:
            await acknowledge(message)
        if not kept:
            del self._waiting[meter]
        elif had_more:
            await self._hand([meter])

    # --- who has the meter

    async def open(self) -> None:
        """From now on what others say is heard."""
        await self._link.listen(HERE, self._heard_here)
        await self._link.listen(DONE, self._heard_done)
        await self._link.listen(WORK, self._heard_work)

    async def arrived(self, meter: str) -> None:
        """A connection of this meter is here: whatever waits for it may come."""
        if meter in self._waiting:
            await self._hand([meter])
        else:
            await self._link.say(HERE, json.dumps([meter]).encode())

    def drop(self, meter: str) -> None:
        """What waits here for this meter waits at the keeper alone from now on."""
        theirs = [key for key in self._here.get(meter, ()) if not self._ends(key)]
        self._memory.drop_these(theirs)
        for key in theirs:
            if not self._memory.knows(key):
                self.forget(key)

    def is_in_hand(self, meter: str) -> bool:
        """Whether anything of it is worked here still."""
        return any(not self._ends(key) for key in self._here.get(meter, ()))

    def is_lost(self, key: Key) -> bool:
        """Whether it is a command of a meter that is not here any more."""
        meter = self._at.get(key)
        return bool(meter) and not self._ends(key) and not self._meters.connections.has(str(meter))

    async def finished(self, key: Key) -> None:
        """It is done, wherever its keeper is."""
        self.forget(key)
        if key in self._meter_of:
            await self._done(key)
        else:
            await self._link.say(DONE, json.dumps([key]).encode())

    def forget(self, key: Key) -> None:
        """It is in memory no more."""
        self._places.pop(key, None)
        meter = self._at.pop(key, None)
        if meter is not None and meter in self._here:
            self._here[meter].pop(key, None)
            if not self._here[meter]:
                del self._here[meter]

    def _ends(self, key: Key) -> bool:
        one = self._waiting.get(self._meter_of.get(key, ""), {}).get(key)
        return one is not None and one.ending

    async def _put(self, job: CommandJob, meter: str, *, again: bool) -> None:
        key = _key(job)
        if key not in self._places:
            self._places[key], self._at[key] = DIALLED_IN, meter
            self._here.setdefault(meter, {})[key] = None
            await self._memory.put([job], again=again)

    async def _heard_work(self, said: bytes) -> None:
        names = {
            (request, name): again
            for meter, commands in _read(said, dict)
            if self._meters.connections.has(str(meter))
            for request, name, again in _names(commands, 3)
            if (request, name) not in self._places
        }
        if not names:
            return
        found = await patiently(lambda: self._load(names.keys()))
        for key, again in names.items():
            command = found.get(key)
            if command is not None and command.result is None:
                meter = self._meters.meter_of(command.job)
                if meter and self._meters.connections.has(meter):
                    await self._put(command.job, meter, again=bool(again) or command.attempted)

    async def _heard_here(self, said: bytes) -> None:
        await self._hand([str(meter) for meter in _read(said, list) if meter in self._waiting])

    async def _heard_done(self, said: bytes) -> None:
        for key in _names(_read(said, list), 2):
            await self._done((key[0], key[1]))


def _key(job: CommandJob) -> Key:
    return job.request_id, job.subject


def _read(said: bytes, kind: type[dict] | type[list]) -> list:  # type: ignore[type-arg]
    """What somebody has said, who may be anybody that reaches the server; items of a dictionary."""
    with suppress(ValueError, RecursionError):
        found = json.loads(said[:LONGEST_WORD])
        if isinstance(found, kind):
            return list(found.items()) if isinstance(found, dict) else list(found)
    return []


def _names(listed: object, length: int) -> list[list]:  # type: ignore[type-arg]
    if not isinstance(listed, list):
        return []
    return [one for one in listed if isinstance(one, list) and len(one) == length and all(map(_is_plain, one))]


def _is_plain(value: object) -> bool:
    return isinstance(value, (str, bool))

"""Which meters that dial in are this process's: the Claims port of one process among several that listen.

Who proves itself over a new connection is the meter, wherever it was before: the newer connection wins. The claim is committed first, so that from
then on no attempt of the process that had it is (`Results.attempt`); then that one is asked to let the meter go, and says so when
nothing of it is in hand there any more. One that is dead answers nothing, which shows at once; one that is cut off is waited
for a while, and the fence is left. So the next command begins here only when the last one has ended there.
"""

import json
from contextlib import suppress

from ami_hes.engine.dialled_in_commands import DialledInCommands, DialledInMeters
from ami_hes.engine.nats_link import EngineUnavailable, NatsLink
from ami_hes.store import NotOwned, StoreUnavailable
from ami_process.environment import real_sleep, real_time

LET_GO_S = 10.0
"""How long a process that has a meter in hand is waited for."""
ASKED_S, ANSWERED_S = 1.0, 0.7
"""How long one question waits for its answer, and after which time one says that it is not over yet."""
LOOK_S = 0.02
LET_GO, HAS = "let_go", "has"
YES, NO = b"yes", b"no"


class Holding:
    """The Claims port."""

    def __init__(self, link: NatsLink, meters: DialledInMeters, commands: DialledInCommands) -> None:
        self._link = link
        self._store = meters.store
        self._connections = meters.connections
        self._commands = commands
        self._number: int | None = None

    async def open(self) -> None:
        """To be done before the first meter dials in. Raises StoreUnavailable."""
        await self._take_number()

    async def look(self) -> None:
        """Go on with what this process had when the store has a new connection; where somebody else has its number its meters have to dial in again. Raises StoreUnavailable."""
        if await self._store.number() is not None:
            return
        before = self._number
        await self._take_number()
        if before != self._number:
            self._connections.close_all()

    async def claim(self, mrid: str, *, proved: bool) -> bool:
        try:
            if not proved and await self._is_elsewhere(mrid):
                return False
            before = await self._store.claim(mrid)
            if before is None:
                return True
            await self._have_let_go(before, mrid)
            return await self._store.holder(mrid) == self._number  # it may have gone on meanwhile
        except NotOwned:
            raise StoreUnavailable("the connection to the store was lost a moment ago") from None

    async def is_ours(self, mrid: str) -> bool:
        return await self._store.holder(mrid) == self._number

    def arrived(self, mrid: str) -> None:
        self._link.begin(self._commands.arrived(mrid))

    def left(self, mrid: str) -> None:
        self._commands.drop(mrid)

    async def _take_number(self) -> None:
        number = await self._store.take_number(self._number)
        if number != self._number:
            self._number = number
            await self._link.answer(_name(number), self._asked)

    async def _is_elsewhere(self, mrid: str) -> bool:
        """Whether another process has a connection of this meter now; it goes on above the counters that were used here."""
        holder = await self._store.holder(mrid)
        if holder is None or holder == self._number:
            return False
        return await self._ask(holder, HAS, mrid) == YES

    async def _have_let_go(self, holder: int, mrid: str) -> None:
        until = real_time() + LET_GO_S
        while real_time() < until:
            with suppress(EngineUnavailable):
                if await self._ask(holder, LET_GO, mrid) in (None, YES):
                    return
            await real_sleep(LOOK_S)

    async def _ask(self, holder: int, what: str, mrid: str) -> bytes | None:
        return await self._link.ask(_name(holder), json.dumps([what, mrid]).encode(), ASKED_S)

    async def _asked(self, said: bytes) -> bytes:
        try:
            what, mrid = json.loads(said)
        except (ValueError, TypeError):
            return NO
        if what == HAS:
            self._connections.forget_counters(str(mrid))
            return YES if self._connections.has(str(mrid)) else NO
        return YES if what == LET_GO and await self._let_go(str(mrid)) else NO

    async def _let_go(self, mrid: str) -> bool:
        """Whether nothing of it is in hand here, or it is this process's again."""
        try:
            if await self._store.holder(mrid) == self._number:
                return True
        except StoreUnavailable:
            return False
        self._connections.let_go(mrid)
        self._commands.drop(mrid)
        until = real_time() + ANSWERED_S
        while self._commands.is_in_hand(mrid) and real_time() < until:
            await real_sleep(LOOK_S)
            self._commands.drop(mrid)
        return not self._commands.is_in_hand(mrid)


def _name(number: int) -> str:
    return f"listener.{number}"

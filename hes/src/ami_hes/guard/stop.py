"""The stop of all controls: what an operator says, and what is asked before anything that changes a meter leaves for it.

The truth is in the store: whoever begins an attempt asks it in the transaction of the attempt (`Results.attempt`), on every worker.
What has begun already is asked before each further step, from memory that is refreshed from the store every second.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from ami_hes.askers import Asker
from ami_hes.commands import Outcome
from ami_hes.meters import MeterFault
from ami_hes.operations import Assignment
from ami_hes.served import OPERATIONS, failed
from ami_hes.store import GuardStore, Stop, StoreUnavailable
from ami_process.environment import Environment, real_sleep

LOOK_EVERY_S = 1.0
MOST_REASON = 200

Run = Callable[[Assignment], Awaitable[Outcome]]


@dataclass(slots=True)
class ControlStop:
    """Stops controls and resumes them."""

    store: GuardStore
    environment: Environment
    _known: Stop | None = None
    _owed: tuple[Stop, Asker] | None = None
    """A stop that the store has not taken yet."""

    @property
    def now(self) -> Stop | None:
        """The stop in force, as far as this process knows."""
        return self._known if self._known is not None and self._known.stopped else None

    async def look(self) -> Stop | None:
        """The stop in force, by the store. Raises StoreUnavailable."""
        while self._owed is not None:
            owed = stop, asker = self._owed
            await self.store.say_stop(stop, asker.by)
            if self._owed is owed:
                self._owed = None
        known = await self.store.stopped()
        if self._owed is None:  # else it was said here while the store was asked
            self._known = known
        return self.now

    async def say(self, asker: Asker, reason: str, *, stopped: bool) -> bool:
        """Stop controls or resume them; False where it was so already.

        Raises StoreUnavailable: a stop is in force in this process all the same, and kept as soon as the store takes it.
        """
        stop = Stop(stopped, asker.name, self.environment.now(), reason[:MOST_REASON])
        if stopped and self.now is None:
            self._known, self._owed = stop, (stop, asker)
            await self.look()
            return True
        await self.look()  # a stop that the store has not taken yet comes before what is said now
        changed = await self.store.say_stop(stop, asker.by)
        await self.look()
        return changed

    def check(self) -> None:
        """Raises MeterFault while controls are stopped."""
        if (stop := self.now) is not None:
            raise fault_of(stop)

    def guarded(self, run: Run) -> Run:
        """The same, but while controls are stopped no command is begun that may change a meter, and no meter is called for it."""

        async def guarded(assignment: Assignment) -> Outcome:
            operation = OPERATIONS.get(assignment.command.operation)
            stop = self.now
            if stop is None or assignment.attempt.begun or (operation is not None and not operation.acts):
                return await run(assignment)
            return failed(assignment.command, assignment.attempt, "control", "stopped", detail=stop.said)

        return guarded

    async def work(self) -> None:
        """Until cancelled: what another process has said is known here soon."""
        while True:
            with suppress(StoreUnavailable):
                await self.look()
            await real_sleep(LOOK_EVERY_S)


def fault_of(stop: Stop) -> MeterFault:
    """What becomes of a command that must not leave."""
    return MeterFault("control", "stopped", detail=stop.said)

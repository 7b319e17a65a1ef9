"""A command in the hands of its recipe, and the one place that knows whether it may have reached its meter."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ami_hes.commands import Command
from ami_hes.meters.registry import Meter


def _nothing_against() -> None:
    """It may leave."""


class Attempt:
    """Whether what changes the meter may have left for it, in this life of the process or an earlier one.

    The only place that knows: every reason that is given asks here (docs/mapping.md, M-021). `keep` commits to the store
    that it is about to leave. `check` is asked before each further step of what has begun: it raises where no more may leave.
    `each_time`: so does `keep`, where the meter may be another process's by now.
    """

    def __init__(
        self,
        keep: Callable[[], Awaitable[None]],
        *,
        begun: bool,
        check: Callable[[], None] = _nothing_against,
        each_time: bool = False,
    ) -> None:
        self._keep = keep
        self._begun = begun
        self._check = check
        self._each_time = each_time

    @property
    def begun(self) -> bool:
        return self._begun

    async def begin(self) -> None:
        """To be done right before each first octet of an ACTION or SET leaves; what it raises means that it must not leave."""
        self._check()
        if not self._begun or self._each_time:
            await self._keep()
            self._begun = True


def _nobody_waits() -> None:
    pass


def _is_not() -> bool:
    """Nobody has cancelled it."""
    return False


@dataclass(frozen=True, slots=True)
class Assignment:
    """One command for the meter that its mRID names by now; everything has to end by `until` (of `real_time`)."""

    meter: Meter
    command: Command
    attempt: Attempt
    until: float
    meterless: bool = False
    """Whether the meter is not to be touched, since it is not this command's turn there."""
    session_over: Callable[[], None] = _nobody_waits
    """To be called when nothing more is asked of the meter: another command may have its place while this one keeps what it read."""
    is_cancelled: Callable[[], bool] = _is_not
    """Whether it was cancelled by now, after something may have left: what can be taken back is, and nothing new is begun."""


class HeldBack(Exception):
    """A command that is not to be worked now; nothing of it was done, and it stays open in the store until somebody puts it again."""


class MeterNeeded(Exception):
    """A command that was to be done without its meter needs it; nothing of it was done."""

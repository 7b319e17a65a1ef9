"""The clock of a system: that of head-end and meters together, which stands still until a test moves it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ami_testkit.errors import KitError
from ami_testkit.rest import Rest

PATH = "/api/v1/clock"
STEP = timedelta(minutes=15)


class Clock:
    """Meters are moved first, so that nobody is asked for what is not there yet."""

    def __init__(self, processes: list[Rest], start: datetime | None) -> None:
        self._processes = processes
        self._now = start

    @property
    def virtual(self) -> bool:
        """Whether it is moved by hand."""
        return self._now is not None

    @property
    def now(self) -> datetime:
        """What time it is in the system, UTC."""
        return datetime.now(UTC) if self._now is None else self._now

    def advance(
        self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0, step: timedelta = STEP
    ) -> datetime:
        """Let so much time pass, `step` by step; what is due on the way happens at its time. The new time."""
        span = timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days)
        return self.move_to(self.now + span, step=step)

    def move_to(self, moment: datetime, *, step: timedelta = STEP) -> datetime:
        """The same up to a moment. Raises KitError for the past, and for a clock that moves by itself."""
        if self._now is None:
            raise KitError('this clock is real and moves by itself: ami(clock="virtual")')
        if moment < self._now:
            raise KitError(f"it is {self._now.isoformat()}, and the clock never goes back")
        if step <= timedelta(0):
            raise KitError(f"step={step}: has to be more than nothing")
        while self._now < moment:
            self._now = min(self._now + step, moment).astimezone(UTC)
            for process in self._processes:
                process.post(PATH, to=self._now.isoformat())
        return self._now

    def advance_until(
        self,
        condition: Callable[[], bool],
        *,
        step: timedelta = timedelta(seconds=1),
        most: timedelta = timedelta(hours=1),
    ) -> datetime:
        """Step on until the condition holds; AssertionError when it does not within `most`."""
        end = self.now + most
        while not condition():
            if self.now >= end:
                raise AssertionError(
                    f"it did not happen within {most} of the system's clock, which is at {self.now.isoformat()}"
                )
            self.move_to(min(self.now + step, end), step=step)
        return self.now

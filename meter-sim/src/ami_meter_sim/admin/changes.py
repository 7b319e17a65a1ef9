"""What has changed in the process, as frames of one stream for all viewers: meters, the rules of faults, the scenario, the time.

A frame names a meter once, as the list has it, however often something has happened to it. Where more has happened than is followed,
the frame says so (`more`), and whoever looks takes the list anew.
"""

from typing import Any

from ami_meter_sim.control import FleetControl
from ami_meter_sim.roster import listed
from ami_meter_sim.scenarios.runner import Runner
from ami_meter_sim.tap import TapReader

MOST_METERS = 2_000
PLACES = 100
"""Of a scenario: meters and entries of its history that are shown."""


class Changes:
    """Makes frames; `reader` reads along."""

    def __init__(self, control: FleetControl, runner: Runner, reader: TapReader) -> None:
        self._control = control
        self._runner = runner
        self._reader = reader
        self._names: dict[str, None] = {}
        self._rules: tuple[int, ...] = ()
        self._scenario: tuple[object, ...] = ()

    async def take(self) -> dict[str, Any] | None:
        """A frame, None when nothing has changed."""
        more = self._drain()
        frame: dict[str, Any] = {"meters": self._meters(), "more": more}
        rules = tuple(number for number, _ in self._control.fleet.faults.rules)
        if rules != self._rules:
            self._rules, frame["rules"], frame["more"] = rules, len(rules), True
        run = self._runner.run
        scenario = (id(run), self._runner.status, 0 if run is None else len(run.history))
        if scenario != self._scenario:
            self._scenario, frame["scenario"] = scenario, self._runner.described(None, PLACES)
        if not (frame["meters"] or frame["more"] or "scenario" in frame):
            return None
        return frame | {"now": self._control.fleet.environment.now().isoformat()}

    def _drain(self) -> bool:
        """Note whom something has happened to; whether some of it was lost."""
        waiting = self._reader.waiting
        while not waiting.empty():
            name = getattr(waiting.get_nowait(), "meter", None)
            if isinstance(name, str) and name:
                self._names[name] = None
        return self._reader.take_dropped() > 0

    def _meters(self) -> list[dict[str, Any]]:
        names = [name for name, _ in zip(self._names, range(MOST_METERS), strict=False)]
        for name in names:
            del self._names[name]
        found = [listed(self._control.fleet, name) for name in names]
        return [self._control.summary(one) for one in found if one is not None]

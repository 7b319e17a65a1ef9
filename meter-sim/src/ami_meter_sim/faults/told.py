"""What this project's head-end tells a CIS about a meter with each fault (table told.csv), for people who compare theirs with it.

A simulated meter knows nothing of it: the table is for the page docs/faults.md, and a test asks a head-end at work and compares.
"""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

ASKED: Mapping[str, str] = {
    "control": "a disconnect",
    "action": "a disconnect, with the fault at its ACTION alone",
    "read": "a read of the import register",
    "quarters": "a read of quarters of an hour",
    "keys": "a change of its encryption key, by a campaign",
    "event": "a push of the last gasp",
}
"""What the head-end was to do, in words."""


@dataclass(frozen=True, slots=True)
class ToldRow:
    """One line: `code` and `level` of the Error of the reply, none where it is OK; of an event its EndDeviceEventType, none where none comes."""

    fault: str
    asked: str
    """A key of `ASKED`."""
    parameters: Mapping[str, Any]
    """Of the rule, beside its defaults."""
    code: str
    level: str
    says: str
    """The reason, with … for what differs from meter to meter; of a read that is OK the ReadingQualities."""

    @property
    def in_words(self) -> str:
        """What comes, for the page."""
        if self.asked == "event":
            return f"one event `{self.code}`, with the time at which it happened" if self.code else "no event"
        if not self.code:
            return f"OK, with the ReadingQualities {self.says}" if self.says else "OK"
        return f"`{self.code}`{self.level and f' {self.level}'}: {self.says}"


@cache
def told() -> tuple[ToldRow, ...]:
    """All rows, in the order of the table of faults."""
    text = files("ami_meter_sim.faults").joinpath("told.csv").read_text(encoding="utf-8")
    return tuple(
        ToldRow(
            fault=cells["fault"],
            asked=cells["asked"],
            parameters=json.loads(cells["parameters"] or "{}"),
            code=cells["code"],
            level=cells["level"],
            says=cells["says"],
        )
        for cells in csv.DictReader(text.splitlines())
    )

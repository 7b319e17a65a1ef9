"""ReadingTypes of one partner and the general ones, both ways (M-125): what is asked is understood as a general code before anything is
read, and what was read is spelled as the partner has it before it is sent. In between, one code means one thing for all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from ami_mapping.lookup import ReadingTable, readings
from ami_mapping.partners import SWITCHES, PartnerProfile, without_lost_names
from ami_mapping.patterns import CodePattern
from ami_mapping.reading_types import ReadingType, RefusedReadingType
from ami_mapping.readings import Confidence, ReadingRow, all_rows, check_references
from ami_mapping.tables import TableError

MOST_REMEMBERED = 4_096
Switches = tuple[tuple[str, str], ...]
"""Names of switches and their positions."""


class PartnerCodes:
    """The codes of one partner."""

    def __init__(self, profile: PartnerProfile, served: ReadingTable) -> None:
        """`served` has the rows of all partners (`served_table`)."""
        self.served = served
        self._table = profile.table()
        self._general = {row.id: row for row in all_rows()}

    def general(self, text: str) -> str:
        """The general code of what the partner asks for; RefusedReadingType for what is not served to it."""
        code = ReadingType.parse(text)
        match = self._table.answers(code)[0]
        row = self._general.get(match.row.id, match.row)
        return str(row.code.fill(match.bindings, code.multiplier, code.currency))


def served_table(profiles: Sequence[PartnerProfile]) -> ReadingTable:
    """The general rows and those that any partner has of its own or has turned on; TableError when two of them can't be distinguished."""
    if not any(profile.rows or profile.unsure for profile in profiles):
        return readings()
    unsure = {name for profile in profiles for name in profile.unsure}
    general = [row for row in all_rows() if row.confidence is not Confidence.UNSURE or row.id in unsure]
    own: dict[str, ReadingRow] = {}
    for row in (row for profile in profiles for row in profile.rows):
        if own.setdefault(row.id, row) != row:
            raise TableError([f"two partners have a row {row.id} that is not the same"])
    rows = [*without_lost_names(general), *own.values()]
    check_references(rows, lambda row: row.id)
    return ReadingTable(rows)


@lru_cache(maxsize=MOST_REMEMBERED)
def spelled(text: str, switches: Switches) -> str:
    """A general code as a partner with these switches has it."""
    code = CodePattern.parse(text)
    for name, position in switches:
        code = SWITCHES[name][position](code)
    return str(code)


def is_dropped(text: str, dropped: Iterable[str]) -> bool:
    """Whether a general code is that of rows alone which a partner does not want."""
    try:
        return {match.row.id for match in readings().answers(text)} <= set(dropped)
    except RefusedReadingType:
        return False

"""Names of EndDeviceEventTypes, the same in every command and program: rows of data/event_type_names.csv.

Beside the type itself (4 numbers, the first of which may be 0 or * for any device) a name is taken. A head-end may know more types than are here."""

import csv
import difflib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_CODE = re.compile(r"(?:\d{1,5}|\*)(?:\.\d{1,5}){3}", re.ASCII)
_NEAR = 5
"""Names that an error shows."""


@dataclass(frozen=True, slots=True)
class KnownEvent:
    """One row of the table."""

    name: str
    code: str
    meaning: str


class UnknownEvent(ValueError):
    """Neither a type nor a name of the table; the text says what is near it."""


@cache
def known_events() -> tuple[KnownEvent, ...]:
    """All rows, in the order of the table."""
    text = files("ami_cim").joinpath("data", "event_type_names.csv").read_text(encoding="utf-8")
    return tuple(KnownEvent(**row) for row in csv.DictReader(text.splitlines(), strict=True))


def event_type_of(text: str) -> str:
    """The code that is meant by a name of the table, or the code itself; raises UnknownEvent."""
    wanted = text.strip()
    if _CODE.fullmatch(wanted):
        return wanted
    known = next((row.code for row in known_events() if row.name == wanted.lower()), None)
    if known is None:
        raise UnknownEvent(
            f"{wanted[:80]!r} is neither an EndDeviceEventType, as 0.26.38.85, nor a name of one; near it: {near(wanted)}"
        )
    return known


def is_known(code: str) -> bool:
    """Whether the table has this code, whatever device type it has."""
    return any(_tail(row.code) == _tail(code) for row in known_events())


def near(text: str) -> str:
    """The names, or for numbers the codes with their names, that are most like a text; all names where none is."""
    rows = known_events()
    if _CODE.fullmatch(text):
        tails = {_tail(row.code): row for row in rows}
        found = difflib.get_close_matches(_tail(text), tails, _NEAR, cutoff=0.6)
        return ", ".join(f"{tails[one].code} ({tails[one].name})" for one in found) or "none"
    names = [row.name for row in rows]
    wanted = text[:80].lower()
    found = [name for name in names if wanted and wanted in name][:_NEAR]
    found += [name for name in difflib.get_close_matches(wanted, names, _NEAR, cutoff=0.5) if name not in found]
    return ", ".join(found or names)


def _tail(code: str) -> str:
    return code.partition(".")[2]

"""Bits of alarm registers, and push setups, of IDIS-like meters <-> EndDeviceEventType (tables data/alarms.csv, M-153, and data/push_setups.csv, M-154).

An alarm is known by its register and bit, also where a meter shows it in the descriptor beside the register. A bit without a row, or a row
without a code, has none, and none is made up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from ami_dlms.obis import Obis
from ami_mapping.tables import number, packaged, read_table

NO_CODE = "0.0.0.0"  # noqa: S104  # a code, no address
"""EndDeviceEventType of what has none: each of its numbers says that it does not apply (M-153)."""
BITS = 32
_CODE = re.compile(r"\d{1,4}(?:\.\d{1,4}){3}", re.ASCII)
_ALARMS = bytes((97, 98))
_LOG_CODES = bytes((96, 11))
_DESCRIPTOR_E = 20
_REGISTERS = 10


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """One row: a bit of a register, its code, and the numbers of the log entries that it stands for."""

    register: Obis
    bit: int
    code: str | None
    numbers: tuple[int, ...]
    meaning: str
    confidence: str
    decision: str
    source: str


@dataclass(frozen=True, slots=True)
class PushSetupRow:
    """One row: what a push by this setup says. `kind` is `alarms` for one with descriptors, `event` for one that is an event itself."""

    setup: Obis
    kind: str
    code: str | None
    meaning: str
    decision: str
    source: str


@cache
def alarm_rows() -> dict[tuple[Obis, int], AlarmRow]:
    """All rows by register and bit."""
    file = "alarms.csv"
    return {(row.register, row.bit): row for row in read_table(packaged(file), file, _alarm, AlarmRow.__slots__)}


@cache
def push_setup_rows() -> dict[Obis, PushSetupRow]:
    """All rows by the logical name of the push setup."""
    file = "push_setups.csv"
    return {row.setup: row for row in read_table(packaged(file), file, _setup, PushSetupRow.__slots__)}


def alarm_register(name: Obis) -> Obis | None:
    """The alarm register that an object shows the bits of, itself or as its descriptor; None for any other, also for a filter."""
    octets = bytes(name)
    if octets[2:4] != _ALARMS:
        return None
    index = octets[4] - (_DESCRIPTOR_E if octets[4] >= _DESCRIPTOR_E else 0)
    return Obis(octets[:4] + bytes((index, octets[5]))) if 0 <= index < _REGISTERS else None


def nth_alarm_register(place: int) -> Obis:
    """The register whose descriptor is the first, second ... in a push."""
    return Obis(bytes((0, 0)) + _ALARMS + bytes((place, 255)))


def log_of_code(name: Obis) -> Obis | None:
    """The log whose last number an object shows (0-0:96.11.e); None for any other."""
    octets = bytes(name)
    return Obis(octets[:2] + bytes((99, 98)) + octets[4:]) if octets[2:4] == _LOG_CODES else None


def _alarm(cells: dict[str, str], line: int) -> AlarmRow:
    numbers = tuple(number(one, "numbers") for one in cells["numbers"].split())
    return AlarmRow(
        *(Obis.parse(cells["register"]), number(cells["bit"], "bit", highest=BITS - 1), _code(cells["code"]), numbers),
        *(cells[name] for name in ("meaning", "confidence", "decision", "source")),
    )


def _setup(cells: dict[str, str], line: int) -> PushSetupRow:
    if cells["kind"] not in ("alarms", "event"):
        raise ValueError(f"kind is {cells['kind'][:40]!r} and neither alarms nor event")
    code = _code(cells["code"])
    return PushSetupRow(
        Obis.parse(cells["setup"]), cells["kind"], code, *(cells[name] for name in ("meaning", "decision", "source"))
    )


def _code(text: str) -> str | None:
    if text and _CODE.fullmatch(text) is None:
        raise ValueError(f"code is {text[:40]!r} and not four numbers")
    return text or None

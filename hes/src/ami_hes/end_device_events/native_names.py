"""What the numbers, bits and push setups of a meter mean: by the pack that its entry names, else by the general rows. Pure.

A meter of a pack has the names of its pack alone. What the pack has no row for, and everything of a pack that is not known here, has no code:
the same number means something else in another standard, and none is made up.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from ami_dlms.obis import Obis
from ami_hes.meters import Meter
from ami_mapping.alarms import alarm_register, alarm_rows, nth_alarm_register, push_setup_rows
from ami_mapping.events import event_rows
from ami_packs.document import ModelError
from ami_packs.pack import Pack
from ami_packs.pack_folders import Packs, shipped_packs

MOST_REGISTERS = 10
"""Alarm registers of one push that are looked at."""


class Meaning(NamedTuple):
    """Of an entry, a bit or a push."""

    code: str | None
    text: str
    numbers: tuple[int, ...] = ()


class SetupMeaning(NamedTuple):
    """Of a push setup; `registers` are those whose values it has, in order."""

    setup: Obis
    kind: str
    code: str | None
    text: str
    registers: tuple[Obis, ...] = ()


UNKNOWN = Meaning(None, "")


@dataclass(frozen=True, slots=True)
class NativeNames:
    """By log and number, by register and bit, by push setup."""

    events: Mapping[tuple[Obis, int], Meaning] = field(default_factory=dict)
    alarms: Mapping[tuple[Obis, int], Meaning] = field(default_factory=dict)
    setups: Mapping[Obis, SetupMeaning] = field(default_factory=dict)

    def event(self, log: Obis, number: int) -> Meaning:
        """Of an entry of a log."""
        return self.events.get((log, number), UNKNOWN)

    def alarm(self, register: Obis, bit: int) -> Meaning:
        """Of a bit of an alarm register."""
        return self.alarms.get((register, bit), UNKNOWN)

    def register(self, name: Obis) -> Obis | None:
        """The alarm register that an object shows the bits of, itself or as its descriptor; None for any other."""
        if any(register == name for register, _ in self.alarms):
            return name
        return alarm_register(name)


@cache
def general_names() -> NativeNames:
    """Of a meter whose entry names no pack (M-130, M-153, M-154)."""
    registers = tuple(map(nth_alarm_register, range(MOST_REGISTERS)))
    return NativeNames(
        {key: Meaning(row.code, row.meaning) for key, row in event_rows().items()},
        {key: Meaning(row.code, row.meaning, row.numbers) for key, row in alarm_rows().items()},
        {
            key: SetupMeaning(row.setup, row.kind, row.code, row.meaning, registers)
            for key, row in push_setup_rows().items()
        },
    )


def names_of_pack(pack: Pack) -> NativeNames:
    """Its rows, those of logs without an OBIS code left out."""
    usual = tuple(map(nth_alarm_register, range(MOST_REGISTERS)))
    return NativeNames(
        {
            (log, number): Meaning(row.code, row.meaning)
            for (log, number), row in pack.events.items()
            if isinstance(log, Obis)
        },
        {key: Meaning(row.code, row.meaning, row.numbers) for key, row in pack.alarms.items()},
        {
            key: SetupMeaning(row.setup, row.kind, row.code, row.meaning, row.registers or usual)
            for key, row in pack.pushes.items()
            if row.kind in ("alarms", "event")
        },
    )


class NamesByMeter:
    """The names that count for a meter; made once for each pack."""

    def __init__(self, packs: Packs | None = None) -> None:
        self._packs = packs
        self._known: dict[str, NativeNames] = {}

    def of(self, meter: Meter) -> NativeNames:
        """Of its pack, or the general ones."""
        if not meter.pack:
            return general_names()
        if meter.pack not in self._known:
            self._known[meter.pack] = self._read(meter.pack)
        return self._known[meter.pack]

    def _read(self, name: str) -> NativeNames:
        try:
            return names_of_pack((self._packs or shipped_packs()).pack(name))
        except ModelError:
            return NativeNames()

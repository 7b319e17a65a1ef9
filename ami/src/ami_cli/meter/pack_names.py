"""What a pack calls the objects and events of a meter (docs/packs.md), in the tables for people; what programs read stays as it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ami_cli.meter.errors import ExitCode, MeterError
from ami_dlms.obis import Obis
from ami_packs.document import ModelError
from ami_packs.pack import Pack
from ami_packs.pack_folders import packs_with

DATA = 1
EVENT_CODES, LOGS = bytes((96, 11)), bytes((99, 98))


@dataclass(frozen=True, slots=True)
class PackNames:
    """Of a pack, or nothing."""

    pack: Pack | None = None

    def object_name(self, class_id: int, obis: Obis) -> str:
        """What the pack calls it; empty where it has no such object."""
        found = None if self.pack is None else self.pack.objects.get((class_id, obis))
        return "" if found is None else found.name

    def event_meaning(self, class_id: int, obis: Obis, value: object) -> str:
        """What the number means that an event code shows (0-b:96.11.e), by the log that belongs to it; empty for anything else."""
        if self.pack is None or class_id != DATA or obis[2:4] != EVENT_CODES or not isinstance(value, int):
            return ""
        found = self.pack.events.get((Obis(obis[:2] + LOGS + obis[4:]), value))
        return "" if found is None else found.meaning


NO_NAMES = PackNames()


def names_of(pack: str, folder: Path | None) -> PackNames:
    """Of this pack, none where it is empty; MeterError says what is wrong."""
    if not pack:
        return NO_NAMES
    try:
        return PackNames(packs_with(folder).pack(pack))
    except ModelError as error:
        raise MeterError(ExitCode.USAGE, str(error), where="--pack") from None

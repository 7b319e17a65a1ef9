"""The meters of the head-end by each of the names that a request, a notification or a dialled-in connection can use.

An entry of the configuration or of a shipment file (`ami_registry`) that can't be right is refused with its place, its name, its
field and what to change; so is one that shares a name, an mRID, a usage point, a logical device name, an address or a system
title with another meter. Keys are never shown: not in a repr, not in a refusal.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from ami_cim.identity import mrid_key
from ami_dlms.enums import Mechanism
from ami_hes.meters.meter_index import MeterIndex, Table, names_of
from ami_process.secret_sources import SecretSources
from ami_registry import Entry, EntryError, Meter, Resolve, format_meter, parse_meter
from ami_registry.entries import NEEDED

__all__ = ["Meter", "Registry", "RegistryError", "read_entry"]

RegistryError = EntryError
NOTHING_SHIPPED: Mapping[str, object] = MappingProxyType({})


class Registry:
    """The meters, found by any of their names. `version` is another one after each change."""

    def __init__(
        self,
        entries: Iterable[object] = (),
        *,
        shipped: Mapping[str, object] = NOTHING_SHIPPED,
        resolve: Resolve | None = None,
        meters: Mapping[str, Meter] | None = None,
    ) -> None:
        """`shipped` are further entries by the words for where they are from.

        `resolve` fetches what `env:` and `file:` name, by default from the environment and the working directory. `meters`
        is the mapping by mRID that meters are added to (`add`); without it they are those of the entries.
        """
        resolve = resolve or SecretSources(os.environ)
        own: dict[str, Meter] = {}
        self._meters = own if meters is None else meters
        self._index = MeterIndex()
        self.version = 0
        places: dict[Entry, object] = dict(enumerate(entries, 1))
        places.update(shipped)
        for place, entry in places.items():
            meter = read_entry(place, entry, resolve)
            table = format_meter(meter).table
            self.check(place, table)
            own[mrid_key(meter.mrid)] = meter
            self.add(table)

    def __len__(self) -> int:
        return len(self._meters)

    def __iter__(self) -> Iterator[Meter]:
        return iter(self._meters.values())

    @property
    def meters(self) -> tuple[Meter, ...]:
        """All of them, at once."""
        return tuple(self)

    def find_by_mrid(self, mrid: str) -> Meter | None:
        """In whatever spelling; that by which mRIDs are compared, which most have, is not taken apart."""
        return self._meters.get(mrid if mrid in self._meters else mrid_key(mrid))

    def knows(self, mrid: str) -> bool:
        """Whether there is a meter with this mRID, which is not unpacked for it."""
        return mrid in self._meters or mrid_key(mrid) in self._meters

    def name_of(self, mrid: str) -> str | None:
        """Of the meter with this mRID."""
        meter = self.find_by_mrid(mrid)
        return None if meter is None else meter.name

    def spoken_with(self, mrid: str) -> Meter | None:
        """The meter that is reached for this one: itself, or the one that it is behind."""
        meter = self.find_by_mrid(mrid)
        return self.find_by_name(meter.behind) if meter is not None and meter.behind else meter

    def dials_in(self, mrid: str) -> str:
        """The meter (`mrid_key`) that has to dial in before this one can be spoken with; empty where none has to."""
        meter = self.spoken_with(mrid)
        return mrid_key(meter.mrid) if meter is not None and meter.address is None and not meter.behind else ""

    def find_by_name(self, name: str) -> Meter | None:
        return self._find("name", name)

    def find_by_usage_point(self, usage_point: str) -> Meter | None:
        meter = self._find("usage_points", mrid_key(usage_point))
        return meter if meter is not None and usage_point in meter.usage_points else None

    def find_by_usage_point_mrid(self, mrid: str) -> Meter | None:
        return self._find("usage_points", mrid_key(mrid))

    def find_by_logical_device_name(self, name: str) -> Meter | None:
        return self._find("logical_device_name", name)

    def find_by_system_title(self, title: bytes) -> Meter | None:
        return self._find("system_title", title.hex())

    def groups(self) -> Mapping[str, Mapping[str, int]]:
        """The number of meters by tag and value, as of `feeder` and `F12`."""
        return self._index.groups()

    def members(self, tag: str, value: str) -> Iterator[Meter]:
        """The meters whose tag has this value."""
        return (self._meters[mrid] for mrid in self._index.members(tag, value))

    def member_ids(self, tag: str, value: str, *, at_usage_points: bool = False) -> tuple[str, ...]:
        """The same by their mRIDs, as these are compared; no meter is unpacked for it."""
        members = self._index.members(tag, value)
        return tuple(self._index.at_usage_points().intersection(members) if at_usage_points else members)

    def number_of(self, tag: str, value: str, *, at_usage_points: bool = False) -> int:
        """How many meters are in the group; no meter is unpacked for it."""
        members = self._index.members(tag, value)
        return len(self._index.at_usage_points().intersection(members)) if at_usage_points else len(members)

    def at_usage_points(self) -> frozenset[str]:
        """The mRIDs, as they are compared, of meters that are at a usage point."""
        return frozenset(self._index.at_usage_points())

    def calling_wports(self) -> set[int]:
        """The server wrapper ports of meters that dial in."""
        return self._index.calling_wports()

    def check(self, place: Entry, table: Table) -> None:
        """Raises EntryError where a name of this entry is that of a meter that is there."""
        for name in names_of(table):
            owner = self._index.owner(name.field, name.key)
            if owner is not None:
                raise taken(place, table, name.field, name.shown, self._meters[owner].name)

    def owner(self, field: str, key: str) -> str | None:
        """The meter (its mRID as mRIDs are compared) that has this name."""
        return self._index.owner(field, key)

    def add(self, table: Table) -> None:
        """The meter of this entry is found from now on; it is in `meters` already."""
        self._index.add(mrid_key(table["mrid"]), table)
        self.touch()

    def remove(self, table: Table) -> None:
        """It is not found any more."""
        self._index.remove(mrid_key(table["mrid"]), table)
        self.touch()

    def touch(self) -> None:
        """Something else about a meter than its names has changed."""
        self.version += 1

    def _find(self, field: str, key: str) -> Meter | None:
        mrid = self._index.owner(field, key)
        return None if mrid is None else self._meters[mrid]


def taken(place: Entry, table: Table, field: str, shown: str, owner: str) -> EntryError:
    """What to say of an entry with the name of another meter."""
    whose = "a meter with another mRID" if field == "name" else owner
    return EntryError(place, table["name"], field, f"{shown} already belongs to {whose}")


def read_entry(place: Entry, entry: object, resolve: Resolve) -> Meter:
    """The meter of an entry as a head-end needs it; EntryError says what a person has to change."""
    meter = parse_meter(place, entry, resolve, needed=(*NEEDED, "mrid"))
    problem = meter.problem() or _problem_for_a_client(meter)
    if problem:
        raise EntryError(place, meter.name, *problem)
    return meter


def _problem_for_a_client(meter: Meter) -> tuple[str, str] | None:
    """What only the client's end of the association needs."""
    if meter.behind:
        return None
    if meter.authentication is Mechanism.ECDSA:
        for name, use in (
            ("signing_key", "signs with it"),
            ("meter_signing_key", "checks the meter's signature with it"),
        ):
            if getattr(meter, name) is None:
                return name, f"is missing: authentication hls-ecdsa {use}"
    if meter.address is None and not meter.public_client:
        return (
            "public_client",
            "has to be true: a meter that dials in is recognised by what the public client reads of it",
        )
    if len(set(meter.usage_points)) < len(meter.usage_points):
        return "usage_points", "has a name twice"
    return None

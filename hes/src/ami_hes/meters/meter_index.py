"""Which meter has a name, of whatever kind: an index for each field of an entry that names a meter, and the groups by their tags.

It is made of entries as `ami_registry.format_meter` writes them, so that a meter need not be unpacked to be found. A meter is
meant by the spelling of its mRID by which mRIDs are compared (`mrid_key`).
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ami_cim.identity import mrid_key
from ami_registry import DIALS_IN, Transport

Table = Mapping[str, Any]
"""An entry, as in JSON."""


class MeterName(NamedTuple):
    """What a meter is found by: the field, the value as it is compared, and as it is shown."""

    field: str
    key: str
    shown: str


NAMING = ("mrid", "name", "usage_points", "logical_device_name", "address", "channel", "system_title")
"""The fields that no two meters share."""
INDEXED = (*NAMING, "behind", "transport", "server_wport", "physical_address", "tags")
"""The fields that an index is made of."""
NO_METERS: Sequence[str] = ()


def names_of(table: Table) -> Iterator[MeterName]:
    """All names of a meter."""
    yield MeterName("mrid", mrid_key(table["mrid"]), table["mrid"])
    yield MeterName("name", table["name"], table["name"])
    for point in table.get("usage_points", ()):
        yield MeterName("usage_points", mrid_key(point), point)
    if "behind" in table:
        place = f"channel {table['channel']} of {table['behind']}"
        yield MeterName("channel", place, place)
        return
    yield MeterName("logical_device_name", table["logical_device_name"], table["logical_device_name"])
    if table["address"] != DIALS_IN:
        place = _place(table)
        yield MeterName("address", place, place)
    if title := table.get("system_title"):
        yield MeterName("system_title", title, title.upper())


class MeterIndex:
    """Meters by each of their names; the caller sees to it that no two share one (`owner`)."""

    def __init__(self) -> None:
        self._owners: dict[str, dict[str, str]] = {field: {} for field in NAMING}
        self._groups: dict[str, dict[str, list[str]]] = defaultdict(dict)
        self._calling: Counter[int] = Counter()

    def owner(self, field: str, key: str) -> str | None:
        """The meter of this name."""
        return self._owners[field].get(key)

    def add(self, meter: str, table: Table) -> None:
        """Its names are its own from now on."""
        for name in names_of(table):
            self._owners[name.field][name.key] = meter
        for tag, value in table.get("tags", {}).items():
            self._groups[tag].setdefault(value, []).append(meter)
        if table.get("address") == DIALS_IN:
            self._calling[_server_wport(table)] += 1

    def remove(self, meter: str, table: Table) -> None:
        """What `add` was given is undone."""
        for name in names_of(table):
            if self._owners[name.field].get(name.key) == meter:  # it may have passed to another one
                del self._owners[name.field][name.key]
        for tag, value in table.get("tags", {}).items():
            members = self._groups[tag][value]
            members.remove(meter)
            if not members:
                del self._groups[tag][value]
        if table.get("address") == DIALS_IN:
            self._calling[_server_wport(table)] -= 1

    def members(self, tag: str, value: str) -> Sequence[str]:
        """The meters of a group."""
        return self._groups.get(tag, {}).get(value, NO_METERS)

    def at_usage_points(self) -> set[str]:
        """The meters that are at a usage point."""
        return set(self._owners["usage_points"].values())

    def groups(self) -> Mapping[str, Mapping[str, int]]:
        """The number of meters by tag and value."""
        return {tag: {value: len(members) for value, members in of.items()} for tag, of in self._groups.items() if of}

    def calling_wports(self) -> set[int]:
        """The server wrapper ports of meters that dial in."""
        return set(+self._calling)


def _place(table: Table) -> str:
    """One address may hold several meters, each with a server_wport or, on a line, a physical address of its own."""
    place = f"{table['address']} with server_wport {_server_wport(table)}"
    device = table.get("physical_address")
    framed = Transport(table.get("transport", Transport.WRAPPER)).framed
    return place if device is None or not framed else f"{place} and physical_address {device}"


def _server_wport(table: Table) -> int:
    return int(table.get("server_wport", 1))

"""The meters of the head-end by each of the names that a request, a notification or a dialled-in connection can use.

Built once from the [[meters]] entries of the configuration file (`ami_registry`) and from shipment files. An entry that can't be right is refused at
the start with its name, its field and what to change; so are two meters that share a name, an mRID, a usage point, a logical
device name or a system title. Keys are never shown: not in a repr, not in a refusal.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar

from ami_cim.identity import mrid_key
from ami_dlms.enums import Mechanism
from ami_process.secret_sources import SecretSources
from ami_registry import Entry, EntryError, Meter, Resolve, parse_meter
from ami_registry.entries import NEEDED

__all__ = ["Meter", "Registry", "RegistryError"]

K = TypeVar("K")
RegistryError = EntryError
NOTHING_SHIPPED: Mapping[str, object] = MappingProxyType({})


class Registry:
    """The meters, found by any of their names."""

    def __init__(
        self,
        entries: Iterable[object] = (),
        *,
        shipped: Mapping[str, object] = NOTHING_SHIPPED,
        resolve: Resolve | None = None,
    ) -> None:
        """`shipped` are further entries by the words for where they are from.

        `resolve` fetches what `env:` and `file:` name, by default from the environment and the working directory.
        """
        resolve = resolve or SecretSources(os.environ)
        places: dict[Entry, object] = dict(enumerate(entries, 1))
        places.update(shipped)
        self._places = tuple(places)
        self.meters = tuple([_meter(place, entry, resolve) for place, entry in places.items()])
        self._by_mrid = self._index("mrid", lambda meter: [mrid_key(meter.mrid)])
        self._by_name = self._index("name", lambda meter: [meter.name])
        self._by_usage_point = self._index("usage_points", lambda meter: meter.usage_points)
        self._by_usage_point_mrid = self._index(
            "usage_points", lambda meter: {mrid_key(point) for point in meter.usage_points}
        )
        self._by_device_name = self._index("logical_device_name", lambda meter: [meter.logical_device_name])
        self._index("address", _place)
        self._by_title = self._index("system_title", lambda meter: [meter.system_title] if meter.system_title else [])

    def find_by_mrid(self, mrid: str) -> Meter | None:
        return self._by_mrid.get(mrid_key(mrid))

    def find_by_name(self, name: str) -> Meter | None:
        return self._by_name.get(name)

    def find_by_usage_point(self, usage_point: str) -> Meter | None:
        return self._by_usage_point.get(usage_point)

    def find_by_usage_point_mrid(self, mrid: str) -> Meter | None:
        return self._by_usage_point_mrid.get(mrid_key(mrid))

    def find_by_logical_device_name(self, name: str) -> Meter | None:
        return self._by_device_name.get(name)

    def find_by_system_title(self, title: bytes) -> Meter | None:
        return self._by_title.get(title)

    def _index(self, field_name: str, names_of: Callable[[Meter], Iterable[K]]) -> dict[K, Meter]:
        index: dict[K, Meter] = {}
        for place, meter in zip(self._places, self.meters, strict=True):
            for name in names_of(meter):
                if name in index:
                    shown = name.hex().upper() if isinstance(name, bytes) else name
                    raise EntryError(place, meter.name, field_name, f"{shown} already belongs to {index[name].name}")
                index[name] = meter
        return index


def _meter(place: Entry, entry: object, resolve: Resolve) -> Meter:
    meter = parse_meter(place, entry, resolve, needed=(*NEEDED, "mrid"))
    problem = meter.problem() or _problem_for_a_client(meter)
    if problem:
        raise EntryError(place, meter.name, *problem)
    return meter


def _problem_for_a_client(meter: Meter) -> tuple[str, str] | None:
    """What only the client's end of the association needs."""
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
    return None


def _place(meter: Meter) -> list[str]:
    """Where a meter is: one address may hold several, each with a server_wport or, on a line, a physical address of its own."""
    if meter.address is None:
        return []
    device = "" if meter.physical_address is None else f" and physical_address {meter.physical_address}"
    return [f"{meter.place} with server_wport {meter.server_wport}{device if meter.transport.framed else ''}"]

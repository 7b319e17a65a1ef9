"""Meters as the store keeps them, in memory: entries as text, keys sealed. A meter is unpacked when it is asked for; some stay so.

So 100,000 meters take some hundred megabytes and not a gigabyte, and the keys of those at work alone are in memory unsealed.
"""

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence

from ami_hes.meters.meter_index import INDEXED, Table
from ami_hes.meters.registry import Meter
from ami_hes.registry.changed_keys import ChangedKey, in_force
from ami_hes.registry.sealing import CannotOpen, Sealer
from ami_hes.store import Sealed, StoredMeter
from ami_registry import REMOVED, FormattedMeter, parse_meter

UNPACKED = 10_000
"""Meters that stay unpacked: more than a request may name by default."""


class PackedMeters(Mapping[str, Meter]):
    """The meters by mRID, as mRIDs are compared."""

    def __init__(
        self, sealer: Sealer, unpacked: int = UNPACKED, changed_keys: Mapping[str, Sequence[Sealed]] | None = None
    ) -> None:
        """`changed_keys`: by mRID those that were changed at the meter (`ami_hes.registry.changed_keys`)."""
        self._sealer = sealer
        self._most = unpacked
        self._packed: dict[str, StoredMeter] = {}
        self._unpacked: OrderedDict[str, Meter] = OrderedDict()
        self._changed_keys = dict(changed_keys or {})

    def __len__(self) -> int:
        return len(self._packed)

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __contains__(self, mrid: object) -> bool:
        return mrid in self._packed

    def __getitem__(self, mrid: str) -> Meter:
        """Raises KeyError, and CannotOpen for a meter whose keys are not what was sealed, which is found out at the start."""
        meter = self._unpacked.get(mrid)
        if meter is None:
            meter = self._unpacked[mrid] = self._unpack(self._packed[mrid])
            if len(self._unpacked) > self._most:
                self._unpacked.popitem(last=False)
        else:
            self._unpacked.move_to_end(mrid)
        return meter

    def stored(self, mrid: str) -> StoredMeter | None:
        """As it is kept."""
        return self._packed.get(mrid)

    def add(self, meter: StoredMeter) -> None:
        """Keep it, in the place of what was kept of this mRID."""
        self._unpacked.pop(meter.mrid, None)
        self._packed[meter.mrid] = meter

    def remove(self, mrid: str) -> None:
        """It is not there any more."""
        self._unpacked.pop(mrid, None)
        del self._packed[mrid]

    def changed_keys(self, mrid: str) -> Sequence[Sealed]:
        """What was changed at the meter."""
        return self._changed_keys.get(mrid, ())

    def change_keys(self, mrid: str, rows: Sequence[Sealed]) -> None:
        """These are all of them from now on."""
        self._changed_keys[mrid] = rows
        self._unpacked.pop(mrid, None)

    def forget_changed_keys(self, mrid: str) -> None:
        """Of a meter that is not here any more."""
        self._changed_keys.pop(mrid, None)

    def secrets_of_entry(self, mrid: str) -> dict[str, bytes]:
        """By field, whatever was changed since. Raises CannotOpen."""
        return {key.purpose: self._sealer.open(key, mrid) for key in self._packed[mrid].keys}

    def seal(self, key: ChangedKey, mrid: str, purpose: str) -> Sealed:
        """A row of a changed key. Raises SettingsError without a master key."""
        return self._sealer.seal(key.format(), mrid, purpose)

    def opened(self, row: Sealed, mrid: str) -> ChangedKey:
        """What is in such a row. Raises CannotOpen."""
        return ChangedKey.parse(self._sealer.open(row, mrid))

    def pack(self, mrid: str, meter: FormattedMeter, source: str, kept: StoredMeter | None) -> StoredMeter:
        """As it is to be kept; `kept` itself where nothing is different. Raises SettingsError without a master key."""
        entry = json.dumps(meter.table, ensure_ascii=False, separators=(",", ":"))
        if kept is not None and (kept.source, kept.entry) == (source, entry) and self._opens_to(kept, meter.secrets):
            return kept
        keys = tuple(self._sealer.seal(octets, mrid, purpose) for purpose, octets in meter.secrets.items())
        return StoredMeter(mrid, str(meter.table["name"]), source, entry, keys)

    def _opens_to(self, kept: StoredMeter, secrets: Mapping[str, bytes]) -> bool:
        try:
            return {key.purpose: self._sealer.open(key, kept.mrid) for key in kept.keys} == secrets
        except CannotOpen:
            return False

    def secrets_of(self, kept: StoredMeter) -> dict[str, str]:
        """Its secrets as the fields of an entry; CannotOpen as above."""
        return {key.purpose: f"hex:{self._sealer.open(key, kept.mrid).hex()}" for key in kept.keys}

    def _unpack(self, kept: StoredMeter) -> Meter:
        secrets = self.secrets_of_entry(kept.mrid)
        if kept.mrid in self._changed_keys:
            rows = self._changed_keys[kept.mrid]
            secrets = in_force(secrets, rows, lambda row: self.opened(row, kept.mrid))
        fields = {field: f"hex:{octets.hex()}" for field, octets in secrets.items()}
        return parse_meter(f"the stored meter {kept.mrid}", table_of(kept) | fields, _no_references)


def table_of(kept: StoredMeter) -> dict[str, object]:
    """Its entry without secrets, and without what an earlier version has kept there and nobody reads any more."""
    table: dict[str, object] = json.loads(kept.entry)
    return {field: value for field, value in table.items() if field not in REMOVED}


def names_are_the_same(one: Table, other: Table) -> bool:
    """Whether the index has the same to say of both."""
    return all(one.get(field) == other.get(field) for field in INDEXED)


def _no_references(scheme: str, _: str) -> str:
    raise ValueError(f"an entry that is kept names nothing elsewhere, and this one {scheme}")

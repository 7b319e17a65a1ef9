"""The keys that were changed at meters, sealed in the store: the KeyChanges port. Which rows there are is said in `changed_keys`.

A key that was sent goes only when an association was opened under it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from ami_cim.identity import mrid_key
from ami_hes.meters.registry import Meter, Registry
from ami_hes.registry.changed_keys import IN_FORCE, OF_ENTRY, SENT, ChangedKey
from ami_hes.registry.packed_meters import PackedMeters
from ami_hes.store import RegistryChange, RegistryStore

PROVED = ("encryption_key", "authentication_key", "secret")
"""What an association that opens has proved."""


class KeyBook:
    """The KeyChanges port."""

    def __init__(self, registry: Registry, meters: PackedMeters, store: RegistryStore) -> None:
        self._registry = registry
        self._meters = meters
        self._store = store
        self._former: set[str] = set()
        """Meters that have opened an association with the former key since the new one was sent: it is tried first."""

    def candidates(self, meter: Meter) -> Sequence[Meter]:
        mrid = mrid_key(meter.mrid)
        if not self._meters.changed_keys(mrid):
            return (meter,)
        now = self._registry.find_by_mrid(mrid) or meter
        sent = {field: one.key for field in PROVED if (one := self._changed(mrid, SENT + field)) is not None}
        taken = [some for number in range(1, len(sent) + 1) for some in combinations(sent.items(), number)]
        new = [_with(now, dict(some)) for some in taken]  # each of those in doubt may have come to count since
        return (now, *new) if mrid in self._former else (*new, now)

    def sent(self, meter: Meter, field: str) -> bytes | None:
        found = self._changed(mrid_key(meter.mrid), SENT + field)
        return None if found is None else found.key

    def sent_by(self, meter: Meter, field: str) -> str | None:
        found = self._changed(mrid_key(meter.mrid), SENT + field)
        return None if found is None else found.request_id

    def changed_by(self, meter: Meter, field: str) -> str | None:
        found = self._changed(mrid_key(meter.mrid), IN_FORCE + field)
        return None if found is None else found.request_id

    def is_of_entry(self, meter: Meter, field: str) -> bool:
        mrid = mrid_key(meter.mrid)
        now = self._registry.find_by_mrid(mrid)
        if now is None or self.sent(meter, field) is not None:
            return False
        return bool(getattr(now, field) == self._meters.secrets_of_entry(mrid).get(field))

    async def keep(self, meter: Meter, field: str, key: bytes, request_id: str) -> None:
        mrid = mrid_key(meter.mrid)
        await self._change(mrid, {SENT + field: ChangedKey(key, request_id)})
        self._former.discard(mrid)

    async def proved(self, meter: Meter) -> None:
        mrid = mrid_key(meter.mrid)
        if mrid not in self._meters:  # it was taken out meanwhile; should it come back, both keys are tried again
            return
        changes: dict[str, ChangedKey | None] = {}
        for field in PROVED:
            new = self._changed(mrid, SENT + field)
            if new is not None and new.key == getattr(meter, field):
                changes |= self._settled(mrid, field, new)
        if not changes:
            self._former.add(mrid)
            return
        await self._change(mrid, changes)
        self._former.discard(mrid)

    async def taken(self, meter: Meter, field: str) -> None:
        mrid = mrid_key(meter.mrid)
        new = self._changed(mrid, SENT + field)
        if new is not None and mrid in self._meters:
            await self._change(mrid, self._settled(mrid, field, new))

    def _settled(self, mrid: str, field: str, new: ChangedKey) -> dict[str, ChangedKey | None]:
        former = ChangedKey(self._meters.secrets_of_entry(mrid).get(field, b""))
        return {SENT + field: None, IN_FORCE + field: new, OF_ENTRY + field: former}

    def _changed(self, mrid: str, purpose: str) -> ChangedKey | None:
        found = next((one for one in self._meters.changed_keys(mrid) if one.purpose == purpose), None)
        return None if found is None else self._meters.opened(found, mrid)

    async def _change(self, mrid: str, changes: Mapping[str, ChangedKey | None]) -> None:
        """Committed before it counts; None: there is no key of this purpose any more."""
        rows = [one for one in self._meters.changed_keys(mrid) if one.purpose not in changes]
        rows += [self._meters.seal(one, mrid, purpose) for purpose, one in changes.items() if one is not None]
        await self._store.change(RegistryChange(changed_keys={mrid: rows}))
        self._meters.change_keys(mrid, rows)
        self._registry.touch()


def _with(meter: Meter, keys: Mapping[str, bytes]) -> Meter:
    changed: dict[str, Any] = dict(keys)
    return replace(meter, **changed)

"""Another master key: everything sealed in the store is sealed anew, in one transaction."""

from collections.abc import Callable

from ami_hes.registry.master_keys import MasterKeys
from ami_hes.registry.sealing import Sealer
from ami_hes.store import RegistryChange, RegistryStore, Sealed, StoredSource


async def rotate(store: RegistryStore, masters: MasterKeys, random_bytes: Callable[[int], bytes]) -> int:
    """Have a new master key seal; how many keys of meters it has sealed.

    Interrupted, it has done nothing but make a key. Raises SettingsError, CannotOpen, StoreUnavailable.
    """
    stored = await store.load()
    sealer = Sealer(masters, random_bytes)
    sealer.demand(stored.key_ids())
    masters.renew()

    def anew(sealed: Sealed, device: str) -> Sealed:
        return sealer.seal(sealer.open(sealed, device), device, sealed.purpose)

    meters = [
        meter._replace(keys=tuple(anew(key, meter.mrid) for key in meter.keys)) for meter in stored.meters if meter.keys
    ]
    sources = [StoredSource(source.name, anew(source.digest, source.name)) for source in stored.sources]
    changed = {mrid: [anew(key, mrid) for key in keys] for mrid, keys in stored.changed_keys.items()}
    await store.change(RegistryChange(meters=meters, sources=sources, changed_keys=changed))
    return sum(len(meter.keys) for meter in meters) + sum(map(len, changed.values()))

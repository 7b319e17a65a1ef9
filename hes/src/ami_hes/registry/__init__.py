"""The registry of meters as it is kept: imported from files or row by row, its keys sealed by a master key."""

from ami_hes.registry.commissioning import CommissioningBook
from ami_hes.registry.kept import (
    IMPORTED,
    Amendment,
    ImportRow,
    KeptRegistry,
    NotAmended,
    OfConfiguration,
    RowOutcome,
    RowReport,
)
from ami_hes.registry.master_keys import MasterKey, MasterKeys, master_keys_of
from ami_hes.registry.needed import NeededMeters
from ami_hes.registry.noting import Noting
from ami_hes.registry.opening import (
    ConfiguredMeters,
    configured_meters,
    load_registry,
    needed_registry,
    open_registry,
)
from ami_hes.registry.rotation import rotate
from ami_hes.registry.sealing import CannotOpen, Sealer

__all__ = [
    "IMPORTED",
    "Amendment",
    "CannotOpen",
    "CommissioningBook",
    "ConfiguredMeters",
    "ImportRow",
    "KeptRegistry",
    "MasterKey",
    "MasterKeys",
    "NeededMeters",
    "NotAmended",
    "Noting",
    "OfConfiguration",
    "RowOutcome",
    "RowReport",
    "Sealer",
    "configured_meters",
    "load_registry",
    "master_keys_of",
    "needed_registry",
    "open_registry",
    "rotate",
]

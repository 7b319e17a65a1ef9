"""Everything that must survive a restart, behind narrow ports; the only place with SQL."""

from ami_hes.store.counters import SqlCounters, SqlReceivedCounters
from ami_hes.store.database import Database
from ami_hes.store.deliveries import SqlDeliveries
from ami_hes.store.ports import (
    ClaimTooHigh,
    Completed,
    CounterRange,
    Counters,
    CountersExhausted,
    Deliveries,
    FailedDelivery,
    NonceUsed,
    ReceivedCounters,
    ReceivedKey,
    Results,
    SpentId,
    StoredCommand,
    StoredRequest,
    StoredResult,
)
from ami_hes.store.restored import assume_the_worst
from ami_hes.store.results import SqlResults
from ami_hes.store.tables import SCHEMA
from ami_process.store.errors import StoreUnavailable, StoreUnusable

__all__ = [
    "SCHEMA",
    "ClaimTooHigh",
    "Completed",
    "CounterRange",
    "Counters",
    "CountersExhausted",
    "Database",
    "Deliveries",
    "FailedDelivery",
    "NonceUsed",
    "ReceivedCounters",
    "ReceivedKey",
    "Results",
    "SpentId",
    "SqlCounters",
    "SqlDeliveries",
    "SqlReceivedCounters",
    "SqlResults",
    "StoreUnavailable",
    "StoreUnusable",
    "StoredCommand",
    "StoredRequest",
    "StoredResult",
    "assume_the_worst",
]

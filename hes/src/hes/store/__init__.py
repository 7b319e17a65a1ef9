"""Everything that must survive a restart, behind narrow ports; the only place with SQL."""

from hes.store.counters import SqlCounters
from hes.store.database import Database, StoreUnusable
from hes.store.deliveries import SqlDeliveries
from hes.store.lanes import MemoryJobs
from hes.store.ports import (
    Completed,
    CounterRange,
    Counters,
    CountersExhausted,
    Deliveries,
    Delivery,
    FailedDelivery,
    Job,
    Jobs,
    Lane,
    Results,
    SpentId,
    StoredCommand,
    StoredRequest,
    StoredResult,
    StoreUnavailable,
)
from hes.store.results import SqlResults

__all__ = [
    "Completed",
    "CounterRange",
    "Counters",
    "CountersExhausted",
    "Database",
    "Deliveries",
    "Delivery",
    "FailedDelivery",
    "Job",
    "Jobs",
    "Lane",
    "MemoryJobs",
    "Results",
    "SpentId",
    "SqlCounters",
    "SqlDeliveries",
    "SqlResults",
    "StoreUnavailable",
    "StoreUnusable",
    "StoredCommand",
    "StoredRequest",
    "StoredResult",
]

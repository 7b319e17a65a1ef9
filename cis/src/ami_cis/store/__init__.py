"""What the CIS remembers across a restart; the only place with SQL."""

from ami_cis.store.store import KEEP, Retention, SentRequest, State, Store, TakenEvent, TakenReply
from ami_cis.store.tables import SCHEMA
from ami_process.store.errors import StoreUnavailable, StoreUnusable

__all__ = [
    "KEEP",
    "SCHEMA",
    "Retention",
    "SentRequest",
    "State",
    "Store",
    "StoreUnavailable",
    "StoreUnusable",
    "TakenEvent",
    "TakenReply",
]

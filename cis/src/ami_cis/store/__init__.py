"""What the CIS remembers across a restart; the only place with SQL."""

from ami_cis.store.device_events import DeviceEventQuery, KeptDeviceEvent
from ami_cis.store.places import KeptPlace
from ami_cis.store.readings import CountedReadings, KeptReading, ReadingQuery
from ami_cis.store.sent_requests import RequestLine
from ami_cis.store.store import KEEP, MessageIdUsed, Retention, SentRequest, State, Store, TakenEvent, TakenReply
from ami_cis.store.tables import SCHEMA
from ami_process.store.errors import StoreUnavailable, StoreUnusable

__all__ = [
    "KEEP",
    "SCHEMA",
    "CountedReadings",
    "DeviceEventQuery",
    "KeptDeviceEvent",
    "KeptPlace",
    "KeptReading",
    "MessageIdUsed",
    "ReadingQuery",
    "RequestLine",
    "Retention",
    "SentRequest",
    "State",
    "Store",
    "StoreUnavailable",
    "StoreUnusable",
    "TakenEvent",
    "TakenReply",
]

"""Everything that must survive a restart, behind narrow ports; the only place with SQL."""

from ami_hes.store.audit import SqlAudit
from ami_hes.store.audit_port import AuditFound, AuditLog, AuditPage, AuditSearch
from ami_hes.store.brought_back import KeptMark, go_on, recognise
from ami_hes.store.campaigns import SqlCampaigns
from ami_hes.store.campaigns_port import CampaignLine, Campaigns, CampaignState, StoredCampaign
from ami_hes.store.commissioning import SqlCommissioning
from ami_hes.store.commissioning_port import CommissioningStep, CommissioningStore, StoredCommissioning
from ami_hes.store.console_sessions import SqlConsoleSessions, StoredSession
from ami_hes.store.counters import SqlCounters, SqlReceivedCounters
from ami_hes.store.database import Database, Latency
from ami_hes.store.deliveries import SqlDeliveries
from ami_hes.store.device_events import SqlDeviceEvents
from ami_hes.store.device_events_port import DeviceEvents, EventChange, EventQuery, Happened, StoredDeviceEvent
from ami_hes.store.dialled_in import SqlDialledIn
from ami_hes.store.dialled_in_port import DialledIn
from ami_hes.store.firmware import SqlFirmware
from ami_hes.store.firmware_port import (
    FirmwareStore,
    ImageExists,
    ImageProgress,
    StoredImage,
    StoredTransfer,
    TransferStage,
    WrongPart,
)
from ami_hes.store.guard import SqlGuard
from ami_hes.store.guard_port import (
    ControlsStopped,
    Gate,
    GuardMarks,
    GuardStore,
    LimitReached,
    Stop,
    StoredApproval,
    Use,
)
from ami_hes.store.history import SqlHistory
from ami_hes.store.kept_messages import SqlKeptMessages
from ami_hes.store.kept_messages_port import KeptMessage, KeptMessages, WaitingMessage
from ami_hes.store.master_data import SqlMasterDataChanges, SqlUsagePoints
from ami_hes.store.master_data_port import (
    KeyTaken,
    MasterDataChanges,
    NotedChange,
    StoredUsagePoint,
    UsagePoints,
    WaitingChange,
)
from ami_hes.store.outgoing import SqlOutgoing
from ami_hes.store.outgoing_port import Outgoing, Owed
from ami_hes.store.ownership import SqlOwnership
from ami_hes.store.ownership_port import NotOwned, Ownership
from ami_hes.store.ports import (
    AnswerPart,
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
    ScalerUnits,
    SpentId,
    StoredAnswer,
    StoredCommand,
    StoredRequest,
    StoredResult,
)
from ami_hes.store.quarantine import SqlQuarantine
from ami_hes.store.quarantine_port import QuarantineStore, StoredCaller
from ami_hes.store.readings import SqlReadings
from ami_hes.store.readings_csv import csv_parts, write_csv
from ami_hes.store.readings_parquet import NEEDS_PYARROW, parquet_is_possible, parquet_parts, write_parquet
from ami_hes.store.readings_port import Extract, Readings, StoredReading, StoredSeries
from ami_hes.store.registry import SqlRegistry
from ami_hes.store.registry_port import (
    RegistryChange,
    RegistryStore,
    Sealed,
    StoredMeter,
    StoredRegistry,
    StoredSource,
)
from ami_hes.store.restored import assume_the_worst
from ami_hes.store.results import SqlResults
from ami_hes.store.scalers import SqlScalerUnits
from ami_hes.store.schedules import SqlSchedules
from ami_hes.store.schedules_port import Collected, NameTaken, Schedules, StoredRun, StoredSchedule
from ami_hes.store.seen_messages import SqlSeenMessages
from ami_hes.store.tables import SCHEMA
from ami_hes.store.traces import SqlTraces
from ami_hes.store.traces_port import (
    EVENT,
    MOST_REFUSALS,
    PUSH,
    REFUSAL,
    KeptArrival,
    KeptAttempt,
    RequestFilter,
    TraceStore,
)
from ami_process.store.errors import StoreUnavailable, StoreUnusable

__all__ = [
    "EVENT",
    "MOST_REFUSALS",
    "NEEDS_PYARROW",
    "PUSH",
    "REFUSAL",
    "SCHEMA",
    "AnswerPart",
    "AuditFound",
    "AuditLog",
    "AuditPage",
    "AuditSearch",
    "CampaignLine",
    "CampaignState",
    "Campaigns",
    "ClaimTooHigh",
    "Collected",
    "CommissioningStep",
    "CommissioningStore",
    "Completed",
    "ControlsStopped",
    "CounterRange",
    "Counters",
    "CountersExhausted",
    "Database",
    "Deliveries",
    "DeviceEvents",
    "DialledIn",
    "EventChange",
    "EventQuery",
    "Extract",
    "FailedDelivery",
    "FirmwareStore",
    "Gate",
    "GuardMarks",
    "GuardStore",
    "Happened",
    "ImageExists",
    "ImageProgress",
    "KeptArrival",
    "KeptAttempt",
    "KeptMark",
    "KeptMessage",
    "KeptMessages",
    "KeyTaken",
    "Latency",
    "LimitReached",
    "MasterDataChanges",
    "NameTaken",
    "NonceUsed",
    "NotOwned",
    "NotedChange",
    "Outgoing",
    "Owed",
    "Ownership",
    "QuarantineStore",
    "Readings",
    "ReceivedCounters",
    "ReceivedKey",
    "RegistryChange",
    "RegistryStore",
    "RequestFilter",
    "Results",
    "ScalerUnits",
    "Schedules",
    "Sealed",
    "SpentId",
    "SqlAudit",
    "SqlCampaigns",
    "SqlCommissioning",
    "SqlConsoleSessions",
    "SqlCounters",
    "SqlDeliveries",
    "SqlDeviceEvents",
    "SqlDialledIn",
    "SqlFirmware",
    "SqlGuard",
    "SqlHistory",
    "SqlKeptMessages",
    "SqlMasterDataChanges",
    "SqlOutgoing",
    "SqlOwnership",
    "SqlQuarantine",
    "SqlReadings",
    "SqlReceivedCounters",
    "SqlRegistry",
    "SqlResults",
    "SqlScalerUnits",
    "SqlSchedules",
    "SqlSeenMessages",
    "SqlTraces",
    "SqlUsagePoints",
    "Stop",
    "StoreUnavailable",
    "StoreUnusable",
    "StoredAnswer",
    "StoredApproval",
    "StoredCaller",
    "StoredCampaign",
    "StoredCommand",
    "StoredCommissioning",
    "StoredDeviceEvent",
    "StoredImage",
    "StoredMeter",
    "StoredReading",
    "StoredRegistry",
    "StoredRequest",
    "StoredResult",
    "StoredRun",
    "StoredSchedule",
    "StoredSeries",
    "StoredSession",
    "StoredSource",
    "StoredTransfer",
    "StoredUsagePoint",
    "TraceStore",
    "TransferStage",
    "UsagePoints",
    "Use",
    "WaitingChange",
    "WaitingMessage",
    "WrongPart",
    "assume_the_worst",
    "csv_parts",
    "go_on",
    "parquet_is_possible",
    "parquet_parts",
    "recognise",
    "write_csv",
    "write_parquet",
]

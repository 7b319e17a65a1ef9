"""The points at which a process can be killed: calls of its own that have just ended, or are about to begin.

Between two of them lies something that must not be lost or doubled: a row in the store, an answer on its way, a value of a counter.
Only `python -m chaos.points` knows of them; what is shipped has no hook for it and pays nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Point(NamedTuple):
    """A call of a class; the process dies behind it, or before it."""

    process: str
    name: str
    module: str
    owner: str
    method: str
    before: bool = False
    at_start: bool = False
    """It is passed in the beginning of a life and seldom later, so the process begins with the order to die there."""
    rare: bool = False
    """It dies at the first pass."""


HES, CIS, METERS = "ami_hes", "ami_cis", "ami_meter_sim"
_STORE, _ENGINE = "ami_hes.store", "ami_hes.engine"

POINTS = (
    Point(HES, "about to accept", f"{_STORE}.results", "SqlResults", "accept", before=True),
    Point(HES, "accepted", f"{_STORE}.results", "SqlResults", "accept"),
    Point(HES, "put", f"{_ENGINE}.memory_commands", "MemoryCommands", "put"),
    Point(HES, "counters reserved", f"{_STORE}.counters", "SqlCounters", "reserve_counters", at_start=True),
    Point(HES, "received counter kept", f"{_STORE}.counters", "SqlReceivedCounters", "keep"),
    Point(HES, "about to act", f"{_STORE}.results", "SqlResults", "attempt"),
    Point(HES, "about to save", f"{_STORE}.results", "SqlResults", "save", before=True),
    Point(HES, "saved", f"{_STORE}.results", "SqlResults", "save"),
    Point(HES, "about to answer", f"{_STORE}.results", "SqlResults", "answer", before=True),
    Point(HES, "answered", f"{_STORE}.results", "SqlResults", "answer"),
    Point(HES, "announced", f"{_ENGINE}.memory_events", "MemoryEvents", "publish"),
    Point(HES, "command done", f"{_ENGINE}.memory_commands", "MemoryCommand", "done"),
    Point(HES, "reply put", f"{_ENGINE}.memory_queue", "MemoryQueue", "put"),
    Point(HES, "about to post", "ami_hes.outbox", "Outbox", "post", before=True),
    Point(HES, "posted", "ami_hes.outbox", "Outbox", "post"),
    Point(HES, "replied", f"{_STORE}.results", "SqlResults", "replied"),
    Point(HES, "reply done", f"{_ENGINE}.memory_queue", "MemoryDelivery", "done"),
    Point(HES, "device event kept", f"{_STORE}.device_events", "SqlDeviceEvents", "keep", rare=True),
    Point(HES, "event published", f"{_STORE}.outgoing", "SqlOutgoing", "publish"),
    Point(HES, "new key kept", "ami_hes.registry.key_book", "KeyBook", "keep"),
    Point(HES, "about to prove a key", "ami_hes.registry.key_book", "KeyBook", "proved", before=True),
    Point(HES, "key proved", "ami_hes.registry.key_book", "KeyBook", "proved"),
    Point(CIS, "request kept", "ami_cis.store.store", "Store", "add_request"),
    Point(CIS, "about to send", "ami_cis.outbox", "Outbox", "send", before=True),
    Point(CIS, "sent", "ami_cis.outbox", "Outbox", "send"),
    Point(CIS, "request moved", "ami_cis.store.store", "Store", "move"),
    Point(CIS, "about to keep a reply", "ami_cis.store.store", "Store", "add_reply", before=True),
    Point(CIS, "reply kept", "ami_cis.store.store", "Store", "add_reply"),
    Point(CIS, "event kept", "ami_cis.store.store", "Store", "add_event"),
    Point(METERS, "about to write", "ami_meter_sim.population.journal", "Journal", "write", before=True),
    Point(METERS, "written", "ami_meter_sim.population.journal", "Journal", "write"),
    Point(METERS, "brought in", "ami_meter_sim.population.store", "Store", "bring_in"),
)

NATS_POINTS = (
    Point(HES, "put into a stream", f"{_ENGINE}.nats_commands", "NatsCommands", "put"),
    Point(HES, "about to acknowledge", f"{_ENGINE}.nats_commands", "NatsCommand", "done", before=True),
    Point(HES, "acknowledged", f"{_ENGINE}.nats_commands", "NatsCommands", "acknowledged"),
    Point(HES, "partitions subscribed", f"{_ENGINE}.nats_commands", "NatsCommands", "subscribe", at_start=True),
    Point(HES, "told that there is an answer", f"{_ENGINE}.nats_engine", "NatsEvents", "publish"),
    Point(HES, "told that a reply is owed", f"{_ENGINE}.nats_engine", "HandedReplies", "put"),
    Point(HES, "claimed", f"{_ENGINE}.holding", "Holding", "claim"),
)
"""Where several processes are the head-end."""
FRONTS, WORKERS, LISTENERS = ("hes", "front"), ("worker1", "worker2"), ("listener1", "listener2")
_AT_WORKERS = (
    "counters reserved",
    "about to act",
    "about to save",
    "saved",
    "about to answer",
    "answered",
    "new key kept",
    "about to prove a key",
    "key proved",
    "about to acknowledge",
    "acknowledged",
    "partitions subscribed",
    "told that there is an answer",
    "told that a reply is owed",
)
_AT_FRONTS = (
    "about to accept",
    "accepted",
    "put into a stream",
    "about to post",
    "posted",
    "replied",
    "event published",
)
_AT_LISTENERS = ("received counter kept", "device event kept", "claimed")
AT: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(_AT_WORKERS, WORKERS),
    **dict.fromkeys(_AT_FRONTS, FRONTS),
    **dict.fromkeys(_AT_LISTENERS, LISTENERS),
}
"""Which of several processes come to a point of the head-end; those of the engine of a single one are not there."""
SCALED_POINTS = tuple(one for one in (*POINTS, *NATS_POINTS) if one.process != HES or one.name in AT)


def of_process(process: str) -> list[Point]:
    """Those of a package."""
    return [one for one in (*POINTS, *NATS_POINTS) if one.process == process]

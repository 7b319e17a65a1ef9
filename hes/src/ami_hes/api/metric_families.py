"""The metrics of the HES as data: their names, labels and meanings, which `/metrics` gives, docs/metrics.md says and dashboards may count on.

Labels have few values each: nouns, operations, reply codes, lanes, and at most a hundred groups of meters; never a meter or a MessageID.
"""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from ami_hes.store import Latency

Counts = Counter[tuple[str, ...]]
"""By the values of labels."""

L = TypeVar("L", bound=tuple[str, ...])
COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"


class Family(NamedTuple):
    """A metric; a counter is exposed with `_total` behind its name, a histogram with `_bucket`, `_sum` and `_count`."""

    name: str
    kind: str
    about: str
    labels: tuple[str, ...] = ()
    everywhere: bool = False
    """Whether workers have it as well, each for itself; the others are those of front ends."""
    listening: bool = False
    """Of those of front ends, whether listeners have it as well."""


def _counter(name: str, about: str, *labels: str, everywhere: bool = False) -> Family:
    return Family(name, COUNTER, about, labels, everywhere)


def _gauge(name: str, about: str, *labels: str, everywhere: bool = False) -> Family:
    return Family(name, GAUGE, about, labels, everywhere)


PROCESS = _gauge("hes_process", "1, with the role of the process: front, listener, worker", "role", everywhere=True)
METERS = _gauge("hes_meters", "Meters of the registry; at a worker those that it has used recently", everywhere=True)
REQUESTS = _counter("hes_requests", "Messages that came as requests", "noun", "outcome")
COMMANDS = _counter(
    "hes_commands", "Commands with their result kept", "operation", "outcome", "reply_code", everywhere=True
)
REPLIES = _counter("hes_replies", "Replies: returned at once, sent to their address, postponed, given up", "outcome")
NOTIFICATIONS = Family(
    "hes_notifications", COUNTER, "What meters sent unasked", ("transport", "outcome"), listening=True
)
SESSIONS = _counter("hes_sessions", "How sessions with meters began", "how", everywhere=True)
SESSIONS_HELD = _gauge("hes_sessions_held", "Sessions with meters that are held now", everywhere=True)
APDUS = _counter("hes_apdus", "APDUs over connections with meters", "direction", everywhere=True)
DATAGRAMS = Family(
    "hes_datagrams",
    COUNTER,
    "Datagrams to the port for pushes: taken from the kernel, worked on, lost in the kernel for want of room",
    ("outcome",),
    listening=True,
)
DATAGRAMS_WAITING = Family(
    "hes_datagrams_waiting", GAUGE, "Datagrams that were taken and not worked on yet", listening=True
)
DATAGRAM_BUFFER = Family("hes_datagram_buffer_octets", GAUGE, "Receive buffer that the system grants", listening=True)
SECURITY_REFUSALS = _counter(
    "hes_security_refusals", "What came in the name of a meter and was not believed", "kind", everywhere=True
)
COMMANDS_OPEN = _gauge("hes_commands_open", "Commands without a result, in the store", "lane")
DEVICE_EVENTS_WAITING = _gauge("hes_device_events_waiting", "Events not told yet", "importance")
REQUESTS_OPEN = _gauge("hes_requests_open", "Requests without an answer")
REPLIES_OWED = _gauge("hes_replies_owed", "Replies that are not taken yet")
DEAD_LETTERS = _gauge("hes_dead_letters", "Replies that were given up and are kept")
STORE_TRANSACTIONS = Family(
    "hes_store_transaction_seconds", HISTOGRAM, "Transactions of the store, with their waiting time", everywhere=True
)
OUTAGES = _counter(
    "hes_outages", "How often the store or the engine (NATS) could not be reached any more", "of", everywhere=True
)

LANE_DEPTH = _gauge(
    "hes_lane_depth",
    "Commands of all processes that are not done, waiting or in hand: what is in the lane's stream, or in the memory of the one process there is; what autoscaling goes by",
    "lane",
    everywhere=True,
)
LANE_LIMIT = _gauge("hes_lane_limit", "The depth beyond which nothing is accepted (max_pending)", "lane")
LANE_PLACES = _gauge(
    "hes_lane_places",
    "Commands of this lane and those below it that the process works at once; 0 where it works none, as a front end that does not listen",
    "lane",
    everywhere=True,
)
LANE_WAITING = _gauge(
    "hes_lane_waiting", "Commands in this process that wait for a place or a meter", "lane", everywhere=True
)
LANE_IN_HAND = _gauge(
    "hes_lane_in_hand",
    "Commands that this process works, results that are not stored yet included",
    "lane",
    everywhere=True,
)
LANE_DONE = _counter("hes_lane_done", "Commands with their result kept", "lane", "outcome", everywhere=True)
LANE_REFUSED = _counter("hes_lane_refused", "Commands that were refused since their lane was full", "lane")
LANE_WAITED = Family(
    "hes_lane_wait_seconds",
    HISTOGRAM,
    "From when a command came into this process until it was taken for the first time",
    ("lane",),
    everywhere=True,
)
GROUP_IN_HAND = _gauge(
    "hes_group_in_hand",
    "Commands that this process works, by group of meters (`[[hes.groups]]`)",
    "group",
    everywhere=True,
)
GROUP_DONE = _counter(
    "hes_group_done",
    "Commands with their result kept, by group of meters: the first hundred groups that have work by name, the rest as other",
    "group",
    "outcome",
    everywhere=True,
)
ENGINE_UP = _gauge(
    "hes_engine_up",
    "1 where the engine that dispatches commands answers, 0 where NATS can't be reached",
    everywhere=True,
)
PARTITIONS = _gauge("hes_partitions", "Partitions of the meters that this process has, of 64", everywhere=True)
PARTITIONS_MOVED = _counter(
    "hes_partitions_moved", "Partitions that this process has taken, given to others, lost", "how", everywhere=True
)

IN_CHARGE = _gauge(
    "hes_in_charge",
    "1 at the front end that has schedules, campaigns, replies and what waits for its time, 0 at others",
)

ALL = tuple(one for one in list(globals().values()) if isinstance(one, Family))
"""In the order in which they are declared."""


def counter(family: Family, counts: Mapping[L, int]) -> Metric:
    """By the values of its labels, in their order."""
    metric = CounterMetricFamily(family.name, family.about, labels=family.labels)
    for values, number in sorted(counts.items()):
        metric.add_metric(values, number)
    return metric


def gauge(family: Family, values: Mapping[L, float]) -> Metric:
    """Likewise."""
    metric = GaugeMetricFamily(family.name, family.about, labels=family.labels)
    for labels, value in sorted(values.items()):
        metric.add_metric(labels, value)
    return metric


def single(family: Family, value: float) -> Metric:
    """A gauge without labels."""
    return GaugeMetricFamily(family.name, family.about, value)


def histogram(family: Family, values: Mapping[L, Latency]) -> Metric:
    """Likewise, of durations in seconds."""
    metric = HistogramMetricFamily(family.name, family.about, labels=family.labels)
    for labels, one in values.items():
        bounds = [*map(str, one.bounds_s), "+Inf"]
        metric.add_metric(labels, list(zip(bounds, one.cumulative(), strict=True)), one.sum_s)
    return metric

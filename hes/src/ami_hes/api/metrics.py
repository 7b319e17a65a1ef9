"""`/metrics` for Prometheus: counted from the events that the process reports, and read where it keeps account, when it is asked for.

Counting costs an addition per event. Labels have few values each: nouns, operations, reply codes; never a meter or a MessageID.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_hes import events
from ami_hes.api import paths, query
from ami_hes.store.database import Latency
from ami_hes.store.history import Backlog, SqlHistory
from ami_process.events import Emit, Event

Counts = Counter[tuple[str, ...]]
"""By the values of labels."""
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class TrafficCounts(Protocol):
    """APDUs over all connections with meters."""

    received: int
    sent: int


class DatagramCounts(Protocol):
    """Of the socket for pushes by UDP."""

    taken: int
    worked: int
    granted_octets: int
    lost_in_kernel: int | None

    @property
    def waiting(self) -> int: ...


class Measured(NamedTuple):
    """Where the process keeps account of itself."""

    meters: Callable[[], int]
    """Of the registry."""
    sessions: Counter[str]
    at_work: Callable[[], int]
    traffic: TrafficCounts
    datagrams: Callable[[], DatagramCounts]
    refused: Callable[[], Mapping[str, int]]
    """What came in the name of a meter and was not believed, by kind."""
    latency: Latency
    history: SqlHistory
    events_waiting: Callable[[], Awaitable[Sequence[int]]]
    """Events of meters that are not made into messages yet, by importance."""


class Metrics:
    """Counts events on their way to where they are reported."""

    def __init__(self) -> None:
        self.requests: Counts = Counter()
        self.commands: Counts = Counter()
        self.replies: Counts = Counter()
        self.notifications: Counts = Counter()
        self._count: dict[type[Event], Callable[..., None]] = {
            events.RequestAccepted: lambda event: self._add(self.requests, event.noun, "accepted"),
            events.RequestRepeated: lambda _: self._add(self.requests, "", "repeated"),
            events.RequestRefused: lambda _: self._add(self.requests, "", "refused"),
            events.RequestUnreadable: lambda _: self._add(self.requests, "", "unreadable"),
            events.RequestTooCostly: lambda _: self._add(self.requests, "", "refused"),
            events.MeterDone: self._command,
            events.ReplySent: lambda event: self._add(self.replies, "sent" if event.asynchronous else "returned"),
            events.ReplyPostponed: lambda _: self._add(self.replies, "postponed"),
            events.ReplyDeadLetter: lambda _: self._add(self.replies, "given_up"),
            events.Notification: lambda event: self._add(self.notifications, event.transport, "taken"),
            events.Dropped: lambda event: self._add(self.notifications, event.transport, "dropped"),
            events.DroppedMore: lambda event: self._add(
                self.notifications, event.transport, "dropped", times=event.number
            ),
        }

    def counting(self, emit: Emit) -> Emit:
        """The sink that counts what it hands on."""

        def counted(event: Event) -> None:
            count = self._count.get(type(event))
            if count is not None:
                count(event)
            emit(event)

        return counted

    def _command(self, event: events.MeterDone) -> None:
        self._add(self.commands, event.operation, "ok" if event.ok else "failed", event.reply_code or "")

    @staticmethod
    def _add(counter: Counts, *labels: str, times: int = 1) -> None:
        counter[labels] += times


class _Collector(Collector):
    def __init__(self, metrics: Metrics, measured: Measured, backlog: Backlog, events_waiting: Sequence[int]) -> None:
        self._metrics = metrics
        self._measured = measured
        self._backlog = backlog
        self._events_waiting = events_waiting

    def collect(self) -> Iterator[Metric]:
        """All of them, as they are now."""
        counted, measured = self._metrics, self._measured
        yield GaugeMetricFamily("hes_meters", "Meters of the registry", measured.meters())
        yield _counter("hes_requests", "Messages that came as requests", counted.requests, "noun", "outcome")
        yield _counter(
            "hes_commands", "Commands with their result kept", counted.commands, "operation", "outcome", "reply_code"
        )
        yield _counter(
            "hes_replies",
            "Replies: returned at once, sent to their address, postponed, given up",
            counted.replies,
            "outcome",
        )
        yield _counter("hes_notifications", "What meters sent unasked", counted.notifications, "transport", "outcome")
        began: Counts = Counter({(how,): number for how, number in measured.sessions.items()})
        yield _counter("hes_sessions", "How sessions with meters began", began, "how")
        yield GaugeMetricFamily("hes_sessions_held", "Sessions with meters that are held now", measured.at_work())
        apdus: Counts = Counter({("received",): measured.traffic.received, ("sent",): measured.traffic.sent})
        yield _counter("hes_apdus", "APDUs over connections with meters", apdus, "direction")
        yield from _datagrams(measured.datagrams())
        refused: Counts = Counter({(kind,): number for kind, number in measured.refused().items()})
        yield _counter(
            "hes_security_refusals", "What came in the name of a meter and was not believed", refused, "kind"
        )
        yield from self._waiting()
        yield _histogram(measured.latency)

    def _waiting(self) -> Iterator[Metric]:
        backlog = self._backlog
        lanes = GaugeMetricFamily("hes_commands_open", "Commands without a result", labels=["lane"])
        for lane, number in sorted(backlog.commands.items()):
            lanes.add_metric([lane], number)
        yield lanes
        waiting = GaugeMetricFamily("hes_device_events_waiting", "Events not told yet", labels=["importance"])
        for rank, number in enumerate(self._events_waiting):
            waiting.add_metric([str(rank)], number)
        yield waiting
        yield GaugeMetricFamily("hes_requests_open", "Requests without an answer", backlog.requests)
        yield GaugeMetricFamily("hes_replies_owed", "Replies that are not taken yet", backlog.replies_owed)
        yield GaugeMetricFamily("hes_dead_letters", "Replies that were given up and are kept", backlog.dead_letters)


def metrics_routes(metrics: Metrics, measured: Measured) -> list[Route]:
    """GET gives all of them."""

    async def expose(_: Request) -> Response:
        with query.looking():
            backlog, waiting = await measured.history.backlog(), await measured.events_waiting()
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(metrics, measured, backlog, waiting))
        return Response(generate_latest(registry), media_type=CONTENT_TYPE)

    return [Route(paths.METRICS, expose, methods=["GET"])]


def _datagrams(counts: DatagramCounts) -> Iterator[Metric]:
    known: Counts = Counter({("taken",): counts.taken, ("worked",): counts.worked})
    if counts.lost_in_kernel is not None:
        known["lost_in_kernel",] = counts.lost_in_kernel
    about = "Datagrams to the port for pushes: taken from the kernel, worked on, lost in the kernel for want of room"
    yield _counter("hes_datagrams", about, known, "outcome")
    yield GaugeMetricFamily("hes_datagrams_waiting", "Datagrams that were taken and not worked on yet", counts.waiting)
    yield GaugeMetricFamily(
        "hes_datagram_buffer_octets", "Receive buffer that the system grants", counts.granted_octets
    )


def _counter(name: str, about: str, counts: Counts, *labels: str) -> Metric:
    family = CounterMetricFamily(name, about, labels=labels)
    for values, number in sorted(counts.items()):
        family.add_metric(values, number)
    return family


def _histogram(latency: Latency) -> Metric:
    bounds = [*map(str, latency.BOUNDS_S), "+Inf"]
    buckets = list(zip(bounds, latency.cumulative(), strict=True))
    family = HistogramMetricFamily(
        "hes_store_transaction_seconds", "Transactions of the store, with their waiting time"
    )
    family.add_metric([], buckets, latency.sum_s)
    return family

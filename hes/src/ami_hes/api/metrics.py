"""`/metrics` for Prometheus: counted from the events that the process reports, and read where it keeps account, when it is asked for.

Counting costs an addition per event. What there is is said by `metric_families`. A worker has what it does itself; a front end has that,
what came from clients, and what is open in the store.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_hes import events
from ami_hes.api import metric_families as families
from ami_hes.api import paths, query
from ami_hes.api.lane_metrics import LaneMetrics
from ami_hes.api.metric_families import Counts, counter, gauge, histogram, single
from ami_hes.store import Latency
from ami_hes.store.history import Backlog, SqlHistory
from ami_process.events import Emit, Event

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


class FrontMeasured(NamedTuple):
    """Where a front end keeps account of what is for all processes."""

    history: SqlHistory
    events_waiting: Callable[[], Awaitable[Sequence[int]]]
    """Events of meters that are not made into messages yet, by importance."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Where the process keeps account of itself."""

    role: str
    meters: Callable[[], int]
    """Of the registry."""
    sessions: Counter[str]
    at_work: Callable[[], int]
    traffic: TrafficCounts
    refused: Callable[[], Mapping[str, int]]
    """What came in the name of a meter and was not believed, by kind."""
    latency: Latency
    lanes: LaneMetrics
    datagrams: Callable[[], DatagramCounts] | None = None
    """None where meters neither dial in nor push."""
    front: FrontMeasured | None = None


class Metrics:
    """Counts events on their way to where they are reported."""

    def __init__(self) -> None:
        self.requests: Counts = Counter()
        self.commands: Counts = Counter()
        self.replies: Counts = Counter()
        self.notifications: Counts = Counter()
        self.outages: Counts = Counter({("store",): 0, ("engine",): 0})
        self.moved: Counts = Counter()
        self.in_charge = False
        self.partitions: int | None = None
        """None where a process has all of them for good."""
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
            events.StoreOutage: lambda _: self._add(self.outages, "store"),
            events.EngineOutage: lambda _: self._add(self.outages, "engine"),
            events.ChargeTaken: lambda _: self._charged(is_mine=True),
            events.ChargeLost: lambda _: self._charged(is_mine=False),
            events.PartitionsTaken: lambda event: self._moved("taken", event.partitions, event.owned),
            events.PartitionsGiven: lambda event: self._moved("given", event.partitions, event.owned),
            events.PartitionsLost: lambda event: self._moved("lost", event.partitions, 0),
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

    def _charged(self, *, is_mine: bool) -> None:
        self.in_charge = is_mine

    def _moved(self, how: str, partitions: int, owned: int) -> None:
        self._add(self.moved, how, times=partitions)
        self.partitions = owned

    @staticmethod
    def _add(counts: Counts, *labels: str, times: int = 1) -> None:
        counts[labels] += times


class Exposed(Collector):
    """All metrics of a process, as they are now."""

    def __init__(self, metrics: Metrics, measured: Measured, asked: Sequence[Metric]) -> None:
        """`asked`: those for which the store or the engine was asked."""
        self._metrics = metrics
        self._measured = measured
        self._asked = asked

    def collect(self) -> Iterator[Metric]:
        measured = self._measured
        yield gauge(families.PROCESS, {(measured.role,): 1})
        yield single(families.METERS, measured.meters())
        yield from self._counted()
        yield counter(families.SESSIONS, {(how,): number for how, number in measured.sessions.items()})
        yield single(families.SESSIONS_HELD, measured.at_work())
        traffic = measured.traffic
        yield counter(families.APDUS, {("received",): traffic.received, ("sent",): traffic.sent})
        if measured.datagrams is not None:
            yield counter(families.NOTIFICATIONS, self._metrics.notifications)
            yield from _datagrams(measured.datagrams())
        yield counter(families.SECURITY_REFUSALS, {(kind,): number for kind, number in measured.refused().items()})
        yield histogram(families.STORE_TRANSACTIONS, {(): measured.latency})
        yield from measured.lanes.counted()
        yield from self._asked

    def _counted(self) -> Iterator[Metric]:
        """From events."""
        counted = self._metrics
        yield counter(families.COMMANDS, counted.commands)
        yield counter(families.OUTAGES, counted.outages)
        if counted.partitions is not None:
            yield single(families.PARTITIONS, counted.partitions)
            yield counter(families.PARTITIONS_MOVED, counted.moved)
        if self._measured.front is not None:
            yield counter(families.REQUESTS, counted.requests)
            yield counter(families.REPLIES, counted.replies)
            if counted.partitions is not None:
                yield single(families.IN_CHARGE, int(counted.in_charge))


def metrics_routes(metrics: Metrics, measured: Measured) -> list[Route]:
    """GET gives all of them."""

    async def expose(_: Request) -> Response:
        asked = await measured.lanes.asked()
        if measured.front is not None:
            with query.looking():
                backlog, waiting = await measured.front.history.backlog(), await measured.front.events_waiting()
            asked += _waiting(backlog, waiting)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(Exposed(metrics, measured, asked))
        ProcessCollector(registry=registry)
        return Response(generate_latest(registry), media_type=CONTENT_TYPE)

    return [Route(paths.METRICS, expose, methods=["GET"])]


def _waiting(backlog: Backlog, events_waiting: Sequence[int]) -> list[Metric]:
    return [
        gauge(families.COMMANDS_OPEN, {(lane,): number for lane, number in backlog.commands.items()}),
        gauge(families.DEVICE_EVENTS_WAITING, {(str(rank),): number for rank, number in enumerate(events_waiting)}),
        single(families.REQUESTS_OPEN, backlog.requests),
        single(families.REPLIES_OWED, backlog.replies_owed),
        single(families.DEAD_LETTERS, backlog.dead_letters),
    ]


def _datagrams(counts: DatagramCounts) -> Iterator[Metric]:
    known = {("taken",): counts.taken, ("worked",): counts.worked}
    if counts.lost_in_kernel is not None:
        known["lost_in_kernel",] = counts.lost_in_kernel
    yield counter(families.DATAGRAMS, known)
    yield single(families.DATAGRAMS_WAITING, counts.waiting)
    yield single(families.DATAGRAM_BUFFER, counts.granted_octets)

"""Spans for a collector of OpenTelemetry, over OTLP and HTTP: a bounded queue, and one task that hands on what has gathered.

Nothing is waited for. What the queue does not hold, and what the collector does not take within `PATIENCE_S` (in which the exporter tries again), is lost and
counted. Needs the extra `otel`, which is imported here and nowhere else, and only where a collector is set.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ami_hes import events
from ami_hes.traces.exported import MOST_WHY, MOST_WORD, Exported
from ami_process.environment import real_sleep
from ami_process.events import Emit
from ami_process.settings import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter

MOST_WAITING = 20_000
BATCH = 512
GATHER_S = 1.0
PATIENCE_S = 5.0
STOP_S = 2.0
NEEDS = "hes.telemetry.endpoint: the exporter of OpenTelemetry is not installed: pip install 'ami-hes[otel]', or leave the endpoint out"
SCOPE = "ami_hes"
TOO_MANY = f"more than {MOST_WAITING} waited for the collector"
STOPPED = "the process has stopped before the collector was known to have them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """Where spans go, and whose they are. `authorities`: a file with those that have signed its certificate; None: the usual ones."""

    endpoint: str
    headers: Mapping[str, str] = field(repr=False)
    authorities: str | None
    service: str
    version: str
    instance: str
    role: str


class Telemetry:
    """What the parts of the process tell it, in order; spans that no collector has are counted and told."""

    def __init__(self, collector: Collector, emit: Emit) -> None:
        """Raises SettingsError without the extra."""
        self._lost: Counter[str] = Counter()
        """By why; told and forgotten with the next ones that are handed on."""
        self._emit = emit
        self._endpoint = collector.endpoint
        self._waiting: deque[Exported] = deque()
        self._there = asyncio.Event()
        self._exporter, self._resource = _opened(collector)

    def tell(self, spans: Iterable[Exported]) -> None:
        """From the event loop; they are handed on later."""
        for one in spans:
            if len(self._waiting) >= MOST_WAITING:
                self._lost[TOO_MANY] += 1
            else:
                self._waiting.append(one)
        self._there.set()

    async def work(self) -> None:
        """Until cancelled; then what waits is handed on, if that is done in a moment."""
        try:
            while True:
                await self._there.wait()
                if len(self._waiting) < BATCH:
                    await real_sleep(GATHER_S)
                await self._hand_on()
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    while self._waiting:
                        await self._hand_on()
            self._lost[STOPPED] += len(self._waiting)
            self._waiting.clear()
            self._tell_lost()
            self._exporter.shutdown()

    async def _hand_on(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        if not self._waiting:
            self._there.clear()
        try:
            taken = not batch or await asyncio.to_thread(self._export, batch)
        except asyncio.CancelledError:
            self._lost[STOPPED] += len(batch)
            raise
        if not taken:
            self._lost[f"{self._endpoint} has not taken them within {PATIENCE_S:g} s"] += len(batch)
        self._tell_lost()

    def _tell_lost(self) -> None:
        for reason, spans in self._lost.items():
            if spans:
                self._emit(events.TelemetryLost(spans=spans, reason=reason))
        self._lost.clear()

    def _export(self, batch: Sequence[Exported]) -> bool:
        """In a thread."""
        from opentelemetry.sdk.trace.export import SpanExportResult

        try:
            spans = [_span(one, self._resource) for one in batch]
            return bool(self._exporter.export(spans) is SpanExportResult.SUCCESS)
        except Exception:  # noqa: BLE001  # told as lost; what is told of work never ends the work
            return False


def _opened(collector: Collector) -> tuple[SpanExporter, Resource]:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
    except ImportError:
        raise SettingsError(NEEDS) from None
    said = {
        "service.name": collector.service,
        "service.version": collector.version,
        "service.instance.id": collector.instance,
        "ami.role": collector.role,
    }
    exporter = OTLPSpanExporter(
        endpoint=collector.endpoint,
        certificate_file=collector.authorities,
        headers=dict(collector.headers),
        timeout=PATIENCE_S,
    )
    return exporter, Resource(said)


def _span(one: Exported, resource: Resource) -> ReadableSpan:
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

    def place(trace: int, span: int, *, remote: bool) -> Any:
        return SpanContext(trace, span, is_remote=remote, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    fault = one.fault
    passed = [
        Event(
            apdu.name,
            {"ami.direction": "request" if apdu.sent else "response", "ami.octets": apdu.octets},
            _ns(apdu.at),
        )
        for apdu in one.passed
    ]
    return ReadableSpan(
        name=one.name[:MOST_WORD],
        context=place(one.trace, one.span, remote=False),
        parent=None if one.parent is None else place(one.trace, one.parent, remote=True),
        resource=resource,
        attributes=_attributes(one),
        events=passed,
        links=() if one.link is None else [Link(place(*one.link, remote=True))],
        kind=SpanKind[one.role.upper()],
        status=Status(StatusCode.OK) if fault is None else Status(StatusCode.ERROR, fault[:MOST_WHY]),
        start_time=_ns(one.began_at),
        end_time=max(_ns(one.began_at), _ns(one.ended_at)),
        instrumentation_scope=InstrumentationScope(SCOPE),
    )


def _attributes(one: Exported) -> dict[str, str | int | bool]:
    """Without those that say nothing."""
    values = {"ami.message_id": one.message_id, **one.attributes}
    return {
        name: value[:MOST_WORD] if isinstance(value, str) else value
        for name, value in values.items()
        if value is not None and value != ""
    }


def _ns(at: datetime) -> int:
    return round(at.timestamp() * 1e6) * 1_000

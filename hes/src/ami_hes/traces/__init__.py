"""Traces of requests: what is kept of them while the work goes on, and how they are put together when somebody asks (docs/adr/0033)."""

from ami_hes.traces.arrivals import Arrival, arrival_of, arriving, note_arrival
from ami_hes.traces.assembling import TraceBook
from ami_hes.traces.exported import answered, delivered
from ami_hes.traces.keeping import TraceKeeper, TraceLimits, TracesKept
from ami_hes.traces.pushes import ToldPush
from ami_hes.traces.refusals import Refusal, message_id_in
from ami_hes.traces.telemetry import Collector, Telemetry
from ami_hes.traces.trace_ids import TRACEPARENT, SpanPlace, format_traceparent, parse_traceparent
from ami_hes.traces.turns import RETRY_AFTER_S, TracesBusy, Turns

__all__ = [
    "RETRY_AFTER_S",
    "TRACEPARENT",
    "Arrival",
    "Collector",
    "Refusal",
    "SpanPlace",
    "Telemetry",
    "ToldPush",
    "TraceBook",
    "TraceKeeper",
    "TraceLimits",
    "TracesBusy",
    "TracesKept",
    "Turns",
    "answered",
    "arrival_of",
    "arriving",
    "delivered",
    "format_traceparent",
    "message_id_in",
    "note_arrival",
    "parse_traceparent",
]

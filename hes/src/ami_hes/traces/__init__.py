"""Traces of requests: what is kept of them while the work goes on, and how they are put together when somebody asks (docs/adr/0033)."""

from ami_hes.traces.arrivals import Arrival, arriving, note_arrival
from ami_hes.traces.assembling import TraceBook
from ami_hes.traces.keeping import TraceKeeper, TraceLimits, TracesKept

__all__ = [
    "Arrival",
    "TraceBook",
    "TraceKeeper",
    "TraceLimits",
    "TracesKept",
    "arriving",
    "note_arrival",
]

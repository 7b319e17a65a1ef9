"""Events on standard output, one JSON object per line; `ami` and other programs read them.

A line begins with `event` and `at` (UTC, ISO 8601), then the fields of the event. What libraries log as a warning or worse
comes out the same way, as the event `log`. A reader that does not read, or that has gone, holds nothing up: what it misses
is counted in `events_dropped`.
"""

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from ami_process.output import Output


class Emit(Protocol):
    """Writes one event."""

    def __call__(self, event: str, /, **fields: object) -> object: ...


def utc_now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)


class Events:
    """Writes events to an output: itself called (`Emit`), by structlog's loggers, and by what libraries log."""

    def __init__(self, output: Output, now: Callable[[], datetime]) -> None:
        self._output = output
        self._now = now
        self._written: tuple[Processor, ...] = (self._stamp, structlog.processors.JSONRenderer(default=str))
        self._emit: Emit = structlog.wrap_logger(_Lines(output), processors=self._written).msg

    def __call__(self, event: str, /, **fields: object) -> None:
        """Write one event."""
        self._emit(event, **fields)

    def flush(self) -> None:
        """Wait for a moment until the reader has everything: before the process ends without further ado."""
        self._output.flush()

    def configure_loggers(self) -> None:
        """What structlog's loggers say is an event with a `level`; what libraries log is an event `log`."""
        lines = _Lines(self._output)
        structlog.configure(
            processors=[structlog.processors.add_log_level, structlog.processors.format_exc_info, *self._written],
            logger_factory=lambda *_: lines,
        )
        logging.basicConfig(handlers=[_LibraryEvents(self)], level=logging.WARNING, force=True)

    def _stamp(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {"event": event.pop("event"), "at": self._now().isoformat(), **event}


@contextmanager
def events_on_standard_output(now: Callable[[], datetime] = utc_now) -> Iterator[Events]:
    """Events go to standard output until the end of this context, which writes what is left."""

    def missing(count: int) -> str:
        return json.dumps({"event": "events_dropped", "at": now().isoformat(), "count": count})

    output = Output(_standard_output(), missing)
    events = Events(output, now)
    events.configure_loggers()
    try:
        yield events
    finally:
        output.close()


def _standard_output() -> int:
    """Its descriptor; when the process was started without one, that number may belong to a socket by now."""
    return sys.stdout.fileno() if sys.stdout is not None else os.open(os.devnull, os.O_WRONLY)


class _Lines:
    """What structlog writes to: a line per call, whatever the level."""

    def __init__(self, output: Output) -> None:
        self.msg = self.debug = self.info = self.warning = self.error = self.critical = output.write
        self.exception = self.fatal = output.write


class _LibraryEvents(logging.Handler):
    def __init__(self, emit: Emit) -> None:
        super().__init__()
        self._emit = emit

    def emit(self, record: logging.LogRecord) -> None:
        self._emit("log", level=record.levelname.lower(), logger=record.name, message=self.format(record))

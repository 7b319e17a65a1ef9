"""Events on standard output, one JSON object per line; `ami` and other programs read them.

A line begins with `event` and `at` (UTC, ISO 8601), then the fields of the event. What libraries log as a warning or worse
comes out the same way, as the event `log`.
"""

import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger


class Emit(Protocol):
    """Writes one event."""

    def __call__(self, event: str, /, **fields: object) -> object: ...


def utc_now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)


def configure_events(now: Callable[[], datetime] = utc_now) -> Emit:
    """Send what structlog's loggers and libraries say to standard output; gives a function that writes an event.

    Events of structlog's loggers have a `level` in addition.
    """

    def stamp(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {"event": event.pop("event"), "at": now().isoformat(), **event}

    written: list[Processor] = [stamp, structlog.processors.JSONRenderer(default=str)]
    output = structlog.PrintLoggerFactory(sys.stdout)
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.format_exc_info, *written],
        logger_factory=output,
    )
    emit: Emit = structlog.wrap_logger(output(), processors=written).msg
    logging.basicConfig(handlers=[_LibraryEvents(emit)], level=logging.WARNING, force=True)
    return emit


class _LibraryEvents(logging.Handler):
    def __init__(self, emit: Emit) -> None:
        super().__init__()
        self._emit = emit

    def emit(self, record: logging.LogRecord) -> None:
        self._emit("log", level=record.levelname.lower(), logger=record.name, message=self.format(record))

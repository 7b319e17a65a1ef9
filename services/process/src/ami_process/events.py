"""Events on standard output, one JSON object per line; `ami` and other programs read them.

A package declares each of its events as a frozen dataclass in its `events` module; the parts that have something to report
are handed a sink (`Emit`). A line begins with `event` (the class in snake_case) and `at` (UTC, ISO 8601), then the fields in
the order of their declaration, then `level` if the class has one. What libraries log as a warning or worse comes out the same
way, as the event `log`. A reader that does not read, or that has gone, holds nothing up: what it misses is counted in
`events_dropped`.
"""

import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any, ClassVar, Literal

from ami_process import sockets
from ami_process.output import Output

Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened; no field of any event holds a key, a password or a token."""

    event: ClassVar[str] = ""
    severity: ClassVar[Severity | None] = None

    def __init_subclass__(cls) -> None:
        cls.event = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


Emit = Callable[[Event], None]
"""Takes one event."""


def as_object(event: Event) -> dict[str, Any]:
    """The JSON object of an event but for `at`; what is inside a field is left as it is.

    A field that is None by default is left out where it is None.
    """
    cls = type(event)
    found: dict[str, Any] = {"event": cls.event}
    for name, optional in _fields_of(cls):
        value = getattr(event, name)
        if value is not None or not optional:
            found[name] = value
    if cls.severity is not None:
        found["level"] = cls.severity
    return found


def _fields_of(cls: type[Event]) -> tuple[tuple[str, bool], ...]:
    """Their names, and whether one is left out where it is None; a simulator has thousands of events a second."""
    found = _FIELDS.get(cls)
    if found is None:
        found = _FIELDS[cls] = tuple([(one.name, one.default is None) for one in fields(cls)])
    return found


_FIELDS: dict[type[Event], tuple[tuple[str, bool], ...]] = {}


def format_object(found: dict[str, Any]) -> str:
    """The JSON text of such an object: dataclasses as objects, what JSON does not know as text."""
    return _encode(found)


def format_fault(fault: BaseException) -> str:
    """The traceback of a fault of ours, for an event's field `exception`."""
    return "".join(traceback.format_exception(fault)).rstrip()


def utc_now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Log(Event):
    """A library has logged a warning or worse."""

    level: str
    """Of the library's logger, in small letters."""
    logger: str
    """Its name."""
    message: str
    """What it said, with the traceback if there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsDropped(Event):
    """The reader of standard output did not keep up, and lines are missing here."""

    count: int
    """How many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready(Event):
    """The process serves."""

    role: str
    """`cis`, `hes` or `meter`."""
    listen: list[str]
    """The addresses that it listens on."""
    meters: list[str] | None = None
    """Of a process with simulated meters: their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CannotListen(Event):
    """The process ends, because it can't listen where it should."""

    severity: ClassVar[Severity | None] = "error"

    address: str
    """`host:port`."""
    setting: str
    """Where it was chosen."""
    reason: str
    """The operating system's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortTaken(CannotListen):
    """The process ends, because another program listens where it should."""


def cannot_listen(problem: sockets.ListenFailed) -> CannotListen:
    """The event of this exception."""
    kind = PortTaken if isinstance(problem, sockets.AddressInUse) else CannotListen
    return kind(address=problem.address, setting=problem.setting, reason=problem.reason)


class Events:
    """Writes events to an output, and what libraries log with them."""

    def __init__(self, output: Output, now: Callable[[], datetime]) -> None:
        self._output = output
        self._now = now

    def __call__(self, event: Event) -> None:
        """Write one event."""
        self._output.write(_line(event, self._now()))

    def flush(self) -> None:
        """Wait for a moment until the reader has everything: before the process ends without further ado."""
        self._output.flush()

    def take_library_logs(self) -> None:
        """What libraries log is an event `log`."""
        logging.basicConfig(handlers=[_LibraryLogs(self)], level=logging.WARNING, force=True)


@contextmanager
def events_on_standard_output(now: Callable[[], datetime] = utc_now) -> Iterator[Events]:
    """Events go to standard output until the end of this context, which writes what is left."""

    def missing(count: int) -> str:
        return _line(EventsDropped(count=count), now())

    output = Output(_standard_output(), missing)
    events = Events(output, now)
    events.take_library_logs()
    try:
        yield events
    finally:
        output.close()


def _line(event: Event, at: datetime) -> str:
    """The text of its JSON object, field by field: words and whole numbers, which most fields are, without an encoder."""
    cls = type(event)
    parts = [f'{{"event": "{cls.event}", "at": "{at.isoformat()}"']
    for name, optional in _fields_of(cls):
        value = getattr(event, name)
        if value is not None or not optional:
            kind = type(value)
            text = _quote(value) if kind is str else str(value) if kind is int else _encoded(value)
            parts.append(f'"{name}": {text}')
    if cls.severity is not None:
        parts.append(f'"level": "{cls.severity}"')
    return ", ".join(parts) + "}"


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: getattr(value, one.name) for one in fields(value)}
    return str(value)


def _encoded(value: object) -> str:
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    return repr(value) if type(value) is float and isfinite(value) else _encode(value)


_encode = json.JSONEncoder(default=_plain).encode
_quote = json.encoder.encode_basestring_ascii


def _standard_output() -> int:
    """Its descriptor; when the process was started without one, that number may belong to a socket by now."""
    return sys.stdout.fileno() if sys.stdout is not None else os.open(os.devnull, os.O_WRONLY)


class _LibraryLogs(logging.Handler):
    def __init__(self, emit: Emit) -> None:
        super().__init__()
        self._emit = emit

    def emit(self, record: logging.LogRecord) -> None:
        self._emit(Log(level=record.levelname.lower(), logger=record.name, message=self.format(record)))

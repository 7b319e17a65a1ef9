"""Everything that was said since the last reset: messages at the border, and the APDUs that the head-end has kept of its sessions."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from ami_testkit.border.border import Border, Passed
from ami_testkit.errors import KitError, NotThere
from ami_testkit.messages import Message
from ami_testkit.rest import Rest
from ami_trace.form import Trace


@dataclass(frozen=True, slots=True)
class Apdu:
    """An APDU between head-end and meter: octets as they were on the wire, `clear` without their protection where they had one."""

    at: datetime
    meter: str | None
    direction: str
    octets: bytes
    clear: bytes | None
    words: str


class Journal:
    """`messages` in the order of the border; `trace` and `apdus` by the MessageID of a request."""

    def __init__(self, border: Border, rest: Rest | None) -> None:
        self._border, self._rest = border, rest

    @property
    def messages(self) -> list[Passed]:
        """Every message at the border: when, on which leg, as it came and as it went on, and the faults that happened to it."""
        return self._border.passed.all()

    @property
    def requests(self) -> list[Message]:
        """Requests of clients, as they came."""
        return [one.came for one in self.messages if one.leg == "request"]

    def trace(self, request: str | Message) -> Trace:
        """What the head-end did for a request, by its MessageID. Raises KitError."""
        wanted = _message_id(request)
        return Trace.model_validate(self._api.get(f"/api/v1/traces/{wanted}"))

    def apdus(self, request: str | Message | None = None, *, meter: str | None = None) -> list[Apdu]:
        """Of one request, or of all since the last reset that have a trace; in order of time."""
        if request is not None:
            traces = [self.trace(request)]
        else:
            asked = dict.fromkeys(one.message_id for one in self.requests if one.message_id is not None)
            traces = [trace for one in asked if (trace := self._trace_of(one)) is not None]
        found = [one for trace in traces for one in _apdus(trace) if meter in (None, one.meter)]
        return sorted(found, key=lambda one: one.at)

    def _trace_of(self, message_id: str) -> Trace | None:
        """None of a request that never came to the head-end."""
        try:
            return self.trace(message_id)
        except NotThere:
            return None

    def summary(self) -> str:
        """The messages in lines, for people."""
        return "\n".join(_line(one) for one in self.messages) or "no message has passed the border"

    @property
    def _api(self) -> Rest:
        if self._rest is None:
            raise KitError("only a head-end of ours keeps APDUs; of others the journal has messages alone")
        return self._rest


def _apdus(trace: Trace) -> Iterator[Apdu]:
    meters = {span.id: span.meter for span in trace.spans}
    parents = {span.id: span.parent for span in trace.spans}

    def meter_of(identifier: int | None) -> str | None:
        while identifier is not None:
            if (name := meters.get(identifier)) is not None:
                return name
            identifier = parents.get(identifier)
        return None

    for span, apdu in trace.apdus():
        clear = None if apdu.clear is None else bytes.fromhex(apdu.clear)
        yield Apdu(span.began_at, meter_of(span.id), str(apdu.direction), bytes.fromhex(apdu.octets), clear, span.name)


def _message_id(request: str | Message) -> str | None:
    if not isinstance(request, Message):
        return request
    return request.correlation_id if request.is_reply else request.message_id


def _line(one: Passed) -> str:
    faults = f"  [{', '.join(one.faults)}]" if one.faults else ""
    gone = "" if one.went is not None else "  (did not go on)"
    return f"{one.at:%H:%M:%S.%f} {one.leg:<8} {one.came.summary()}{faults}{gone}"

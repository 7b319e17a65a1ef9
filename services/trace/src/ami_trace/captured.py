"""A trace as a capture for Wireshark: both legs, every message with the MessageID and the meter, and clear APDUs behind the ciphered ones.

Packets are synthetic: a trace knows messages, addresses of meters and times, and not what carried them. CIM goes between `CIS` and `HES`
at port 80, where every reader looks for HTTP; APDUs go in the wrapper between `HES` and the meter, a TCP connection for each that the
trace has, and in datagrams where it was UDP. Frames of HDLC go over such a connection as they went over the line, also where that was a
serial one, with each APDU that several of them carry, or that is ciphered, behind the frame that completes it; an APDU whose frames are not in the trace goes in
the wrapper. Both say so in their comments. A trace that is redacted gives what is left of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from ami_dlms.explain import Node, nodes
from ami_trace.explained import Frames, explained, in_wrapper
from ami_trace.form import ApduRecord, FrameRecord, Kind, Span, Trace
from ami_trace.form import Direction as Way
from ami_trace.pcapng import (
    TOGETHER,
    Capture,
    Companion,
    Direction,
    Dissector,
    Endpoint,
    Message,
    Transport,
    comment_of,
    http,
)

CIM_PORT, DLMS_PORT = 80, 4059
FIRST_PORT = 40_000
LAST_PORT = 65_000
PATH = "/cim"
PUSH = "push"
"""The verb of a trace of what a meter has pushed."""
APDU = "apdu"


def captured(trace: Trace, application: str, dissector: Dissector = Dissector.STOCK) -> Iterator[bytes]:
    """The octets of the file, piece by piece. Raises `ami_trace.pcapng.CaptureError`."""
    clear_text = trace.clear_text or any(
        True for _ in trace.frames()
    )  # segments that are put together are clear as they travelled
    capture = Capture(application, clear_text=clear_text, dissector=dissector)
    yield capture.begin("; ".join((f"request {trace.message_id}", "synthetic packets", *trace.notes)))
    for _, _, message, companions in sorted(_Legs(trace).messages(), key=lambda one: one[:2]):
        yield capture.message(message, companions)


@dataclass(slots=True)
class _Legs:
    trace: Trace
    by_id: dict[int, Span] = field(init=False)
    lines: dict[tuple[int, int], tuple[Endpoint, Endpoint, Transport, str | None]] = field(default_factory=dict)
    completed: dict[int, list[Span]] = field(default_factory=dict)
    """By the span of a frame: the APDUs that are whole with it."""
    in_frames: set[int] = field(default_factory=set)
    """Spans of APDUs whose frames are here."""

    def __post_init__(self) -> None:
        self.by_id = {span.id: span for span in self.trace.spans}
        self._join_frames()

    def _join_frames(self) -> None:
        """Find the frame that completes each APDU: one that goes is noted before its frames, one that comes behind them."""
        frames, whole = Frames(), list[tuple[Span, FrameRecord, list[bytes]]]()
        for span, record in self.trace.frames():
            whole.append((span, record, [octets for tree in frames.trees(span, record) for octets in _carried(tree)]))
        waiting: dict[tuple[object, ...], list[Span]] = {}
        for span, apdu in self.trace.apdus():
            if apdu.carrier == "hdlc" and apdu.octets:
                waiting.setdefault((span.meter, apdu.connection, apdu.direction, apdu.octets), []).append(span)
        for span, record, carried in whole:
            for octets in carried:
                found = waiting.get((span.meter, record.connection, record.direction, octets.hex()))
                if found:
                    self.completed.setdefault(span.id, []).append(one := found.pop(0))
                    self.in_frames.add(one.id)

    def messages(self) -> Iterator[tuple[datetime, int, Message, list[Companion]]]:
        """Each with its time and its place in the trace, by which they are ordered."""
        connections: dict[int, list[Span]] = {}
        for place, span in enumerate(self.trace.spans):
            if span.kind is Kind.CONNECTION:
                connections.setdefault(self._attempt_of(span), []).append(span)
            elif span.frame is not None and span.frame.octets:
                yield span.began_at, place, *self._frame(span, span.frame, connections)
            elif span.apdu is not None and span.id not in self.in_frames:
                message = self._apdu(span, span.apdu, connections)
                if message is not None:
                    yield span.began_at, place, *message
            elif span.xml is not None and span.kind in (Kind.MESSAGE, Kind.REPLY):
                yield span.began_at, place, self._cim(span, span.xml), []

    def _cim(self, span: Span, xml: str) -> Message:
        cis, hes = Endpoint("CIS", FIRST_PORT, self.trace.source or "CIS"), Endpoint("HES", CIM_PORT, "HES")
        comment = (comment_of(msg=self.trace.message_id, step=span.kind),)
        body = xml.encode()
        if span.kind is Kind.MESSAGE:
            return Message(span.began_at, cis, hes, http.request("hes", PATH, body), comment, Direction.INBOUND)
        if not any(one.kind is Kind.DELIVERY for one in self.trace.spans):
            return Message(span.began_at, hes, cis, http.response(200, body), comment, Direction.OUTBOUND)
        back = Endpoint("HES", FIRST_PORT + 1, "HES"), Endpoint("CIS", CIM_PORT, self.trace.source or "CIS")
        return Message(span.began_at, *back, http.request("cis", PATH, body), comment, Direction.OUTBOUND)

    def _frame(
        self, span: Span, record: FrameRecord, connections: dict[int, list[Span]]
    ) -> tuple[Message, list[Companion]]:
        """With the APDUs that are whole with it, but for one that stands in this frame alone, and in clear."""
        octets, companions = bytes.fromhex(record.octets), list[Companion]()
        for one in self.completed.get(span.id, ()):
            assert one.apdu is not None
            if one.apdu.clear is not None:
                companions += _clear(one.apdu)
            elif bytes.fromhex(one.apdu.octets) not in octets:
                companions.append(Companion(bytes.fromhex(one.apdu.octets), explained(one.apdu).text, (TOGETHER,)))
        return self._message(span, record, octets, connections), companions

    def _apdu(
        self, span: Span, record: ApduRecord, connections: dict[int, list[Span]]
    ) -> tuple[Message, list[Companion]] | None:
        octets = in_wrapper(record)
        if not octets:
            return None
        return self._message(span, record, octets, connections), _clear(record)

    def _message(
        self, span: Span, record: ApduRecord | FrameRecord, octets: bytes, connections: dict[int, list[Span]]
    ) -> Message:
        hes, meter, transport, carried = self._line(span, record, connections)
        goes = record.direction is Way.REQUEST
        step = self.by_id[span.parent].name if span.parent in self.by_id else None
        return Message(
            span.began_at,
            hes if goes else meter,
            meter if goes else hes,
            octets,
            (comment_of(msg=self.trace.message_id, meter=span.meter, step=step, carried=carried),),
            Direction.OUTBOUND if goes else Direction.INBOUND,
            transport,
        )

    def _line(
        self, span: Span, record: ApduRecord | FrameRecord, connections: dict[int, list[Span]]
    ) -> tuple[Endpoint, Endpoint, Transport, str | None]:
        """Both ends of the connection of an APDU, and what carried it where that was no wrapper."""
        attempt = self._attempt_of(span)
        key = (attempt, record.connection)
        if key not in self.lines:
            known = connections.get(attempt, [])
            connection = known[record.connection - 1] if 0 < record.connection <= len(known) else None
            transport = None if connection is None else connection.transport
            port = FIRST_PORT + 2 + len(self.lines) % (LAST_PORT - FIRST_PORT)
            if self.trace.verb == PUSH:  # which comes to where the head-end listens
                port = DLMS_PORT
            self.lines[key] = (
                Endpoint("HES", port, "HES"),
                _meter(None if connection is None else connection.peer, span.meter or "meter"),
                Transport.UDP if transport == "udp" else Transport.TCP,
                transport if transport in ("hdlc", "serial") else None,
            )
        return self.lines[key]

    def _attempt_of(self, span: Span) -> int:
        """The span of the attempt that a span is a part of, or the whole."""
        above: Span | None = span
        while above is not None and above.kind is not Kind.ATTEMPT and above.parent is not None:
            above = self.by_id.get(above.parent)
        return 0 if above is None else above.id


def _clear(record: ApduRecord) -> list[Companion]:
    if record.clear is None:
        return []
    tree = explained(record).clear
    return [Companion(bytes.fromhex(record.clear), "" if tree is None else tree.text)]


def _carried(tree: Node) -> Iterator[bytes]:
    """The APDUs that are whole with a frame: in it, or put together of the segments before it."""
    for node in nodes(tree):
        if node.type == APDU:
            yield node.octets


def _meter(peer: str | None, name: str) -> Endpoint:
    """By host:port; a device, or a meter of which no address is known, by its name."""
    host, _, port = (peer or "").rpartition(":")
    if host and port.isdecimal() and int(port) <= 0xFFFF:
        return Endpoint(host.strip("[]"), int(port), name)
    return Endpoint(peer or name, DLMS_PORT, name)

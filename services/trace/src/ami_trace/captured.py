"""A trace as a capture for Wireshark: both legs, every message with the MessageID and the meter, and clear APDUs behind the ciphered ones.

Packets are synthetic: a trace knows messages, addresses of meters and times, and not what carried them. CIM goes between `CIS` and `HES`
at port 80, where every reader looks for HTTP; APDUs go in the wrapper between `HES` and the meter, a TCP connection for each that the
trace has, and in datagrams where it was UDP. What went in frames of HDLC says so in its comment. A trace that is redacted gives what is left of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from ami_trace.explained import explained, frame_of
from ami_trace.form import ApduRecord, Kind, Span, Trace
from ami_trace.form import Direction as Way
from ami_trace.pcapng import Capture, Companion, Direction, Dissector, Endpoint, Message, Transport, comment_of, http

CIM_PORT, DLMS_PORT = 80, 4059
FIRST_PORT = 40_000
LAST_PORT = 65_000
PATH = "/cim"


def captured(trace: Trace, application: str, dissector: Dissector = Dissector.STOCK) -> Iterator[bytes]:
    """The octets of the file, piece by piece. Raises `ami_trace.pcapng.CaptureError`."""
    capture = Capture(application, clear_text=trace.clear_text, dissector=dissector)
    yield capture.begin("; ".join((f"request {trace.message_id}", "synthetic packets", *trace.notes)))
    for _, _, message, companions in sorted(_Legs(trace).messages(), key=lambda one: one[:2]):
        yield capture.message(message, companions)


@dataclass(slots=True)
class _Legs:
    trace: Trace
    by_id: dict[int, Span] = field(init=False)
    lines: dict[tuple[int, int], tuple[Endpoint, Endpoint, Transport, str | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.by_id = {span.id: span for span in self.trace.spans}

    def messages(self) -> Iterator[tuple[datetime, int, Message, list[Companion]]]:
        """Each with its time and its place in the trace, by which they are ordered."""
        connections: dict[int, list[Span]] = {}
        for place, span in enumerate(self.trace.spans):
            if span.kind is Kind.CONNECTION:
                connections.setdefault(self._attempt_of(span), []).append(span)
            elif span.apdu is not None:
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

    def _apdu(
        self, span: Span, record: ApduRecord, connections: dict[int, list[Span]]
    ) -> tuple[Message, list[Companion]] | None:
        octets = frame_of(record)
        if not octets:
            return None
        hes, meter, transport, carried = self._line(span, record, connections)
        goes = record.direction is Way.REQUEST
        step = self.by_id[span.parent].name if span.parent in self.by_id else None
        message = Message(
            span.began_at,
            hes if goes else meter,
            meter if goes else hes,
            octets,
            (comment_of(msg=self.trace.message_id, meter=span.meter, step=step, carried=carried),),
            Direction.OUTBOUND if goes else Direction.INBOUND,
            transport,
        )
        if record.clear is None:
            return message, []
        tree = explained(record).clear
        return message, [Companion(bytes.fromhex(record.clear), "" if tree is None else tree.text)]

    def _line(
        self, span: Span, record: ApduRecord, connections: dict[int, list[Span]]
    ) -> tuple[Endpoint, Endpoint, Transport, str | None]:
        """Both ends of the connection of an APDU, and what carried it where that was no wrapper."""
        attempt = self._attempt_of(span)
        key = (attempt, record.connection)
        if key not in self.lines:
            known = connections.get(attempt, [])
            connection = known[record.connection - 1] if 0 < record.connection <= len(known) else None
            transport = None if connection is None else connection.transport
            port = FIRST_PORT + 2 + len(self.lines) % (LAST_PORT - FIRST_PORT)
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


def _meter(peer: str | None, name: str) -> Endpoint:
    """By host:port; a device, or a meter of which no address is known, by its name."""
    host, _, port = (peer or "").rpartition(":")
    if host and port.isdecimal() and int(port) <= 0xFFFF:
        return Endpoint(host.strip("[]"), int(port), name)
    return Endpoint(peer or name, DLMS_PORT, name)

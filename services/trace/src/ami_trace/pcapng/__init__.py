"""Captures that others can read: pcapng with synthetic or original packets, and the clear APDU behind each ciphered one.

Follows draft-ietf-opsawg-pcapng (blocks and options) and Wireshark's exported PDUs (link type 252). Octets and times come in,
octets come out; where they go is the caller's business:

    from ami_trace.pcapng import Capture, Companion, Direction, Dissector, Endpoint, Message, comment_of, http

    capture = Capture("ami 1.0", dissector=Dissector.STOCK)
    cis, hes = Endpoint("127.0.0.1", 51000, "CIS"), Endpoint("127.0.0.1", 8081, "HES")
    line, meter = Endpoint("10.0.0.1", 40000, "HES"), Endpoint("10.0.0.5", 4059, "M1001")
    with path.open("wb") as file:                        # a name that ends in .clear.pcapng: it holds clear text
        file.write(capture.begin())                      # once, first
        file.write(capture.tls_keys(key_log))            # only with real TLS packets: before those that need it
        file.write(capture.message(Message(
            at, cis, hes, http.request("127.0.0.1:8081", "/ami", xml), (comment_of(msg="4711"),), Direction.INBOUND,
        )))
        file.write(capture.message(
            Message(at, line, meter, wrapper_pdu, (comment_of(msg="4711", meter="M1001"),), Direction.OUTBOUND),
            [Companion(clear_apdu, "get-request: 1-0:1.8.0*255")],
        ))

Whoever has only what travelled, and the keys, explains it (`ami_dlms.explain`) and takes `companions(tree)`.

A host that is no IP address (a serial port, a name) gets an address of 198.18.0.0/15, and so has each named end on loopback, or
all would be one; the name of an `Endpoint` is written as a name resolution block, so every Wireshark shows `M1001`. `frame.comment contains "msg=4711"` is the whole request.
"""

from ami_trace.pcapng import http
from ami_trace.pcapng.blocks import Direction
from ami_trace.pcapng.capture import Capture, CaptureError, Companion, Dissector, Message, comment_of
from ami_trace.pcapng.clear_apdus import TOGETHER, companions
from ami_trace.pcapng.exported import EXPORTED_PDU, ExportedPdu
from ami_trace.pcapng.packets import Endpoint, Transport

__all__ = [
    "EXPORTED_PDU",
    "TOGETHER",
    "Capture",
    "CaptureError",
    "Companion",
    "Direction",
    "Dissector",
    "Endpoint",
    "ExportedPdu",
    "Message",
    "Transport",
    "comment_of",
    "companions",
    "http",
]

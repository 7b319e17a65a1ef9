"""What the HTTP headers say about the octets of a message: honoured, or refused by name (HTTP status 415).

Honoured are `charset` (RFC 7303) and Content-Encoding gzip. A multipart body (SOAP with Attachments, MTOM) is refused: nothing
that is spoken here has an attachment."""

import zlib
from collections.abc import Mapping
from email.message import Message

from ami_cim.errors import InvalidMessage, UnsupportedMedia
from ami_cim.limits import HEAD, Limits, of_header

ACCEPTED_CODINGS = "gzip, identity"
"""For Accept-Encoding beside a 415 (RFC 9110, clause 12.5.3)."""

MAX_CONTENT_TYPE = 500
"""Characters of a media type with its parameters."""


def content(octets: bytes, headers: Mapping[str, str], limits: Limits) -> tuple[bytes, str | None]:
    """The document in a body, and the charset that its header names; `headers` has to find names in lower case."""
    header = Message()
    header["Content-Type"] = _content_type(headers)
    if header.get_content_maintype() == "multipart":
        what = "multipart messages (attachments, MTOM) are not read here"
        raise UnsupportedMedia(
            "1.8", f"Content-Type {header.get_content_type()[:80]}: {what}; send the SOAP envelope alone"
        )
    coding = headers.get("content-encoding", "").strip().lower()
    if coding in ("gzip", "x-gzip"):
        octets = gunzip(octets, _most_unpacked(octets, limits), "The message")
    elif coding not in ("", "identity"):
        reason = f"Content-Encoding {coding[:80]} is not read here; read are {ACCEPTED_CODINGS}"
        raise UnsupportedMedia("1.8", reason)
    try:
        charset = header.get_param("charset")
    except (TypeError, ValueError):  # the library's, at parameters that are continued as RFC 2231 does not allow
        raise UnsupportedMedia("1.8", "The Content-Type has parameters that can't be read") from None
    if not isinstance(charset, str | None):  # RFC 2231 splits a value in three
        raise UnsupportedMedia("1.8", "The HTTP header names a charset that is not accepted", str(charset)[:80])
    return octets, charset


def _content_type(headers: Mapping[str, str]) -> str:
    """Bounded: what reads its parameters takes the square of their length, 4 s for 60 KB."""
    given = headers.get("content-type", "")
    if len(given) > MAX_CONTENT_TYPE:
        raise UnsupportedMedia("1.8", f"The Content-Type is longer than {MAX_CONTENT_TYPE} characters")
    return given


def _most_unpacked(packed: bytes, limits: Limits) -> int:
    """Octets that a body in gzip may have unpacked: as many as its sender may send, by the Header of what it unpacks to."""
    if limits.largest <= limits.octets:
        return limits.octets
    try:
        head = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(packed, HEAD)
    except zlib.error:  # what is wrong with it is said where it is unpacked
        return limits.octets
    return of_header(head, limits).octets


def gunzip(octets: bytes, most: int, what: str) -> bytes:
    """What one gzip member holds, up to a number of octets; InvalidMessage says how `what` fails to be that."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        unpacked = unpacker.decompress(octets, most + 1)
    except zlib.error as error:
        raise InvalidMessage("1.8", f"{what} is not gzip", str(error)) from None
    if len(unpacked) > most:
        raise InvalidMessage("3.1", f"{what} is too large", f"unpacked, it has more than {most} octets")
    if not unpacker.eof:
        raise InvalidMessage("1.8", f"{what} is gzip that is cut short", f"after {len(octets)} octets")
    if unpacker.unused_data:
        raise InvalidMessage("1.8", f"{what} has more behind its gzip data", f"{len(unpacker.unused_data)} octets")
    return unpacked

"""What octets look like that are no frame of the DLMS wrapper, so that a wrong setting of the sender is found at once.

A guess for a person, of the first octets alone; nothing is decided by it.
"""

from ami_dlms.enums import ApduTag

_APDU_NAMES = {int(tag): tag.name.lower().replace("_", "-") for tag in ApduTag}
_HTTP = (b"GET ", b"POST ", b"PUT ", b"HEAD ", b"OPTIONS ", b"CONNECT ")
_LAYOUT = b"\r\n\t"
_WRAPPER_VERSION = b"\x00\x01"
_HEADER = 8  # octets of the wrapper in front of the APDU


def guess(octets: bytes, *, framed: bool = False) -> str | None:
    """What the octets of a stranger look like, or what was in his frame; None when there are none."""
    if not octets:
        return None
    if octets[:2] == _WRAPPER_VERSION and not framed:
        name = _APDU_NAMES.get(octets[_HEADER]) if len(octets) > _HEADER else None
        return f"a frame of the wrapper, {name or 'no known APDU in it'}"
    if _is_text(octets):
        return "text: an HTTP request" if octets.startswith(_HTTP) else "text"
    for begins, what in _BEGINNINGS.items():
        if octets.startswith(begins):
            return what
    name = _APDU_NAMES.get(octets[0])
    if name is None:
        return "unknown"
    return f"an APDU: {name}" if framed else f"a bare APDU ({name}): the header of the wrapper is missing"


def _is_text(octets: bytes) -> bool:
    return all(0x20 <= octet < 0x7F or octet in _LAYOUT for octet in octets)


_BEGINNINGS = {
    b"\x7e": "an HDLC frame: this head-end system speaks the wrapper",
    b"\x68": "an M-Bus long frame: this head-end system speaks the wrapper",
    b"\x10": "an M-Bus short frame: this head-end system speaks the wrapper",
    b"\xe6\xe6": "an APDU behind an LLC header, as in HDLC: this head-end system speaks the wrapper",
    b"\xe6\xe7": "an APDU behind an LLC header, as in HDLC: this head-end system speaks the wrapper",
    b"\x16\x03": "a TLS handshake",
}

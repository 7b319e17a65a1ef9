"""OBIS codes (IEC 62056-6-1): six octets A-B:C.D.E*F, which are also the logical name of a COSEM object."""

from __future__ import annotations

import re

from ami_dlms.errors import LocalError

_TEXT = re.compile(r"(\d{1,3})-(\d{1,3}):(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:\*(\d{1,3}))?", re.ASCII)


class Obis(bytes):
    """Six octets; equal to, and hashed like, the plain octets."""

    __slots__ = ()

    def __new__(cls, octets: bytes) -> Obis:
        """Octets as found in a message; LocalError unless there are six."""
        if len(octets) != 6:
            raise LocalError(f"an OBIS code has 6 octets, not {len(octets)}")
        return bytes.__new__(cls, octets)

    @classmethod
    def parse(cls, text: str) -> Obis:
        """Read "A-B:C.D.E" or "A-B:C.D.E*F"; group F is 255 when it is left out."""
        match = _TEXT.fullmatch(text.strip())
        if match is None:
            raise LocalError(f"not an OBIS code of the form A-B:C.D.E*F: {text!r}")
        groups = [255 if group is None else int(group) for group in match.groups()]
        if max(groups) > 255:
            raise LocalError(f"a value group of an OBIS code is at most 255: {text!r}")
        return cls(bytes(groups))

    def __str__(self) -> str:
        a, b, c, d, e, f = self
        return f"{a}-{b}:{c}.{d}.{e}*{f}"

    def __repr__(self) -> str:
        return f"Obis.parse({str(self)!r})"

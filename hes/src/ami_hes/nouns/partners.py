"""Partners that read the standard otherwise than we do: who they are, and what is read or written for them.

A partner is known by what its requests say: Header.Source, or the host and port of ReplyAddress where it sends no Source. That
is no proof of who asks, so a partner's settings change how a request is understood, and never what somebody may do.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ami_cim.message import Header
from ami_hes.reply_hosts import origin_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """How to read and answer one partner; without arguments, the default."""

    source: str | None = None
    reply_address: str | None = None
    several_names: bool = False
    """Whether several Names of one EndDevice are several meters."""
    typed_reply: bool = False
    """Whether a late reply is the noun's own ResponseMessage and not the generic one."""

    def sends(self, header: Header) -> bool:
        """Whether everything by which the partner is known is in the header."""
        if self.source is not None and header.source != self.source:
            return False
        if self.reply_address is None:
            return True
        origin = origin_of(self.reply_address)
        return origin is not None and origin == origin_of(header.reply_address or "")


STANDARD = Partner()


def partner_of(header: Header, partners: Iterable[Partner]) -> Partner:
    """The first partner that fits, else the standard."""
    return next((partner for partner in partners if partner.sends(header)), STANDARD)

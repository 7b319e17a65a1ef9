"""Partners that read the standard otherwise than we do: who they are, and what is read or written for them.

A partner is known by what its requests say: Header.Source, or the host and port of ReplyAddress where it sends no Source. That
is no proof of who asks, so a partner's settings change how a request is understood, and never what somebody may do.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from ami_cim.message import Header
from ami_cim.peers import STRICT, Dialect, Peer
from ami_mapping.partner_codes import PartnerCodes, Switches, spelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """How to read and answer one partner; without arguments, the default."""

    name: str = ""
    source: str | None = None
    reply_address: str | None = None
    several_names: bool = False
    """Whether several Names of one EndDevice are several meters."""
    typed_reply: bool = False
    """Whether a late reply is the noun's own ResponseMessage and not the generic one."""
    dialect: Dialect = STRICT
    meters_per_message: int | None = None
    """Of an answer in parts; None: as many as fit."""
    octets: int | None = None
    """Of its largest request; None: as of any other's."""
    switches: Switches = ()
    """How its ReadingTypes are spelled."""
    dropped: tuple[str, ...] = ()
    """Rows of the mapping that it does not get."""
    proves: bool = False
    """Whether its messages have to prove by themselves who they are from."""
    outgoing: str | None = None
    """What late replies and events for it get (`ami_process.message_security.Outgoing`); None: what is said for all."""
    codes: PartnerCodes | None = field(default=None, compare=False, repr=False)
    """What its ReadingTypes mean; None: what they mean for all. Needed when a request is planned, and not kept with it."""

    @property
    def peer(self) -> Peer:
        """By what it is known, with what it speaks."""
        return Peer(source=self.source, reply_address=self.reply_address, dialect=self.dialect, octets=self.octets)

    def sends(self, header: Header) -> bool:
        """Whether everything by which the partner is known is in the header."""
        return self.peer.sends(header.source, header.reply_address)

    def general(self, reading_type: str) -> str:
        """What it means by a ReadingType; RefusedReadingType for what is not served to it."""
        return reading_type if self.codes is None else self.codes.general(reading_type)

    def spelled(self, reading_type: str) -> str:
        """How it spells a ReadingType."""
        return spelled(reading_type, self.switches) if self.switches else reading_type


STANDARD = Partner()


def partner_of(header: Header, partners: Iterable[Partner]) -> Partner:
    """The first partner that fits, else the standard."""
    return next((partner for partner in partners if partner.sends(header)), STANDARD)

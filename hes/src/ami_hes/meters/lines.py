"""How the APDUs of one association go over a link: by the wrapper, or by HDLC; and what of it is no answer.

`Routed` wraps the framing: frames that no association asked for (a notification in the middle of a GET, a late frame
of another association) are set aside, and every APDU is counted and traced.
"""

from collections import deque

from ami_dlms.association import ClientSettings
from ami_dlms.enums import ApduTag
from ami_dlms.framing.framing import Framing, LinkLost, WrapperPdu
from ami_dlms.framing.hdlc_client import MAX_RETRIES
from ami_dlms.framing.hdlc_framing import HdlcClientFraming
from ami_dlms.framing.line import HdlcLine, Line, WrapperLine
from ami_hes.meters.link import Link
from ami_hes.meters.registry import Meter

_GENERAL_GLO = bytes((ApduTag.GENERAL_GLO_CIPHERING,))
_UNASKED = tuple(bytes((tag,)) for tag in (ApduTag.DATA_NOTIFICATION, ApduTag.EVENT_NOTIFICATION_REQUEST))


def line_of(link: Link, settings: ClientSettings, meter: Meter | None) -> Line:
    """The line of one association; a caller whose meter is not known yet speaks the wrapper."""
    if meter is None or not meter.transport.framed:
        return WrapperLine(link.wrapper)
    return HdlcLine(HdlcClientFraming(settings.client_wport, meter.hdlc_address), MAX_RETRIES)


class Routed:
    """A framing whose `next_pdu` gives an association what is its own; `aside` holds the rest, in order.

    After each APDU that is set aside `next_pdu` gives None, so that it is dealt with before the next one is looked at.
    """

    def __init__(self, inner: Framing, link: Link, settings: ClientSettings) -> None:
        self.aside: deque[WrapperPdu] = deque()
        self._inner = inner
        self._link = link
        self._from_server = (settings.server_wport, settings.client_wport)
        self._keyed = settings.security is not None

    def encode(self, source: int, destination: int, *apdus: bytes) -> bytes:
        if self._link.trace is not None:
            for octets in apdus:
                self._link.trace.request(WrapperPdu(source, destination, octets))
        if (noted := self._link.noted) is not None:
            for octets in apdus:
                noted.passed((source, destination, octets), True)
        return self._inner.encode(source, destination, *apdus)

    def pass_turn(self, source: int, destination: int) -> None:
        self._inner.pass_turn(source, destination)

    def receive_data(self, octets: bytes) -> None:
        self._inner.receive_data(octets)

    def next_pdu(self) -> WrapperPdu | LinkLost | None:
        pdu = self._inner.next_pdu()
        if not isinstance(pdu, WrapperPdu):
            return pdu
        self._link.came(pdu)
        if self._is_ours(pdu):
            return pdu
        self.aside.append(pdu)
        return None

    def data_to_send(self) -> bytes:
        return self._inner.data_to_send()

    def is_between_us(self, pdu: WrapperPdu) -> bool:
        """Whether it is from the server of this association to its client."""
        return (pdu.source, pdu.destination) == self._from_server

    def _is_ours(self, pdu: WrapperPdu) -> bool:
        if not self.is_between_us(pdu):
            return False
        tag = pdu.apdu[:1]
        return self._keyed if tag == _GENERAL_GLO else tag not in _UNASKED

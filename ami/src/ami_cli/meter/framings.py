"""How APDUs are framed on each transport, and what silence means there: on HDLC a question is asked again, elsewhere it ends."""

from collections.abc import Callable
from typing import Protocol

from ami_cli.meter.dropped import MOST_KEPT, Dropped, of_hdlc, of_wrapper
from ami_cli.meter.errors import ExitCode, MeterError
from ami_cli.meter.options import Reach, Transport
from ami_dlms.association import ClientSettings
from ami_dlms.errors import LocalError
from ami_dlms.framing.framing import Framing
from ami_dlms.framing.hdlc_address import SIZES, HdlcAddress
from ami_dlms.framing.hdlc_framing import HdlcClientFraming
from ami_dlms.framing.hdlc_parameters import LinkParameters
from ami_dlms.framing.wrapper import HEADER_SIZE, MAX_APDU, WrapperFraming

Write = Callable[[bytes], None]
Read = Callable[[float], bytes]
HANG_UP_S = 1.0
MAX_PDU = HEADER_SIZE + MAX_APDU
LONGEST_EMPTY_FRAME = 1 + 2 + 4 + 1 + 1 + 2 + 1
"""Flag, format, both addresses, control, check, flag: more octets bring something."""


class Silence(Protocol):
    """What to do when nothing comes."""

    def patience_s(self, timeout_s: float) -> float:
        """How long to wait before the line counts as silent."""

    def ask_again(self) -> bytes:
        """It was silent: octets that ask once more, none when that is of no use."""

    def hang_up(self, write: Write, read: Read) -> None:
        """Take down what the framing has set up."""

    def begin(self) -> None:
        """A question goes out: what came before is of no more interest."""

    def heard(self, octets: bytes) -> None:
        """Octets that came."""

    def dropped(self) -> Dropped | None:
        """What came since and never became an APDU; None when nothing did."""


class _NoRepetition:
    """TCP repeats by itself, and over UDP a repeated ACTION might act twice."""

    def __init__(self, framing: WrapperFraming) -> None:
        self._framing = framing
        self._heard = b""

    def patience_s(self, timeout_s: float) -> float:
        return timeout_s

    def ask_again(self) -> bytes:
        return b""

    def hang_up(self, write: Write, read: Read) -> None:
        return

    def begin(self) -> None:
        return

    def heard(self, octets: bytes) -> None:
        self._heard = (self._heard + octets)[-MAX_PDU:]

    def dropped(self) -> Dropped | None:
        pending = self._framing.pending
        return of_wrapper(self._heard[-pending:]) if pending else None


class _Hdlc:
    """The link numbers its frames, so asking again is safe."""

    def __init__(self, framing: HdlcClientFraming, retries: int) -> None:
        self._framing = framing
        self._retries = retries
        self._heard = b""
        self._in_vain = 0

    def patience_s(self, timeout_s: float) -> float:
        return timeout_s / (self._retries + 1)

    def ask_again(self) -> bytes:
        """Up to the link's own limit, and no oftener where the meter says again and again that it has nothing yet."""
        self._in_vain += 1
        return self._framing.timeout() if self._in_vain <= self._retries else b""

    def hang_up(self, write: Write, read: Read) -> None:
        if self._framing.disconnected:
            return
        write(self._framing.disconnect())
        while not self._framing.disconnected:
            self._framing.receive_data(read(HANG_UP_S))
            self._framing.next_pdu()

    def begin(self) -> None:
        self._heard, self._in_vain = b"", 0
        self._framing.link.passed_over.clear()

    def heard(self, octets: bytes) -> None:
        if len(octets) > LONGEST_EMPTY_FRAME:
            self._in_vain = 0
        self._heard = (self._heard + octets)[-MOST_KEPT:]

    def dropped(self) -> Dropped | None:
        return of_hdlc(self._framing.link, self._heard)


def framing_for(reach: Reach, settings: ClientSettings) -> tuple[Framing, Silence]:
    """The framing of one association on this transport."""
    if reach.transport in (Transport.TCP, Transport.UDP):
        wrapper = WrapperFraming()
        return wrapper, _NoRepetition(wrapper)
    try:
        framing = HdlcClientFraming(
            settings.client_wport,
            _address(settings.server_wport, reach),
            _parameters(reach),
            max_retries=reach.retries,
            any_address=settings.any_address,
        )
    except LocalError as error:
        raise MeterError(ExitCode.USAGE, str(error), where="--client, --server, --physical, --address-size") from None
    return framing, _Hdlc(framing, reach.retries)


def _address(server: int, reach: Reach) -> HdlcAddress:
    """The meter's address, in as many octets as are asked for; LocalError when it does not fit."""
    found = HdlcAddress(server, reach.physical, wide=reach.address_size == max(SIZES))
    if reach.address_size not in (None, found.size):
        raise LocalError(f"the address {server}, {reach.physical} takes {found.size} octets, not {reach.address_size}")
    return found


def _parameters(reach: Reach) -> LinkParameters:
    return LinkParameters(
        max_information_transmit=reach.max_information_transmit,
        max_information_receive=reach.max_information_receive,
        window_transmit=reach.window_transmit,
        window_receive=reach.window_receive,
    )

"""The line of one association on each transport, and what came over it that never became an APDU."""

from ami_cli.meter.dropped import Dropped, of_hdlc, of_wrapper
from ami_cli.meter.errors import ExitCode, MeterError
from ami_cli.meter.options import Reach
from ami_dlms.association import ClientSettings
from ami_dlms.errors import LocalError
from ami_dlms.framing.hdlc_address import SIZES, HdlcAddress
from ami_dlms.framing.hdlc_framing import HdlcClientFraming
from ami_dlms.framing.hdlc_parameters import LinkParameters
from ami_dlms.framing.line import HdlcLine, WrapperLine

ClientLine = WrapperLine | HdlcLine


def line_of(reach: Reach, settings: ClientSettings) -> ClientLine:
    """The line of one association on this transport; MeterError for addresses that do not fit it."""
    if not reach.transport.framed:
        return WrapperLine()
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
    return HdlcLine(framing, reach.retries)


def dropped_from(line: ClientLine) -> Dropped | None:
    """What came since the request and never became an APDU; None when nothing did."""
    if isinstance(line, HdlcLine):
        return of_hdlc(line.framing.link, line.kept)
    pending = line.framing.pending
    return of_wrapper(line.kept[-pending:]) if pending else None


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

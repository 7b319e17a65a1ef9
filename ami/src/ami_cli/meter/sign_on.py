"""The sign-on of IEC 62056-21 mode E, driven over a blocking serial port and explained to a person."""

from collections.abc import Callable

from ami_cli.meter.errors import ExitCode, MeterError
from ami_cli.meter.link import SerialLink
from ami_dlms.association.client.steps import run
from ami_dlms.errors import LocalError, ProtocolError
from ami_dlms.framing import mode_e
from ami_dlms.framing.mode_e import ChangeRate, Receive, Send, SignOnStep


def sign_on(link: SerialLink, baud: int, timeout_s: float, pause: Callable[[float], None]) -> None:
    """Leaves the line ready for HDLC, at most at this speed; MeterError when the meter does not take part."""
    where = f"signing on at {link.name}"

    def perform(step: SignOnStep) -> bytes | None:
        match step:
            case Send(octets):
                link.write(octets)
            case Receive():
                return _read(link, timeout_s / mode_e.ATTEMPTS)
            case ChangeRate(rate, early):
                pause(mode_e.CHANGE_S)
                link.change_to(rate, early)
        return None

    try:
        switch = run(mode_e.sign_on(baud), perform)
    except ProtocolError as error:
        raise MeterError(ExitCode.NOT_UNDERSTOOD, str(error), where=where, hint="leave --mode-e out") from None
    except LocalError as error:
        raise MeterError(ExitCode.USAGE, str(error), where="--baud") from None
    if switch is None:
        hint = "is the optical head on the meter? Meters that speak HDLC at once need no --mode-e"
        raise MeterError(ExitCode.NO_ANSWER, "the meter does not name itself", where=where, hint=hint)


def _read(link: SerialLink, timeout_s: float) -> bytes | None:
    try:
        return link.read(timeout_s)
    except TimeoutError:
        return None

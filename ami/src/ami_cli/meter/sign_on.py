"""The sign-on of IEC 62056-21 mode E on a serial line: from 300 baud and seven bits to HDLC at the meter's speed.

Characters of seven bits with even parity are written as eight bits without: on the line that is the same, and not every
port can do the former.
"""

from collections.abc import Callable

from ami_cli.meter.errors import ExitCode, MeterError
from ami_cli.meter.link import SerialLink
from ami_dlms.errors import LocalError, ProtocolError
from ami_dlms.framing.mode_e import ModeEClient, Switch

ATTEMPTS = 2
CHANGE_S = 0.3
"""Both ends change their speed in this time (IEC 62056-21: 200 to 1500 ms)."""


def sign_on(link: SerialLink, baud: int, timeout_s: float, pause: Callable[[float], None]) -> None:
    """Leaves the line ready for HDLC, at most at this speed; MeterError when the meter does not take part."""
    where = f"signing on at {link.name}"
    try:
        client = ModeEClient(max_baud_rate=baud)
        switch = _identified(client, link, timeout_s)
    except ProtocolError as error:
        raise MeterError(ExitCode.NOT_UNDERSTOOD, str(error), where=where, hint="leave --mode-e out") from None
    except LocalError as error:
        raise MeterError(ExitCode.USAGE, str(error), where="--baud") from None
    if switch is None:
        hint = "is the optical head on the meter? Meters that speak HDLC at once need no --mode-e"
        raise MeterError(ExitCode.NO_ANSWER, "the meter does not name itself", where=where, hint=hint)
    link.write(with_parity(client.data_to_send()))
    pause(CHANGE_S)
    link.change_to(switch.baud_rate, switch.early)


def with_parity(octets: bytes) -> bytes:
    """Seven bits and even parity as eight bits."""
    return bytes(octet | (octet.bit_count() & 1) << 7 for octet in octets)


def _identified(client: ModeEClient, link: SerialLink, timeout_s: float) -> Switch | None:
    for _ in range(ATTEMPTS):
        link.write(with_parity(client.start()))
        try:
            while (switch := client.next_event()) is None:
                client.receive_data(link.read(timeout_s / ATTEMPTS))
        except TimeoutError:
            continue
        return switch
    return None

"""The sign-on of IEC 62056-21 in mode E, which leads from an optical port at 300 baud to HDLC, for both ends, without I/O.

The client asks, the meter names itself and its highest baud rate, the client chooses, and both change to that rate, eight
data bits and no parity. Before that a character has seven bits and even parity: the eighth bit is cut off here, so that it
does not matter whether the port has done it. Meters differ in whether and how they confirm the choice: a client does not
wait for it, and HDLC passes over it, for it begins with a flag.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from enum import Enum
from typing import Any, NamedTuple

from ami_dlms.errors import LocalError, ProtocolError
from ami_dlms.frozen import frozen
from ami_dlms.transitions import next_state

FIRST_BAUD_RATE = 300
# IEC 62056-21 names 0 to 6; the rest is the enumeration of the class "IEC local port setup".
BAUD_RATES: Mapping[str, int] = {
    "0": 300,
    "1": 600,
    "2": 1200,
    "3": 2400,
    "4": 4800,
    "5": 9600,
    "6": 19200,
    "7": 38400,
    "8": 57600,
    "9": 115200,
}
CHARACTERS = {rate: character for character, rate in BAUD_RATES.items()}
ACKNOWLEDGE = "\x06"
HDLC = "2"
END = "\r\n"
MAX_LINE = 64
MAX_IDENTIFICATION = 16
_REQUEST = re.compile(r"/\?([0-9A-Za-z ]{0,32})!")
_MANUFACTURER = r"[A-Za-z]{3}"
_TEXT = r"[ \"-.0-\[\]-~]*"
_IDENTIFICATION = re.compile(rf"/({_MANUFACTURER})(.)((?:\\[0-9A-Za-z@])*)({_TEXT})")
_CHOICE = re.compile(r"\x06(.)(.)(.)")
_SEVEN_BITS = bytes(octet & 0x7F for octet in range(256))


class SignOnState(Enum):
    """The state of a sign-on, at either end."""

    IDLE = "idle"
    AWAITING_IDENTIFICATION = "awaiting identification"
    AWAITING_CHOICE = "awaiting choice"
    SWITCHED = "switched"


class SignOnEvent(Enum):
    """What is sent (SEND_...) or seen in a sign-on."""

    SEND_REQUEST = "send request"
    REQUEST = "request"
    IDENTIFICATION = "identification"
    CHOICE = "choice"
    OTHER_CHOICE = "other choice"


S, E = SignOnState, SignOnEvent

CLIENT_SIGN_ON: Mapping[tuple[SignOnState, SignOnEvent], SignOnState] = {
    (S.IDLE, E.SEND_REQUEST): S.AWAITING_IDENTIFICATION,
    (S.AWAITING_IDENTIFICATION, E.SEND_REQUEST): S.AWAITING_IDENTIFICATION,
    (S.AWAITING_IDENTIFICATION, E.IDENTIFICATION): S.SWITCHED,
}
SERVER_SIGN_ON: Mapping[tuple[SignOnState, SignOnEvent], SignOnState] = {
    (S.IDLE, E.REQUEST): S.AWAITING_CHOICE,
    (S.AWAITING_CHOICE, E.REQUEST): S.AWAITING_CHOICE,
    (S.AWAITING_CHOICE, E.CHOICE): S.SWITCHED,
    (S.AWAITING_CHOICE, E.OTHER_CHOICE): S.IDLE,
}


@frozen
class Identification:
    """How a meter names itself: three letters of its manufacturer, its highest baud rate, its own text."""

    manufacturer: str
    baud_rate: int
    text: str = ""

    def __post_init__(self) -> None:
        if self.baud_rate not in CHARACTERS:
            raise LocalError(f"no baud rate of mode E: {self.baud_rate}")
        if not re.fullmatch(_MANUFACTURER, self.manufacturer):
            raise LocalError("a manufacturer is three letters")
        if len(self.text) > MAX_IDENTIFICATION or not re.fullmatch(_TEXT, self.text):
            raise LocalError("an identification is up to 16 printable characters without ! / and backslash")

    def encode(self) -> bytes:
        """The identification message, which offers HDLC."""
        return f"/{self.manufacturer}{CHARACTERS[self.baud_rate]}\\{HDLC}{self.text}{END}".encode("ascii")


@frozen
class Switch:
    """Write what is to be written, then go on with HDLC at this rate, eight data bits, no parity.

    `confirmation` is what a meter may say first at the new rate; `early` came behind the sign-on and belongs to HDLC.
    """

    baud_rate: int
    identification: Identification
    confirmation: bytes = b""
    early: bytes = b""


@frozen
class OtherModeChosen:
    """The reader wants something else than HDLC, as in mode C: protocol control, baud rate and mode control characters."""

    protocol_control: str
    baud_rate: str
    mode_control: str


class _Lines:
    """Lines of seven bit characters; what is longer than any message is noise and is dropped."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def receive_data(self, octets: bytes) -> None:
        self._buffer += octets

    def next_line(self, beginnings: str) -> str | None:
        """The next line that has a message, from where the message begins and without its end."""
        while (end := self._buffer.translate(_SEVEN_BITS).find(END.encode())) >= 0:
            line = self._buffer[:end].translate(_SEVEN_BITS).decode("ascii")
            del self._buffer[: end + len(END)]
            start = max(line.rfind(character) for character in beginnings)
            if start >= 0 and len(line) - start <= MAX_LINE:
                return line[start:]
        del self._buffer[:-MAX_LINE]
        return None

    def rest(self) -> bytes:
        """What came behind the last line, with all its bits."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest


class _SignOn:
    """What both ends share: lines in, octets out."""

    def __init__(self) -> None:
        self.state = SignOnState.IDLE
        self._lines = _Lines()
        self._outbox = b""

    def receive_data(self, octets: bytes) -> None:
        """Take octets from the port, with or without their parity bits."""
        self._lines.receive_data(octets)

    def data_to_send(self) -> bytes:
        """Octets that have to be written, at the rate that holds before a Switch."""
        octets, self._outbox = self._outbox, b""
        return octets


class ModeEClient(_SignOn):
    """The reader's end. `device_address` empty: whichever meter is there; `max_baud_rate`: what our port can do."""

    def __init__(self, device_address: str = "", max_baud_rate: int = 9600) -> None:
        super().__init__()
        if not _REQUEST.fullmatch(f"/?{device_address}!"):
            raise LocalError("a device address has up to 32 letters, digits and spaces")
        if max_baud_rate < FIRST_BAUD_RATE:
            raise LocalError(f"no baud rate of mode E is {max_baud_rate} or less")
        self._device_address = device_address
        self._max_baud_rate = max_baud_rate

    def start(self) -> bytes:
        """The request that wakes the meter, at 300 baud; once more after a time-out."""
        self.state = next_state(CLIENT_SIGN_ON, self.state, SignOnEvent.SEND_REQUEST)
        return f"/?{self._device_address}!{END}".encode("ascii")

    def next_event(self) -> Switch | None:
        """The way to HDLC once the meter has named itself; ProtocolError when it does not offer HDLC."""
        while self.state is SignOnState.AWAITING_IDENTIFICATION:
            line = self._lines.next_line("/")
            if line is None:
                return None
            if not line.startswith("/?"):
                return self._choose(line)
        return None

    def _choose(self, line: str) -> Switch:
        match = _IDENTIFICATION.fullmatch(line)
        if match is None:
            raise ProtocolError("this is no identification message of IEC 62056-21")
        manufacturer, character, enhanced, text = match.groups()
        if f"\\{HDLC}" not in enhanced or character not in BAUD_RATES:
            raise ProtocolError(f"meter {manufacturer} does not offer HDLC (mode E)")
        offered = BAUD_RATES[character]
        rate = max(rate for rate in CHARACTERS if rate <= min(offered, self._max_baud_rate))
        self.state = next_state(CLIENT_SIGN_ON, self.state, SignOnEvent.IDENTIFICATION)
        self._outbox = _choice(rate)
        return Switch(rate, Identification(manufacturer, offered, text[:MAX_IDENTIFICATION]), early=self._lines.rest())


ATTEMPTS = 2
CHANGE_S = 0.3
"""Both ends change their speed in this time (IEC 62056-21: 200 to 1500 ms)."""


class Send(NamedTuple):
    """Octets for the port, at its first rate."""

    octets: bytes


class Receive(NamedTuple):
    """Whatever comes, as bytes; None when nothing came within the part of the time for an answer that an attempt has."""


class ChangeRate(NamedTuple):
    """Let CHANGE_S pass, then go on at this rate; `early` has come already and is read next."""

    baud_rate: int
    early: bytes


SignOnStep = Send | Receive | ChangeRate


def sign_on(max_baud_rate: int) -> Generator[SignOnStep, Any, Switch | None]:
    """From the first rate to HDLC, for every driver, as the steps of an association are; None when no meter names itself.

    Characters of seven bits with even parity are written as eight bits without: on the line that is the same, and not every
    port can do the former.
    """
    client = ModeEClient(max_baud_rate=max_baud_rate)
    for _ in range(ATTEMPTS):
        yield Send(with_even_parity(client.start()))
        octets: bytes | None = b""
        while octets is not None:
            client.receive_data(octets)
            if (switch := client.next_event()) is not None:
                yield Send(with_even_parity(client.data_to_send()))
                yield ChangeRate(switch.baud_rate, switch.early)
                return switch
            octets = yield Receive()
    return None


def with_even_parity(octets: bytes) -> bytes:
    """Seven bits and their parity as eight bits."""
    return bytes(octet | (octet.bit_count() & 1) << 7 for octet in octets)


class ModeEServer(_SignOn):
    """The meter's end. `confirm` repeats the reader's choice to it, at the new rate."""

    def __init__(self, identification: Identification, device_address: str = "", *, confirm: bool = True) -> None:
        super().__init__()
        self._identification = identification
        self._device_address = device_address.lstrip("0")
        self._confirm = confirm

    def next_event(self) -> Switch | OtherModeChosen | None:
        """What the reader has chosen; requests to other meters and noise are passed over."""
        while self.state is not SignOnState.SWITCHED:
            line = self._lines.next_line(f"/{ACKNOWLEDGE}")
            if line is None:
                return None
            request, choice = _REQUEST.fullmatch(line), _CHOICE.fullmatch(line)
            if request is not None and self._is_meant(request[1]):
                self.state = next_state(SERVER_SIGN_ON, self.state, SignOnEvent.REQUEST)
                self._outbox += self._identification.encode()
            elif choice is not None and self.state is SignOnState.AWAITING_CHOICE:
                return self._follow(*choice.groups())
        return None

    def _is_meant(self, device_address: str) -> bool:
        """Leading zeros do not count, and no address at all means every meter."""
        return not device_address or device_address.lstrip("0") == self._device_address

    def _follow(self, protocol_control: str, character: str, mode_control: str) -> Switch | OtherModeChosen:
        rate = BAUD_RATES.get(character, 0)
        if protocol_control != HDLC or mode_control != HDLC or not 0 < rate <= self._identification.baud_rate:
            self.state = next_state(SERVER_SIGN_ON, self.state, SignOnEvent.OTHER_CHOICE)
            return OtherModeChosen(protocol_control, character, mode_control)
        self.state = next_state(SERVER_SIGN_ON, self.state, SignOnEvent.CHOICE)
        confirmation = _choice(rate) if self._confirm else b""
        return Switch(rate, self._identification, confirmation, self._lines.rest())


def _choice(rate: int) -> bytes:
    """The option select message: HDLC at this rate."""
    return f"{ACKNOWLEDGE}{HDLC}{CHARACTERS[rate]}{HDLC}{END}".encode("ascii")

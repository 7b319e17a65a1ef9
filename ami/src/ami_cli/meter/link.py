"""The only places where octets meet a socket, a datagram or a serial line: four small classes with the same two methods.

`read` waits at most the given number of seconds and raises TimeoutError; a peer that has gone is a ConnectionError, everything else of
the operating system an OSError. Blocking on purpose: one person, one meter, one question at a time.
"""

import socket
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol

from ami_cli.meter.errors import ExitCode, MeterError
from ami_cli.meter.options import Reach
from ami_dlms.framing.mode_e import FIRST_BAUD_RATE
from ami_dlms.framing.wrapper import datagrams, decode_datagram
from ami_process.platforms import NeedsPosix
from ami_registry import Parity, Transport

try:
    import termios
except ModuleNotFoundError as missing:
    raise NeedsPosix(missing) from None

CHUNK = 65536
PARITIES = {Parity.NONE: "N", Parity.EVEN: "E", Parity.ODD: "O"}
"""As pyserial names them."""


class Link(Protocol):
    """A way to the meter and back."""

    def write(self, octets: bytes) -> None:
        """All of it."""

    def read(self, timeout_s: float) -> bytes:
        """What has come, at least one octet."""

    def close(self) -> None:
        """Give it up."""


class TcpLink:
    """A stream: the wrapper, or HDLC frames."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self._socket = socket.create_connection((host, port), timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def write(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def read(self, timeout_s: float) -> bytes:
        self._socket.settimeout(timeout_s)
        octets = self._socket.recv(CHUNK)
        if not octets:
            raise ConnectionResetError("the meter closed the connection")
        return octets

    def close(self) -> None:
        self._socket.close()


class UdpLink:
    """One datagram for one APDU, in the wrapper; nothing is repeated, so what gets lost ends in a timeout."""

    def __init__(self, host: str, port: int) -> None:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        self._socket = socket.socket(family, kind, protocol)
        self._socket.connect(address)

    def write(self, octets: bytes) -> None:
        for one in datagrams(octets):
            self._socket.send(one)

    def read(self, timeout_s: float) -> bytes:
        self._socket.settimeout(timeout_s)
        octets = self._socket.recv(CHUNK)
        decode_datagram(octets)  # cut short it would be waited for, and no rest ever comes
        return octets

    def close(self) -> None:
        self._socket.close()


class SerialLink:
    """A serial line with eight bits, or anything else that pyserial has a URL for (rfc2217://, socket://)."""

    def __init__(self, device: str, baud: int, parity: Parity) -> None:
        self.name = device
        self._early = b""
        self._port: Any = _pyserial().serial_for_url(device, baudrate=baud, parity=PARITIES[parity])

    def write(self, octets: bytes) -> None:
        self._port.write(octets)
        self._port.flush()

    def read(self, timeout_s: float) -> bytes:
        if self._early:
            octets, self._early = self._early, b""
            return octets
        self._port.timeout = timeout_s
        first: bytes = self._port.read(1)
        if not first:
            raise TimeoutError("timed out")
        more: bytes = self._port.read(self._port.in_waiting)
        return first + more

    def change_to(self, baud: int, early: bytes = b"") -> None:
        """Go on at this speed; `early` has been read already and comes again."""
        self._port.baudrate = baud
        self._early = early

    def close(self) -> None:
        self._port.close()


def open_link(reach: Reach) -> Link:
    """The link to the meter; MeterError when it can't be reached."""
    try:
        match reach.transport:
            case Transport.WRAPPER | Transport.HDLC:
                return TcpLink(reach.host, reach.port, reach.timeout_s)
            case Transport.UDP:
                return UdpLink(reach.host, reach.port)
            case Transport.SERIAL:
                return SerialLink(reach.device, FIRST_BAUD_RATE if reach.mode_e else reach.baud, reach.parity)
    except TimeoutError:
        raise _unreachable(reach, "no answer from this host", "check address, port, route and firewall") from None
    except ConnectionRefusedError:
        raise _unreachable(
            reach, "the connection is refused", "check the port; some meters serve one client only"
        ) from None
    except socket.gaierror:
        raise _unreachable(reach, "the name is not known", "check --host, and that names are resolved here") from None
    except (OSError, ValueError, termios.error) as error:
        raise _unreachable(reach, str(error), "check the address and that it can be reached from here") from None


def _unreachable(reach: Reach, what: str, hint: str) -> MeterError:
    return MeterError(ExitCode.UNREACHABLE, what, where=str(reach), hint=hint)


def _pyserial() -> ModuleType:
    try:
        return import_module("serial")
    except ImportError:
        raise MeterError(
            ExitCode.USAGE, "pyserial is not installed", where="serial", hint="pip install 'ami-reference[serial]'"
        ) from None

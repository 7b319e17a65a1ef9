"""What stands between a transport and a simulated meter, which speaks the wrapper over TCP: UDP, HDLC over TCP, a serial line.

Each relay hands whole APDUs on, in both directions, in a thread; the far end is always a real meter process.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from ami_dlms.enums import ApduTag
from ami_dlms.framing import wrapper
from ami_dlms.framing.framing import WrapperPdu
from ami_dlms.framing.hdlc_framing import HdlcServerFraming
from ami_dlms.framing.mode_e import Identification, ModeEServer

Read = Callable[[], bytes]
Write = Callable[[bytes], None]


class _Hdlc:
    """HDLC on one side; the first frames may be lost, to see that they are asked for again."""

    def __init__(self, lose: int = 0, physical: int | None = None) -> None:
        self._framing = HdlcServerFraming((1, 2), physical)
        self._lose = lose

    def from_client(self, octets: bytes) -> Iterator[WrapperPdu]:
        self._framing.receive_data(octets)
        while (pdu := self._framing.next_pdu()) is not None:
            if isinstance(pdu, WrapperPdu):
                yield pdu

    def to_client(self, pdu: WrapperPdu | None) -> bytes:
        octets = self._framing.data_to_send() if pdu is None else self._framing.encode(*pdu)
        if octets and self._lose:
            self._lose -= 1
            return b""
        return octets


class _Datagrams:
    """The wrapper, an APDU a datagram; answers may be cut short."""

    def __init__(self, cut: bool = False) -> None:
        self._cut = cut

    def from_client(self, octets: bytes) -> Iterator[WrapperPdu]:
        yield wrapper.decode_datagram(octets)

    def to_client(self, pdu: WrapperPdu | None) -> bytes:
        octets = b"" if pdu is None else wrapper.encode(pdu)
        return octets[:-1] if self._cut else octets


class _Over(Exception):
    """The connection is to end."""


class _UntilRelease(_Datagrams):
    """Everything until an association has been released."""

    def __init__(self) -> None:
        super().__init__()
        self._released = False

    def to_client(self, pdu: WrapperPdu | None) -> bytes:
        if self._released:
            raise _Over
        self._released = pdu is not None and pdu.apdu[0] == ApduTag.RLRE
        return super().to_client(pdu)


Side = _Hdlc | _Datagrams


def _relay(near: int, read: Read, write: Write, side: Side, meter_port: int, stop: int) -> None:
    """Until `stop` is readable or one side ends."""
    with socket.create_connection(("127.0.0.1", meter_port)) as far, selectors.DefaultSelector() as ready:
        deframer = wrapper.Deframer()
        for source in (near, far.fileno(), stop):
            ready.register(source, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                if key.fd == stop:
                    return
                octets = read() if key.fd == near else far.recv(65536)
                if not octets:
                    return
                if key.fd == near:
                    for pdu in side.from_client(octets):
                        far.sendall(wrapper.encode(pdu))
                else:
                    deframer.receive_data(octets)
                    while (pdu := deframer.next_pdu()) is not None:
                        write(side.to_client(pdu))
                write(side.to_client(None))


def _waits(source: int, stop: int) -> bool:
    """Whether there is something to read before it is time to stop."""
    with selectors.DefaultSelector() as ready:
        ready.register(source, selectors.EVENT_READ)
        ready.register(stop, selectors.EVENT_READ)
        return all(key.fd != stop for key, _ in ready.select())


@contextmanager
def _running(serve: Callable[[int], None]) -> Iterator[None]:
    stopped, stop = os.pipe()
    thread = threading.Thread(target=serve, args=(stopped,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.write(stop, b"x")
        thread.join(10)
        os.close(stop)
        os.close(stopped)
        assert not thread.is_alive()


@contextmanager
def udp(meter_port: int, *, cut: bool = False) -> Iterator[int]:
    """The port of a UDP socket with this meter behind it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near:
        near.bind(("127.0.0.1", 0))
        peer: list[tuple[str, int]] = []

        def read() -> bytes:
            octets, address = near.recvfrom(65536)
            peer[:] = [address]
            return octets

        def write(octets: bytes) -> None:
            if octets:
                near.sendto(octets, peer[0])

        side = _Datagrams(cut)
        with _running(lambda stop: _relay(near.fileno(), read, write, side, meter_port, stop)):
            yield int(near.getsockname()[1])


@contextmanager
def hdlc(meter_port: int, *, lose: int = 0, physical: int | None = None) -> Iterator[int]:
    """The port of a TCP socket that speaks HDLC, with this meter behind it; one connection after the other."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve(stop: int) -> None:
            while _waits(door.fileno(), stop):
                with door.accept()[0] as near, suppress(OSError):
                    side = _Hdlc(lose, physical)
                    _relay(near.fileno(), partial(near.recv, 65536), near.sendall, side, meter_port, stop)

        with _running(serve):
            yield int(door.getsockname()[1])


@contextmanager
def serial_line(meter_port: int, *, sign_on: Identification | None = None) -> Iterator[str]:
    """The device of a serial line that speaks HDLC, after a sign-on if one is wanted."""
    near, line = os.openpty()
    tty.setraw(line)

    def write(octets: bytes) -> None:
        if octets:
            os.write(near, octets)

    def serve(stop: int) -> None:
        if sign_on is not None:
            server = ModeEServer(sign_on)
            while (switch := server.next_event()) is None:
                write(server.data_to_send())
                if not _waits(near, stop):
                    return
                server.receive_data(os.read(near, 100))
            write(getattr(switch, "confirmation", b""))
        _relay(near, lambda: os.read(near, 65536), write, _Hdlc(), meter_port, stop)

    try:
        with _running(serve):
            yield os.ttyname(line)
    finally:
        os.close(near)
        os.close(line)


@contextmanager
def hangs_up_after_release(meter_port: int) -> Iterator[int]:
    """The port of a meter that closes the connection once an association has been released, as some do."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve(stop: int) -> None:
            while _waits(door.fileno(), stop):
                with door.accept()[0] as near, suppress(_Over, OSError):
                    side = _UntilRelease()
                    _relay(near.fileno(), partial(near.recv, 65536), near.sendall, side, meter_port, stop)

        with _running(serve):
            yield int(door.getsockname()[1])

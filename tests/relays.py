"""What may stand between a client and a simulated meter: a serial line, a line that loses, a meter that hangs up.

Each relay hands octets on as they come, in both directions, in a thread; the far end is always a real meter process.
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
from ami_dlms.framing.mode_e import Identification, ModeEServer
from ami_dlms.framing.wrapper import HEADER_SIZE

Read = Callable[[], bytes]
Write = Callable[[bytes], object]
Back = Callable[[bytes], bytes]
"""What becomes of the meter's octets on their way to the client."""


class _Over(Exception):
    """The connection is to end."""


class _Loses:
    """The first portions from the meter, so that they have to be asked for again."""

    def __init__(self, lose: int) -> None:
        self._lose = lose

    def __call__(self, octets: bytes) -> bytes:
        if self._lose:
            self._lose -= 1
            return b""
        return octets


class _UntilRelease:
    """Everything until an association has been released."""

    def __init__(self) -> None:
        self._released = False

    def __call__(self, octets: bytes) -> bytes:
        if self._released:
            raise _Over
        self._released = octets[HEADER_SIZE : HEADER_SIZE + 1] == bytes((ApduTag.RLRE,))
        return octets


def _same(octets: bytes) -> bytes:
    return octets


def _relay(near: int, read: Read, write: Write, far: socket.socket, stop: int, back: Back = _same) -> None:
    """Until `stop` is readable or one side ends."""
    with selectors.DefaultSelector() as ready:
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
                    far.sendall(octets)
                elif octets := back(octets):
                    write(octets)


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
def _door(meter_port: int, back: Callable[[], Back]) -> Iterator[int]:
    """The port of a TCP socket with this meter behind it; one connection after the other."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve(stop: int) -> None:
            while _waits(door.fileno(), stop):
                with (
                    door.accept()[0] as near,
                    socket.create_connection(("127.0.0.1", meter_port)) as far,
                    suppress(_Over, OSError),
                ):
                    _relay(near.fileno(), partial(near.recv, 65536), near.sendall, far, stop, back())

        with _running(serve):
            yield int(door.getsockname()[1])


@contextmanager
def loses_first(meter_port: int, lose: int) -> Iterator[int]:
    """The port of a line that loses so many portions of what the meter says first."""
    with _door(meter_port, lambda: _Loses(lose)) as port:
        yield port


@contextmanager
def hangs_up_after_release(meter_port: int) -> Iterator[int]:
    """The port of a meter that closes the connection once an association has been released, as some do."""
    with _door(meter_port, _UntilRelease) as port:
        yield port


@contextmanager
def cuts_datagrams(meter_port: int) -> Iterator[int]:
    """The port of a UDP socket with this meter behind it, whose answers lose their last octet."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far,
    ):
        near.bind(("127.0.0.1", 0))
        far.connect(("127.0.0.1", meter_port))
        client: list[tuple[str, int]] = []

        def read() -> bytes:
            octets, address = near.recvfrom(65536)
            client[:] = [address]
            return octets

        def write(octets: bytes) -> None:
            near.sendto(octets[:-1], client[0])

        with _running(lambda stop: _relay(near.fileno(), read, write, far, stop)):
            yield int(near.getsockname()[1])


@contextmanager
def serial_line(meter_port: int, *, sign_on: Identification | None = None) -> Iterator[str]:
    """The device of a serial line that ends at this meter, which speaks HDLC, after a sign-on if one is wanted."""
    near, line = os.openpty()
    tty.setraw(line)

    def next_octets(stop: int) -> bytes:
        return os.read(near, 65536) if _waits(near, stop) else b""

    def read(stop: int) -> bytes:
        """What the client says to the meter; each session begins with a sign-on, where one is wanted."""
        octets = next_octets(stop)
        while sign_on is not None and octets and octets[0] & 0x7F == ord("/"):
            server = ModeEServer(sign_on)
            server.receive_data(octets)
            while (switch := server.next_event()) is None:
                os.write(near, server.data_to_send())
                if not (octets := next_octets(stop)):
                    return b""
                server.receive_data(octets)
            os.write(near, getattr(switch, "confirmation", b""))
            octets = next_octets(stop)
        return octets

    def serve(stop: int) -> None:
        with socket.create_connection(("127.0.0.1", meter_port)) as far:
            _relay(near, partial(read, stop), partial(os.write, near), far, stop)

    try:
        with _running(serve):
            yield os.ttyname(line)
    finally:
        os.close(near)
        os.close(line)

"""Meters that wait to be called over TCP, by the wrapper or by HDLC: one listening socket for an address or a range of them."""

import asyncio
import errno
import socket
from functools import partial

from ami_meter_sim.lines.addresses import Addresses, Behind
from ami_meter_sim.lines.admission import Admission
from ami_meter_sim.lines.carrier import Carrier
from ami_meter_sim.lines.connection import Service
from ami_meter_sim.lines.sockets import resolve, tcp_socket
from ami_meter_sim.lines.tcp import TcpConnection
from ami_meter_sim.turns import READABLE
from ami_process.environment import real_time, real_timer
from ami_process.sockets import address_of

ACCEPTED_AT_ONCE = 64
"""The number of new connections that are taken in one turn: more would hold up the sessions beside them."""
NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""The system has no descriptor or memory left for a connection: those that wait are taken later."""
LATER_S = 1.0
BACKLOG = 4096
"""Connections that may wait while the loop is busy; the kernel's somaxconn limits it."""


class TcpListener:
    """A listening socket. `most`: connections to one address at a time."""

    def __init__(self, service: Service, admission: Admission, addresses: Addresses, most: int) -> None:
        self._service = service
        self._admission = admission
        self._addresses = addresses
        self._most = most
        self._sockets: list[socket.socket] = []
        self._listening: set[socket.socket] = set()
        self._later: dict[socket.socket, asyncio.TimerHandle] = {}
        self._open: set[TcpConnection] = set()
        self._none_open = asyncio.Event()

    async def start(self, host: str, port: int, device: str | None = None) -> str:
        """Begin to listen; the address with the real port. OSError when it is taken."""
        try:
            for family, address in await resolve(host, port, socket.SOCK_STREAM):
                one = tcp_socket(family, address, device)
                self._sockets.append(one)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what is accepted has it as well
                one.listen(BACKLOG)
                self._listen(one)
        except OSError:
            await self.stop()
            raise
        return address_of(self._sockets[0])

    async def stop(self) -> None:
        """Close everything."""
        for one in self._sockets:
            if (timer := self._later.pop(one, None)) is not None:
                timer.cancel()
            self._pause(one)
            one.close()
        self._sockets.clear()
        for connection in list(self._open):
            connection.abort()
        if self._open:
            await self._none_open.wait()

    def _listen(self, one: socket.socket) -> None:
        self._service.fleet.turns.watch(one, READABLE, partial(self._accept, one))
        self._listening.add(one)

    def _listen_again(self, one: socket.socket) -> None:
        """The selector may need a descriptor as well."""
        del self._later[one]
        try:
            self._listen(one)
        except OSError as error:
            self._wait_for_room(one, error)

    def _pause(self, one: socket.socket) -> None:
        if one in self._listening:
            self._listening.discard(one)
            self._service.fleet.turns.forget(one)

    def _accept(self, listening: socket.socket, _events: int) -> None:
        """Take the connections that wait."""
        turns = self._service.fleet.turns
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in NO_ROOM:
                    raise
                self._wait_for_room(listening, error)
                return
            connection = TcpConnection(self._service, self)
            connection.carried_by(Carrier(accepted, turns, connection))

    def _wait_for_room(self, listening: socket.socket, error: OSError) -> None:
        self._pause(listening)
        self._later[listening] = real_timer(real_time() + LATER_S, partial(self._listen_again, listening))
        what = {"message": "a connection can't be accepted for want of descriptors or memory", "exception": error}
        asyncio.get_running_loop().call_exception_handler(what)

    def behind(self, one: TcpConnection) -> Behind:
        """The meters at the address that was called."""
        return self._addresses.behind(one.own_host)

    def made(self, one: TcpConnection) -> None:
        """It is served if its address is one of ours and has room."""
        host = one.own_host
        if self._addresses.serves(host) and self._admission.admits(one, (self, host), self._most):
            self._open.add(one)
            self._none_open.clear()
        else:
            one.abort()

    def gone(self, one: TcpConnection) -> None:
        """There is room again."""
        if one in self._open:
            self._open.discard(one)
            self._admission.forget(one, (self, one.own_host))
        if not self._open:
            self._none_open.set()

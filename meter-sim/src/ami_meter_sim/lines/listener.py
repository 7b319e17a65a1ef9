"""Meters that wait to be called over TCP, by the wrapper or by HDLC: one listening socket for an address or a range of them."""

import asyncio
import socket

from ami_meter_sim.lines.addresses import Addresses, Behind
from ami_meter_sim.lines.admission import Admission
from ami_meter_sim.lines.connection import Service
from ami_meter_sim.lines.sockets import resolve, tcp_socket
from ami_meter_sim.lines.tcp import TcpConnection
from ami_process.sockets import address_of

ACCEPTED_AT_ONCE = 64
"""The number of new connections that are taken in one turn: more would hold up the sessions beside them."""
BACKLOG = 4096
"""Connections that may wait while the loop is busy; the kernel's somaxconn limits it."""


class TcpListener:
    """A listening socket. `most`: connections to one address at a time."""

    def __init__(self, service: Service, admission: Admission, addresses: Addresses, most: int) -> None:
        self._service = service
        self._admission = admission
        self._addresses = addresses
        self._most = most
        self._servers: list[asyncio.Server] = []
        self._open: set[TcpConnection] = set()
        self._none_open = asyncio.Event()

    async def start(self, host: str, port: int, device: str | None = None) -> str:
        """Begin to listen; the address with the real port. OSError when it is taken."""
        loop = asyncio.get_running_loop()
        try:
            for family, address in await resolve(host, port, socket.SOCK_STREAM):
                one = tcp_socket(family, address, device)
                # asyncio takes as many at once as may wait; more may wait here
                try:
                    server = await loop.create_server(self._connection, sock=one, backlog=ACCEPTED_AT_ONCE)
                except BaseException:
                    one.close()
                    raise
                self._servers.append(server)
                one.listen(BACKLOG)
        except OSError:
            await self.stop()
            raise
        return address_of(self._servers[0].sockets[0])

    def _connection(self) -> TcpConnection:
        return TcpConnection(self._service, self)

    async def stop(self) -> None:
        """Close everything."""
        for one in self._servers:
            one.close()
        self._servers.clear()
        for connection in list(self._open):
            connection.abort()
        if self._open:
            await self._none_open.wait()

    def behind(self, one: TcpConnection) -> Behind:
        """The meters at the address that was called."""
        return self._addresses.behind(one.own_host)

    def made(self, one: TcpConnection) -> None:
        """It is served if its address is one of ours and has room, and if we still listen."""
        host = one.own_host
        if self._servers and self._addresses.serves(host) and self._admission.admits(one, (self, host), self._most):
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

"""Meters over UDP: the wrapper, a PDU a datagram, and a session for each pair of client and own address.

Strategy: a client that has connected its socket takes answers from nowhere else, so each leaves from the address that was asked.
What does not fit into a socket's buffer is lost, as on any line.
"""

import asyncio
import socket
from contextlib import suppress

from ami_dlms.errors import DecodeError
from ami_dlms.framing.wrapper import decode_datagram
from ami_meter_sim import events
from ami_meter_sim.lines.addresses import Addresses, Behind
from ami_meter_sim.lines.admission import Admission
from ami_meter_sim.lines.connection import Connection, Service
from ami_meter_sim.lines.sockets import Address, Datagrams, resolve
from ami_process.sockets import address_of

AT_ONCE = 64
"""Datagrams that are read in one turn of the loop."""


class UdpPeer(Connection):
    """One client at one address of ours."""

    __slots__ = ("_listener", "_socket", "client", "own_host")

    def __init__(
        self, service: Service, listener: "UdpListener", line: Datagrams, client: Address, own_host: str
    ) -> None:
        super().__init__(service)
        self.client = client
        self.own_host = own_host
        self._listener = listener
        self._socket = line

    def _behind(self) -> Behind:
        return self._listener.addresses.behind(self.own_host)

    def _mind_reading(self) -> None:
        """Datagrams wait for no one: a few are kept while it is busy."""

    def _write(self, frames: list[bytes]) -> None:
        for octets in frames:
            with suppress(OSError):
                self._socket.send(octets, self.client, self.own_host)

    def _close(self) -> None:
        self._listener.gone(self)


class UdpListener:
    """A socket of UDP. `most`: clients of one address at a time."""

    def __init__(self, service: Service, admission: Admission, addresses: Addresses, most: int) -> None:
        self.addresses = addresses
        self._service = service
        self._admission = admission
        self._most = most
        self._peers: dict[tuple[Address, str], UdpPeer] = {}
        self._sockets: list[Datagrams] = []

    async def start(self, host: str, port: int, device: str | None = None) -> str:
        """Begin to listen; the address with the real port. OSError when it is taken."""
        try:
            for family, address in await resolve(host, port, socket.SOCK_DGRAM):
                line = Datagrams(family, address, device)
                self._sockets.append(line)
                asyncio.get_running_loop().add_reader(line.socket.fileno(), self._readable, line)
        except OSError:
            await self.stop()
            raise
        return address_of(self._sockets[0].socket)

    async def stop(self) -> None:
        """Close everything."""
        for line in self._sockets:
            asyncio.get_running_loop().remove_reader(line.socket.fileno())
        for one in list(self._peers.values()):
            one.hang_up()
        for line in self._sockets:
            line.close()

    def gone(self, one: UdpPeer) -> None:
        """There is room again; what the client sends next is a new beginning."""
        if self._peers.pop((one.client, one.own_host), None) is not None:
            self._admission.forget(one, (self, one.own_host))

    def _readable(self, line: Datagrams) -> None:
        for _ in range(AT_ONCE):
            try:
                came = line.receive()
            except OSError:
                continue  # the system reports here that an answer of ours found no one
            if came is None:
                return
            self._take(line, *came)

    def _take(self, line: Datagrams, octets: bytes, client: Address, own_host: str) -> None:
        if not self.addresses.serves(own_host):
            return
        try:
            decode_datagram(octets)
        except DecodeError as error:
            self._service.fleet.report(events.Discarded(meter="", reason=f"not a datagram of the wrapper: {error}"))
            return
        one = self._peers.get((client, own_host))
        if one is None:
            one = UdpPeer(self._service, self, line, client, own_host)
            if not self._admission.admits(one, (self, own_host), self._most):
                return
            self._peers[client, own_host] = one
        one.take(octets)

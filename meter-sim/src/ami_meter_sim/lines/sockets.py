"""Sockets that meters listen on: one address, or all of them behind a wildcard, and not beyond a device where one is named."""

import asyncio
import socket
import struct
import sys
from contextlib import suppress
from ipaddress import ip_address

IP_PKTINFO = getattr(socket, "IP_PKTINFO", 26 if sys.platform == "darwin" else 8)
"""By its number where Python has no name for it."""
IPV6_FREEBIND = 78
"""Lets IPv6 send from an address that no interface has, as those of a routed prefix (Linux); IPv4 does so by itself."""
ANY = ("0.0.0.0", "::")  # noqa: S104 - to know them
LARGEST = 0x10000
ANCILLARY = 64
RECEIVE_OCTETS = 0x400000
"""A burst of datagrams waits in the socket; the kernel's rmem_max limits it."""
IN4 = struct.Struct("=I4s4s")  # interface, source of what is sent, destination of what came
IN6 = struct.Struct("=16sI")  # address, interface

Address = tuple[str, int]
Ancillary = tuple[int, int, bytes]


async def resolve(host: str, port: int, kind: socket.SocketKind) -> list[tuple[socket.AddressFamily, Address]]:
    """Families and addresses of a name or an address. OSError when there are none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, (str(at[0]), int(at[1]))) for family, _, _, _, at in found))


def tcp_socket(family: socket.AddressFamily, address: Address, device: str | None = None) -> socket.socket:
    """Bound, not listening yet."""
    # asyncio sets TCP_NODELAY on what is accepted only if the protocol is named
    one = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    return _bound(one, address, device)


def _bound(one: socket.socket, address: Address, device: str | None) -> socket.socket:
    try:
        one.setblocking(False)
        if one.type == socket.SOCK_STREAM:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if one.family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if device is not None:
            if sys.platform != "linux":
                raise OSError(f"only Linux can keep it to the network device {device}, and others could reach it")
            one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        one.bind(address)
    except BaseException:
        one.close()
        raise
    return one


def _send_from_any(one: socket.socket) -> None:
    """Where the system knows no such option, only addresses of interfaces are sent from."""
    with suppress(OSError):
        one.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)


async def connected(
    host: str, port: int, own_host: str | None, kind: socket.SocketKind = socket.SOCK_STREAM
) -> socket.socket:
    """A connection of TCP, or a socket of UDP for one peer, from this address of ours, None: any. OSError when it can't be had."""
    found = await resolve(host, port, kind)
    wanted = None if own_host is None else socket.AF_INET6 if ":" in own_host else socket.AF_INET
    family, to = next((one for one in found if wanted in (None, one[0])), found[0])
    one = socket.socket(family, kind)
    try:
        one.setblocking(False)
        if own_host is not None:
            if family == socket.AF_INET6:
                _send_from_any(one)
            one.bind((own_host, 0))
        await asyncio.get_running_loop().sock_connect(one, to)
    except BaseException:
        one.close()
        raise
    return one


class Datagrams:
    """A bound socket of UDP that knows which address of ours a datagram was sent to, and sends from the one that its caller names.

    Behind a wildcard the system says so with each datagram; otherwise there is one address.
    """

    def __init__(self, family: socket.AddressFamily, address: Address, device: str | None = None) -> None:
        self.socket = _bound(socket.socket(family, socket.SOCK_DGRAM), address, device)
        self._wildcard = address[0] in ANY
        self._own = str(self.socket.getsockname()[0])
        if self._wildcard and family == socket.AF_INET6:
            _send_from_any(self.socket)
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        elif self._wildcard:
            self.socket.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        with suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_OCTETS)

    def receive(self) -> tuple[bytes, Address, str] | None:
        """Octets, who sent them, and to which address of ours; None when there are none now."""
        try:
            if not self._wildcard:
                octets, client = self.socket.recvfrom(LARGEST)
                return octets, client, self._own
            octets, ancillary, _, client = self.socket.recvmsg(LARGEST, ANCILLARY)
        except (BlockingIOError, InterruptedError):
            return None
        own = next(map(_address_of, ancillary), None)
        return octets, client, self._own if own is None else own

    def send(self, octets: bytes, to: Address, own: str | None = None) -> None:
        """Send from an address of ours, None: any. OSError when that is impossible now."""
        if own is None or not self._wildcard:
            self.socket.sendto(octets, to)
        else:
            self.socket.sendmsg([octets], [_from(self.socket.family, own)], 0, to)

    def close(self) -> None:
        """Give it up."""
        self.socket.close()


def _address_of(one: Ancillary) -> str | None:
    level, kind, octets = one
    if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
        return socket.inet_ntop(socket.AF_INET, IN4.unpack_from(octets)[2])
    if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
        return socket.inet_ntop(socket.AF_INET6, IN6.unpack_from(octets)[0])
    return None


def _from(family: int, own: str) -> Ancillary:
    """What makes the system send from this address."""
    source = socket.inet_pton(family, own)
    if family == socket.AF_INET6:
        return socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, IN6.pack(source, 0)
    return socket.IPPROTO_IP, IP_PKTINFO, IN4.pack(0, source, bytes(4))


def leaves_from(own_host: str | None, host: str) -> str | None:
    """The address of a meter as that from which something can leave for `host`: a loopback address reaches loopback addresses alone."""
    if own_host is None or not ip_address(own_host).is_loopback:
        return own_host
    try:
        return own_host if host == "localhost" or ip_address(host).is_loopback else None
    except ValueError:
        return None

"""Where meter number `index` of a population is reached, derived and not stored: by an address, a port, or a wrapper port of its own.

Strategy: a wildcard socket serves every address of 127.0.0.0/8, or of a prefix that is routed to this machine, and the system
says which one a client took. So a million meters have an address each, and the port of the standard, without a socket each.
Where that is not possible, each has a port of one address, or is a logical device behind one address and port.
"""

import socket
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from ami_meter_sim.population.identity import IdentityError

LOOPBACK = IPv4Network("127.0.0.0/8")
PORTS = range(1, 0x10000)
FIRST_LOGICAL_DEVICE = 0x10
"""Those below are reserved, but for the management logical device 1 (Green Book, table of reserved server SAPs)."""
ALL_STATION = 0x7F
LAST_WPORT = 0xFFFF
OWN_ADDRESS_WPORT = 1
Place = tuple[str, int, int]
"""Host, port and server wrapper port."""


class Addressing(StrEnum):
    """What tells the meters of a population apart."""

    ADDRESS_EACH = "address-each"
    PORT_EACH = "port-each"
    LOGICAL_DEVICES = "logical-devices"


class AddressingError(IdentityError):
    """The population does not fit; the text says why."""


@dataclass(frozen=True, slots=True)
class Door(ABC):
    """What one socket is bound to, and which meters are behind it."""

    host: str
    port: int

    @abstractmethod
    def serves(self, own_host: str) -> bool:
        """Whether there are meters at this address, which a client took to reach the socket."""

    @abstractmethod
    def index(self, own_host: str, server_wport: int) -> int | None:
        """Which meter that is; None when there is none."""

    @property
    def devices(self) -> int:
        """Number of meters at each of its addresses."""
        return 1

    @abstractmethod
    def wports(self, own_host: str) -> Sequence[int]:
        """The server wrapper ports at this address."""


@dataclass(frozen=True, slots=True)
class AddressEach(Door):
    """`count` addresses from `first` on, each with one meter, behind a wildcard."""

    first: int
    count: int

    def serves(self, own_host: str) -> bool:
        """Whether it is in the range."""
        return self.index(own_host, OWN_ADDRESS_WPORT) is not None

    def index(self, own_host: str, server_wport: int) -> int | None:
        """By the distance from the first address."""
        if server_wport != OWN_ADDRESS_WPORT:
            return None
        try:
            octets = socket.inet_pton(socket.AF_INET6 if ":" in self.host else socket.AF_INET, own_host)
        except OSError:
            return None
        index = int.from_bytes(octets, "big") - self.first
        return index if 0 <= index < self.count else None

    def wports(self, own_host: str) -> Sequence[int]:
        """One."""
        return (OWN_ADDRESS_WPORT,)


@dataclass(frozen=True, slots=True)
class OnePort(Door):
    """One meter."""

    only: int

    def serves(self, own_host: str) -> bool:
        """Always: the socket is its own."""
        return True

    def index(self, own_host: str, server_wport: int) -> int | None:
        """The only one."""
        return self.only if server_wport == OWN_ADDRESS_WPORT else None

    def wports(self, own_host: str) -> Sequence[int]:
        """One."""
        return (OWN_ADDRESS_WPORT,)


@dataclass(frozen=True, slots=True)
class LogicalDevices(Door):
    """`count` meters as logical devices, 16 and up without the all-station address 127."""

    count: int

    def serves(self, own_host: str) -> bool:
        """Always: the socket is theirs."""
        return True

    def index(self, own_host: str, server_wport: int) -> int | None:
        """By the distance from the first logical device."""
        index = server_wport - FIRST_LOGICAL_DEVICE - (server_wport > ALL_STATION)
        return index if 0 <= index < self.count and server_wport != ALL_STATION else None

    @property
    def devices(self) -> int:
        """All of them."""
        return self.count

    def wports(self, own_host: str) -> Sequence[int]:
        """All of them."""
        return [logical_device(index) for index in range(self.count)]


def logical_device(index: int) -> int:
    """Server wrapper port of the logical device `index`."""
    wport = FIRST_LOGICAL_DEVICE + index
    return wport if wport < ALL_STATION else wport + 1


@dataclass(frozen=True, slots=True)
class AddressPlan:
    """`count` meters from `host` and `port` on. AddressingError when they do not fit."""

    addressing: Addressing
    host: str
    port: int
    count: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise AddressingError(f"a population of {self.count} meters")
        if self.port not in PORTS:
            raise AddressingError(f"{self.port} is no port")
        {
            Addressing.ADDRESS_EACH: self._check_addresses,
            Addressing.PORT_EACH: self._check_ports,
            Addressing.LOGICAL_DEVICES: self._check_wports,
        }[self.addressing]()

    def place(self, index: int) -> Place:
        """Where this meter is reached."""
        match self.addressing:
            case Addressing.ADDRESS_EACH:
                return str(_address(self.host) + index), self.port, self.server_wport(index)
            case Addressing.PORT_EACH:
                return self.host, self.port + index, self.server_wport(index)
            case Addressing.LOGICAL_DEVICES:
                return self.host, self.port, self.server_wport(index)

    def server_wport(self, index: int) -> int:
        """The last of that, which costs less to say."""
        return logical_device(index) if self.addressing is Addressing.LOGICAL_DEVICES else OWN_ADDRESS_WPORT

    def doors(self) -> Iterator[Door]:
        """The sockets that serve them."""
        match self.addressing:
            case Addressing.ADDRESS_EACH:
                yield AddressEach(_wildcard(self.host), self.port, int(ip_address(self.host)), self.count)
            case Addressing.PORT_EACH:
                for index in range(self.count):
                    yield OnePort(self.host, self.port + index, index)
            case Addressing.LOGICAL_DEVICES:
                yield LogicalDevices(self.host, self.port, self.count)

    def _check_addresses(self) -> None:
        try:
            first = ip_address(self.host)
        except ValueError:
            raise AddressingError(
                f"{self.host} is no address, and the addresses of a population begin with one"
            ) from None
        whole = LOOPBACK if first in LOOPBACK else _widest(first.version)
        last = int(first) + self.count - 1
        if last > int(whole.broadcast_address):
            raise AddressingError(f"{self.count} addresses from {self.host} on are more than there are in {whole}")

    def _check_ports(self) -> None:
        last = self.port + self.count - 1
        if last > PORTS[-1]:
            raise AddressingError(
                f"{self.count} ports from {self.port} on end at {last}, and the last port is {PORTS[-1]}"
            )

    def _check_wports(self) -> None:
        last = logical_device(self.count - 1)
        if last > LAST_WPORT:
            raise AddressingError(
                f"{self.count} logical devices of one address end at {last}, and the last wrapper port is {LAST_WPORT}"
            )


@lru_cache(64)
def _address(host: str) -> IPv4Address | IPv6Address:
    """The first address of a population, read once."""
    return ip_address(host)


def _widest(version: int) -> IPv4Network | IPv6Network:
    return ip_network("0.0.0.0/0" if version == 4 else "::/0")


def _wildcard(host: str) -> str:
    return "::" if ":" in host else "0.0.0.0"  # noqa: S104 - addresses beyond the population's are hung up

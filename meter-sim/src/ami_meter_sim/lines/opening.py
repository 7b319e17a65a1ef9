"""Opening the sockets that meters listen on, and saying what to do where one can't be had."""

import errno
from dataclasses import dataclass

from ami_meter_sim.lines.addresses import Addresses
from ami_meter_sim.lines.admission import Admission
from ami_meter_sim.lines.connection import Service
from ami_meter_sim.lines.listener import TcpListener
from ami_meter_sim.lines.port_holder import holder_of
from ami_meter_sim.lines.sockets import ANY
from ami_meter_sim.lines.udp import UdpListener
from ami_process.sockets import AddressInUse, ListenFailed, format_address

Listener = TcpListener | UdpListener


@dataclass(frozen=True, slots=True)
class Socket:
    """Where to listen. `device`: for octets of this network device alone; `setting` names the place for a person."""

    host: str
    port: int
    setting: str
    udp: bool = False
    device: str | None = None


async def listen(
    where: Socket, service: Service, admission: Admission, addresses: Addresses, most: int
) -> tuple[Listener, str]:
    """A listener and its address with the real port; `most` connections to each address. ListenFailed says why not."""
    kind = UdpListener if where.udp else TcpListener
    listener = kind(service, admission, addresses, most)
    try:
        return listener, await listener.start(where.host, where.port, where.device)
    except OSError as error:
        raise _cannot_listen(where, error) from None


def _cannot_listen(where: Socket, error: OSError) -> ListenFailed:
    address, reason = format_address(where.host, where.port), error.strerror or str(error)
    if error.errno == errno.EADDRINUSE:
        if holder := holder_of(where.port, udp=where.udp):
            reason += f", by {holder}"
        if where.host in ANY:
            reason += (
                "; meters with an address each need the port at all addresses: take another port or address family"
            )
        return AddressInUse(address, where.setting, reason)
    if error.errno == errno.EMFILE:
        reason += ": the limit of open files (ulimit -n) is below the number of sockets"
    return ListenFailed(address, where.setting, reason)

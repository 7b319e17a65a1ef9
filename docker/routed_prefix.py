"""Run a simulator that has a whole prefix of addresses: PREFIX becomes local to this container, then what runs is nobody special any more.

`ip route add local PREFIX dev lo`, without iproute2, as one message of rtnetlink (rtnetlink(7)). Linux answers ARP for every address of
its local table, so where PREFIX is a part of the container's own network that Docker gives to nobody, its neighbours reach each address
without a route of theirs. That takes NET_ADMIN, so the container begins as root; from the route on it is the user of all our images, who
has no capability, and becomes the simulator.
"""

import ipaddress
import os
import pwd
import socket
import struct
import sys

REQUEST, ACK, CREATE, REPLACE = 0x1, 0x4, 0x400, 0x100
NEW_ROUTE, ERROR = 24, 2
TABLE_LOCAL, BY_BOOT, SCOPE_HOST, TYPE_LOCAL = 255, 3, 254, 2
DESTINATION, INTERFACE = 1, 4
USER = "ami"


def main(arguments: list[str]) -> None:
    """Route the prefix that PREFIX names, become the user, and then Python with these arguments."""
    given = os.environ.get("PREFIX", "")
    try:
        prefix = ipaddress.ip_network(given)
    except ValueError as problem:
        sys.exit(f"PREFIX={given}: {problem}")
    try:
        add_local_route(prefix)
    except OSError as problem:
        sys.exit(f"PREFIX={given} can't be made local to this container, which takes NET_ADMIN: {problem.strerror}")
    become(pwd.getpwnam(USER))
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606


def add_local_route(prefix: ipaddress.IPv4Network | ipaddress.IPv6Network) -> None:
    """Raises OSError as the kernel refuses it; a route that is there already is replaced."""
    family = socket.AF_INET if prefix.version == 4 else socket.AF_INET6
    route = struct.pack("=8BI", family, prefix.prefixlen, 0, 0, TABLE_LOCAL, BY_BOOT, SCOPE_HOST, TYPE_LOCAL, 0)
    address = prefix.network_address.packed
    content = (
        route + attribute(DESTINATION, address) + attribute(INTERFACE, struct.pack("=I", socket.if_nametoindex("lo")))
    )
    header = struct.pack("=IHHII", 16 + len(content), NEW_ROUTE, REQUEST | ACK | CREATE | REPLACE, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.sendto(header + content, (0, 0))
        answer = kernel.recv(65536)
    kind, number = struct.unpack_from("=H", answer, 4)[0], struct.unpack_from("=i", answer, 16)[0]
    if kind != ERROR or number:
        raise OSError(-number, os.strerror(-number))


def attribute(kind: int, value: bytes) -> bytes:
    """A rtattr, whose values have lengths of whole words here."""
    return struct.pack("=HH", 4 + len(value), kind) + value


def become(user: pwd.struct_passwd) -> None:
    """For good: who is not root any more keeps no capability."""
    os.setgroups([])
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)


if __name__ == "__main__":
    main(sys.argv[1:])

"""From a packet to the segment of TCP or UDP in it: Ethernet, VLANs, PPP and PPPoE, and the tunnels that operators use.

GRE, GTP-U, VXLAN and IP in IP carry whole packets again; how deep is bounded. Fragments of IP are left out.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import NamedTuple

ETHERNET, PPP, PPP_HDLC, COOKED, COOKED_2 = 1, 9, 50, 113, 276
LOOPBACK, RAW, USER = frozenset({0, 108}), frozenset({12, 14, 101, 228, 229}), frozenset(range(147, 163))
IPV4, IPV6, VLANS, PPPOE, MPLS, BRIDGED, GRE_PPP, ERSPAN = (
    0x0800,
    0x86DD,
    (0x8100, 0x88A8, 0x9100),
    0x8864,
    0x8847,
    0x6558,
    0x880B,
    0x88BE,
)
IN_IPV4, TCP, UDP, IN_IPV6, GRE = 4, 6, 17, 41, 47
HOPS, ROUTING, DESTINATION, AUTHENTICATION = 0, 43, 60, 51
GTP_U, VXLAN = 2152, 4789
PPP_IPV4, PPP_IPV6 = 0x21, 0x57
MOST_LAYERS = 24


class IpPayload(NamedTuple):
    """What IP carried: the protocol, both ends with their ports, and the segment with its header. `protocol` 0: no IP at all."""

    protocol: int
    source: str
    destination: str
    octets: bytes


class Unknown(Exception):
    """A packet in which no segment was found; the text says what it was."""


def segment_of(link: int, frame: bytes) -> IpPayload:
    """The innermost segment of a packet; Unknown when there is none."""
    try:
        return _link(link, frame, MOST_LAYERS)
    except (struct.error, IndexError):
        raise Unknown("packets that end too soon") from None


def _link(link: int, frame: bytes, left: int) -> IpPayload:
    if link in USER:
        return IpPayload(0, "one end", "the other", frame)
    if link in RAW | LOOPBACK:
        packet = frame if link in RAW else frame[4:]
        return _network({4: IPV4, 6: IPV6}.get(packet[0] >> 4, 0), packet, left)
    if link in (PPP, PPP_HDLC):
        return _ppp(frame, left)
    where = {ETHERNET: (12, 14), COOKED: (14, 16), COOKED_2: (0, 20)}.get(link)
    if where is None:
        raise Unknown(f"packets of link type {link}")
    place, end = where
    return _network(_u16(frame, place), frame[end:], left)


def _u16(octets: bytes, place: int) -> int:
    return int(struct.unpack_from(">H", octets, place)[0])


def _network(protocol: int, packet: bytes, left: int) -> IpPayload:
    if not left:
        raise Unknown(f"more than {MOST_LAYERS} layers one in the other")
    known = _NETWORKS.get(protocol)
    if known is None:
        raise Unknown(f"packets of ethertype {protocol:04X}" if protocol >= 0x600 else "packets of IEEE 802.3")
    return known(packet, left - 1)


def _vlan(packet: bytes, left: int) -> IpPayload:
    return _network(_u16(packet, 2), packet[4:], left)


def _pppoe(packet: bytes, left: int) -> IpPayload:
    return _ppp(packet[6:], left)


def _ppp(packet: bytes, left: int) -> IpPayload:
    """The address FF 03 may be left out, and a protocol below 100 may have one octet."""
    packet = packet.removeprefix(b"\xff\x03")
    size = 1 if packet[0] & 1 else 2
    protocol = int.from_bytes(packet[:size], "big")
    if protocol not in (PPP_IPV4, PPP_IPV6):
        raise Unknown(f"packets of PPP protocol {protocol:04X}")
    return _network(IPV4 if protocol == PPP_IPV4 else IPV6, packet[size:], left)


def _mpls(packet: bytes, left: int) -> IpPayload:
    while not packet[2] & 1:
        packet = packet[4:]
    return _network({4: IPV4, 6: IPV6}.get(packet[4] >> 4, 0), packet[4:], left)


def _ipv4(packet: bytes, left: int) -> IpPayload:
    if len(packet) < 20:
        raise IndexError
    if _u16(packet, 6) & 0x3FFF:
        raise Unknown("fragments of IP")
    total = _u16(packet, 2) or len(packet)
    source, destination = (".".join(map(str, packet[place : place + 4])) for place in (12, 16))
    return _inside(packet[9], source, destination, packet[4 * (packet[0] & 15) : total], left)


def _ipv6(packet: bytes, left: int) -> IpPayload:
    if len(packet) < 40:
        raise IndexError
    source, destination = (f"[{IPv6Address(packet[place : place + 16])}]" for place in (8, 24))
    following, rest = packet[6], packet[40 : 40 + _u16(packet, 4)]
    while following in (HOPS, ROUTING, DESTINATION, AUTHENTICATION):
        size = 4 * (rest[1] + 2) if following == AUTHENTICATION else 8 * (rest[1] + 1)
        following, rest = rest[0], rest[size:]
    return _inside(following, source, destination, rest, left)


def _inside(protocol: int, source: str, destination: str, octets: bytes, left: int) -> IpPayload:
    if protocol in (IN_IPV4, IN_IPV6):
        return _network(IPV4 if protocol == IN_IPV4 else IPV6, octets, left)
    if protocol == GRE:
        return _gre(octets, left)
    if protocol not in (TCP, UDP):
        raise Unknown("fragments of IP" if protocol == 44 else f"packets of IP protocol {protocol}")
    ports = struct.unpack_from(">HH", octets)
    if protocol == UDP:
        for port, tunnel in ((GTP_U, _gtp), (VXLAN, _vxlan)):
            if port in ports and (carried := tunnel(octets[8:], left)) is not None:
                return carried
    return IpPayload(protocol, f"{source}:{ports[0]}", f"{destination}:{ports[1]}", octets)


def _gre(packet: bytes, left: int) -> IpPayload:
    """Checksum, key and sequence number are there as the flags say; version 1 is PPTP's, with an acknowledgement."""
    flags, protocol = struct.unpack_from(">HH", packet)
    place = 4 + 4 * sum(bool(flags & bit) for bit in (0x8000, 0x2000, 0x1000))
    place += 4 if flags & 7 == 1 and flags & 0x80 else 0
    if protocol == GRE_PPP:
        return _ppp(packet[place:], left)
    if protocol == ERSPAN:
        return _network(BRIDGED, packet[place + (8 if flags & 0x1000 else 0) :], left)
    return _network(protocol, packet[place:], left)


def _gtp(packet: bytes, left: int) -> IpPayload | None:
    """None when it is no G-PDU of version 1."""
    if len(packet) < 8 or packet[0] & 0xF0 != 0x30 or packet[1] != 0xFF:
        return None
    place = 8
    if packet[0] & 7:
        following, place = packet[11], 12
        while packet[0] & 4 and following:
            size = 4 * packet[place]
            if not size:
                return None
            following, place = packet[place + size - 1], place + size
    return _network({4: IPV4, 6: IPV6}.get(packet[place] >> 4, 0), packet[place:], left)


def _vxlan(packet: bytes, left: int) -> IpPayload | None:
    return _network(BRIDGED, packet[8:], left) if packet[:1] == b"\x08" else None


def _ethernet(packet: bytes, left: int) -> IpPayload:
    return _network(_u16(packet, 12), packet[14:], left)


_NETWORKS: dict[int, Callable[[bytes, int], IpPayload]] = {
    IPV4: _ipv4,
    IPV6: _ipv6,
    PPPOE: _pppoe,
    MPLS: _mpls,
    BRIDGED: _ethernet,
    **dict.fromkeys(VLANS, _vlan),
}

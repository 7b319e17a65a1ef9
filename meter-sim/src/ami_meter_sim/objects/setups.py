"""Setup classes of communication: optical port (19), HDLC (23), TCP-UDP (41), IPv4 (42), MAC (43), GPRS (45), GSM diagnostic (47), IPv6 (48).

Strategy: what a head-end configures here has no effect on the sockets of the simulation, so that a wrong address never cuts a
meter off; it is checked, kept over a restart and read back. Passwords and the PIN can be written, and no client reads them.
"""

from typing import ClassVar

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult, DataTag
from ami_meter_sim.objects.cosem_object import AccessRefused, ActionRefused, Write
from ami_meter_sim.objects.kept_object import KeptObject, parameter
from ami_meter_sim.objects.secrets import Secret, keep_secret
from ami_meter_sim.objects.shapes import (
    LOGICAL_NAME,
    UINT8,
    UINT16,
    UINT32,
    Array,
    Number,
    Octets,
    Shape,
    Structure,
    boolean,
)

MOST_ADDRESSES = 16
IP_OPTION = Structure(UINT8, UINT8, Octets(most=40))
IPV6_ADDRESS = Octets(16)
BAUD = Number(DataTag.ENUM, range(10))
"""300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200."""
QUALITY = Structure(*[UINT8] * 5)
NO_QUALITY = data.structure(*[data.unsigned(0)] * 5)
NEIGHBOR_DISCOVERY = Structure(UINT8, UINT16, UINT32)
UNICAST, MULTICAST, GATEWAY = range(3)


def write_only(which: Secret, shape: Shape) -> Write:
    """A write of something that no client may read back."""

    def write(self: KeptObject, value: Data) -> None:
        if not shape(value):
            raise AccessRefused(DataAccessResult.TYPE_UNMATCHED)
        content = value.value
        octets = content if isinstance(content, bytes) else int(content).to_bytes(2, "big")
        keep_secret(self.device.kept, self.class_id, self.described.obis, which, octets)

    return write


def _unreadable(_self: KeptObject, _context: object) -> Data:
    raise AccessRefused(DataAccessResult.READ_WRITE_DENIED)


class LocalPort(KeptObject):
    """IEC local port setup: the optical head."""

    __slots__ = ()

    class_id, version = 19, 1
    initial: ClassVar = {
        "default_mode": data.enum(0),
        "default_baud": data.enum(5),
        "prop_baud": data.enum(5),
        "response_time": data.enum(1),
        "device_addr": data.octet_string(b""),
    }
    writable: ClassVar = {
        "default_mode": Number(DataTag.ENUM, range(3)),
        "default_baud": BAUD,
        "prop_baud": BAUD,
        "response_time": Number(DataTag.ENUM, range(2)),
        "device_addr": Octets(most=32),
    }
    reads: ClassVar = dict.fromkeys(("pass_p1", "pass_p2", "pass_w5"), _unreadable)
    writes: ClassVar = {
        "pass_p1": write_only(Secret.PASSWORD_1, Octets(most=32)),
        "pass_p2": write_only(Secret.PASSWORD_2, Octets(most=32)),
        "pass_w5": write_only(Secret.PASSWORD_5, Octets(most=32)),
    }


class HdlcSetup(KeptObject):
    """IEC HDLC setup; lengths and windows are those that ISO/IEC 13239 allows here."""

    __slots__ = ()

    class_id, version = 23, 1
    initial: ClassVar = {
        "comm_speed": data.enum(5),
        "window_size_transmit": data.unsigned(1),
        "window_size_receive": data.unsigned(1),
        "max_info_field_length_transmit": data.long_unsigned(128),
        "max_info_field_length_receive": data.long_unsigned(128),
        "inter_octet_time_out": data.long_unsigned(25),
        "inactivity_time_out": data.long_unsigned(120),
        "device_address": data.long_unsigned(16),
    }
    writable: ClassVar = {
        "comm_speed": BAUD,
        "window_size_transmit": Number(DataTag.UNSIGNED, range(1, 8)),
        "window_size_receive": Number(DataTag.UNSIGNED, range(1, 8)),
        "max_info_field_length_transmit": Number(DataTag.LONG_UNSIGNED, range(32, 2031)),
        "max_info_field_length_receive": Number(DataTag.LONG_UNSIGNED, range(32, 2031)),
        "inter_octet_time_out": Number(DataTag.LONG_UNSIGNED, range(20, 6001)),
        "inactivity_time_out": UINT16,
        "device_address": Number(DataTag.LONG_UNSIGNED, range(0x10, 0x3FFE)),
    }


class TcpUdpSetup(KeptObject):
    """TCP-UDP setup."""

    __slots__ = ()

    class_id, version = 41, 0
    initial: ClassVar = {
        "tcp_udp_port": data.long_unsigned(4059),
        "ip_reference": data.octet_string(bytes((0, 0, 25, 1, 0, 255))),
        "mss": data.long_unsigned(576),
        "nb_of_sim_conn": data.unsigned(1),
        "inactivity_time_out": data.long_unsigned(180),
    }
    writable: ClassVar = {
        "tcp_udp_port": Number(DataTag.LONG_UNSIGNED, range(1, 0x10000)),
        "ip_reference": LOGICAL_NAME,
        "mss": Number(DataTag.LONG_UNSIGNED, range(40, 0x10000)),
        "nb_of_sim_conn": Number(DataTag.UNSIGNED, range(1, 256)),
        "inactivity_time_out": UINT16,
    }


class Ipv4Setup(KeptObject):
    """IPv4 setup; an address is a number of 32 bits, 0 where there is none."""

    __slots__ = ()

    class_id, version = 42, 0
    initial: ClassVar = {
        "dl_reference": data.octet_string(bytes((0, 0, 25, 2, 0, 255))),
        "ip_address": data.double_long_unsigned(0),
        "multicast_ip_address": data.array(),
        "ip_options": data.array(),
        "subnet_mask": data.double_long_unsigned(0),
        "gateway_ip_address": data.double_long_unsigned(0),
        "use_dhcp_flag": data.boolean(True),
        "primary_dns_address": data.double_long_unsigned(0),
        "secondary_dns_address": data.double_long_unsigned(0),
    }
    writable: ClassVar = {
        "dl_reference": LOGICAL_NAME,
        "ip_address": UINT32,
        "multicast_ip_address": Array(UINT32, MOST_ADDRESSES),
        "ip_options": Array(IP_OPTION, MOST_ADDRESSES),
        "subnet_mask": UINT32,
        "gateway_ip_address": UINT32,
        "use_dhcp_flag": boolean,
        "primary_dns_address": UINT32,
        "secondary_dns_address": UINT32,
    }
    methods: ClassVar = {
        "add_mc_ip_address": lambda self, given: add(self, "multicast_ip_address", parameter(given, UINT32)),
        "delete_mc_ip_address": lambda self, given: remove(self, "multicast_ip_address", parameter(given, UINT32)),
        "get_nbof_mc_ip_addresses": lambda self, _: data.long_unsigned(len(self.elements("multicast_ip_address"))),
    }


class MacAddressSetup(KeptObject):
    """MAC address setup: 6 octets of Ethernet, 8 of an EUI-64."""

    __slots__ = ()

    class_id, version = 43, 0
    initial: ClassVar = {"MAC_address": data.octet_string(bytes(6))}
    writable: ClassVar = {"MAC_address": lambda value: Octets(6)(value) or Octets(8)(value)}


class GprsModemSetup(KeptObject):
    """GPRS modem setup."""

    __slots__ = ()

    class_id, version = 45, 0
    initial: ClassVar = {"APN": data.octet_string(b""), "quality_of_service": data.structure(NO_QUALITY, NO_QUALITY)}
    writable: ClassVar = {"APN": Octets(most=100), "quality_of_service": Structure(QUALITY, QUALITY)}
    reads: ClassVar = {"PIN_code": _unreadable}
    writes: ClassVar = {"PIN_code": write_only(Secret.PIN, Number(DataTag.LONG_UNSIGNED, range(10000)))}


class GsmDiagnostic(KeptObject):
    """GSM diagnostic: nothing of it can be written; capture_time is the instant of the read, as the values never change."""

    __slots__ = ()

    class_id, version = 47, 1
    initial: ClassVar = {
        "operator": data.visible_string("AMI"),
        "status": data.enum(1),
        "cs_attachment": data.enum(0),
        "ps_status": data.enum(4),
        "cell_info": data.structure(
            data.double_long_unsigned(1),
            data.long_unsigned(1),
            data.unsigned(20),
            data.unsigned(0),
            data.long_unsigned(1),
            data.long_unsigned(1),
            data.double_long_unsigned(6400),
        ),
        "adjacent_cells": data.array(),
    }
    reads: ClassVar = {"capture_time": lambda self, _: self.device.clock.date_time}


class Ipv6Setup(KeptObject):
    """IPv6 setup; a method names the kind of address: 0 unicast, 1 multicast, 2 gateway."""

    __slots__ = ()

    class_id, version = 48, 0
    initial: ClassVar = {
        "DL_reference": data.octet_string(bytes((0, 0, 25, 2, 0, 255))),
        "address_config_mode": data.enum(0),
        "unicast_IPv6_addresses": data.array(),
        "multicast_IPv6_addresses": data.array(),
        "gateway_IPv6_addresses": data.array(),
        "primary_DNS_address": data.octet_string(bytes(16)),
        "secondary_DNS_address": data.octet_string(bytes(16)),
        "traffic_class": data.unsigned(0),
        "neighbor_discovery_setup": data.array(),
    }
    writable: ClassVar = {
        "DL_reference": LOGICAL_NAME,
        "address_config_mode": Number(DataTag.ENUM, range(4)),
        "unicast_IPv6_addresses": Array(IPV6_ADDRESS, MOST_ADDRESSES),
        "multicast_IPv6_addresses": Array(IPV6_ADDRESS, MOST_ADDRESSES),
        "gateway_IPv6_addresses": Array(IPV6_ADDRESS, MOST_ADDRESSES),
        "primary_DNS_address": IPV6_ADDRESS,
        "secondary_DNS_address": IPV6_ADDRESS,
        "traffic_class": Number(DataTag.UNSIGNED, range(64)),
        "neighbor_discovery_setup": Array(NEIGHBOR_DISCOVERY, MOST_ADDRESSES),
    }
    methods: ClassVar = {
        "add_IPv6_address": lambda self, given: add(self, *_ipv6_address(given)),
        "remove_IPv6_address": lambda self, given: remove(self, *_ipv6_address(given)),
    }


def _ipv6_address(given: Data | None) -> tuple[str, Data]:
    """Which list, and which address."""
    kind, address = parameter(given, Structure(Number(DataTag.ENUM, range(3)), IPV6_ADDRESS)).value
    lists = {
        UNICAST: "unicast_IPv6_addresses",
        MULTICAST: "multicast_IPv6_addresses",
        GATEWAY: "gateway_IPv6_addresses",
    }
    return lists[kind.value], address


def add(one: KeptObject, name: str, element: Data, most: int = MOST_ADDRESSES) -> None:
    """Put an element into an array, once; ActionRefused when it is full."""
    there = one.elements(name)
    if element in there:
        return
    if len(there) >= most:
        raise ActionRefused(ActionResult.OTHER_REASON)
    one.change(name, data.array(*there, element))


def remove(one: KeptObject, name: str, element: Data) -> None:
    """Take an element out of an array; ActionRefused when it is not there."""
    there = one.elements(name)
    if element not in there:
        raise ActionRefused(ActionResult.OBJECT_UNDEFINED)
    one.change(name, data.array(*(other for other in there if other != element)))

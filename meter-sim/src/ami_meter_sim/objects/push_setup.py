"""Push setup (class 40, versions 0 to 2): what is pushed, where to, when, and how often it is tried again.

Strategy: an object says what a push is, as data: its values, its destination, the moments of its first attempt and of the retries, and
the protection that it wants. It sends nothing: `push` notes that one is wanted, and who serves the meter's lines fetches that and asks
for octets (`meter.notifications`) whenever an attempt is made, since a counter is used once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum, unique
from ipaddress import ip_address
from typing import ClassVar

from ami_dlms import data
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDate, CosemDateTime, CosemTime
from ami_dlms.enums import DataTag
from ami_dlms.obis import Obis
from ami_dlms.security import ProtectionFlags
from ami_meter_sim.clock.wildcards import next_moment
from ami_meter_sim.objects.captured import CAPTURE_OBJECT, MOST_OBJECTS, WITH_COLUMNS, WITH_RESTRICTION, Element
from ami_meter_sim.objects.cosem_object import Options
from ami_meter_sim.objects.shapes import (
    LOGICAL_NAME,
    UINT8,
    UINT16,
    UINT32,
    AnyOf,
    Array,
    Number,
    Octets,
    Structure,
    date_time_octets,
)
from ami_meter_sim.objects.timed import TimedObject

MOST_WINDOWS = 8
MOST_DELAY_S = 0xFFFF
MOST_PROTECTIONS = 4
PERCENT = 100
A_XDR_ENCODED = 0
"""message_type."""
ADDRESS_AND_PORT = (6, 18)
"""Octets of an IPv4 or IPv6 address with its port."""
PORTS = range(1, 0x10000)
CLIENTS = Number(DataTag.INTEGER, range(0x80))
"""A client's SAP is no negative number, though its type has them."""
NEVER = CosemDateTime()


@unique
class PushTransport(IntEnum):
    """transport_service; from 200 on they are the manufacturer's."""

    TCP = 0
    UDP = 1
    FTP = 2
    SMTP = 3
    SMS = 4
    HDLC = 5
    MBUS = 6
    ZIGBEE = 7
    GATEWAY = 8
    RELIABLE_COAP = 9
    UNRELIABLE_COAP = 10


@unique
class OperationMethod(IntEnum):
    """push_operation_method: what makes another attempt."""

    UNCONFIRMED_RETRY_ON_FAILURE = 0
    UNCONFIRMED_RETRY_WITHOUT_SUPPORTING_CONFIRMATION = 1
    CONFIRMED = 2


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a push goes; `transport` is a number of `PushTransport` or the manufacturer's."""

    transport: int
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class PushPlan:
    """One push. `first_at`: when the first attempt is made (aware, UTC), None when no window ever opens; `retries`: how many follow.

    When a retry is made says `PushSetupV0.retry_at`, since it counts from the attempt before. `client_wport` None is the client of the management association, `protection` None what the policy of the association says, NOTHING no protection.
    """

    setup: Obis
    body: Data
    destination: Destination | None
    first_at: datetime | None
    retries: int
    operation: OperationMethod
    client_wport: int | None = None
    protection: ProtectionFlags | None = None
    max_pdu_size: int = 0
    """Longer APDUs go in blocks of a general block transfer; 0 for any length."""
    confirm_within_s: int = 0
    """How long a confirmation may take; 0: as long as the sender waits for anything."""
    attributes: tuple[AttributeDescriptor, ...] = ()
    """What the elements of the body are attributes of, where each is to go as an EventNotification of its own."""

    @property
    def confirmed(self) -> bool:
        """Whether it asks to be confirmed; an EventNotification has no way to."""
        return self.operation is OperationMethod.CONFIRMED and not self.attributes


def _transport(value: Data) -> bool:
    return value.tag == DataTag.ENUM and (value.value in range(11) or value.value >= 200)


def _message(value: Data) -> bool:
    return value.tag == DataTag.ENUM and (value.value in range(2) or value.value >= 128)


def _date_time(value: Data) -> bool:
    return value.tag is DataTag.DATE_TIME or date_time_octets(value)


DESTINATION = Structure(_transport, Octets(most=255), _message)
WINDOW = Structure(date_time_octets, date_time_octets)
IDENTIFIED_KEY = Structure(Number(DataTag.ENUM, range(1)), Structure(Number(DataTag.ENUM, range(2))))
PROTECTION = Structure(Number(DataTag.ENUM, range(4)), Structure(*[Octets(most=64)] * 4, IDENTIFIED_KEY))
"""Of key information only keys that both ends hold; others can't be chosen here."""
FLAGS = (
    ProtectionFlags.AUTHENTICATED,
    ProtectionFlags.ENCRYPTED,
    ProtectionFlags.AUTHENTICATED | ProtectionFlags.ENCRYPTED,
    ProtectionFlags.SIGNED,
)
"""protection_type -> protections."""
DELAYS = Structure(UINT16, UINT16, UINT16)
CONFIRMATION = Structure(_date_time, UINT32)


class PushSetupV0(TimedObject):
    """The parameter of both methods, integer (0), means nothing."""

    __slots__ = ()

    class_id, version = 40, 0
    options: ClassVar[Options] = {
        "client_wport": 0,
        "max_pdu_size": 0,
        "every_s": 0,
        "protected": True,
        "event_notification": False,
        "reason": "",
    }
    """The client that it is for, 0 for that of the management association; the longest APDU that is sent whole, 0 for any.

    `every_s`: it pushes by itself at each multiple of these seconds of UTC, 0 for never. `protected` False: unencrypted.
    `reason`: why it pushes (power-up, alarm ...) where that is not what its name says. `event_notification`: an EventNotification of each object of the list, and no DataNotification.
    """
    initial: ClassVar = {
        "push_object_list": data.array(),
        "send_destination_and_method": data.structure(data.enum(0), data.octet_string(b""), data.enum(0)),
        "communication_window": data.array(),
        "randomisation_start_interval": data.long_unsigned(0),
        "number_of_retries": data.unsigned(0),
        "repetition_delay": data.long_unsigned(0),
    }
    writable: ClassVar = {
        "push_object_list": Array(CAPTURE_OBJECT, MOST_OBJECTS),
        "send_destination_and_method": DESTINATION,
        "communication_window": Array(WINDOW, MOST_WINDOWS),
        "randomisation_start_interval": UINT16,
        "number_of_retries": UINT8,
        "repetition_delay": UINT16,
    }
    methods: ClassVar = {"push": lambda self, _: self.want()}

    def next_due(self, after: datetime) -> datetime | None:
        """The end of the period, if it has one and a destination."""
        every = self.option("every_s")
        if not every or not self.addressed:
            return None
        return datetime.fromtimestamp((int(after.timestamp()) // every + 1) * every, UTC)

    def advance(self, at: datetime) -> bool:
        """Want a push."""
        self.want()
        return False

    def want(self) -> None:
        """A push is wanted now."""
        self.device.communication.want_push(self.described.obis, self.device.clock.at)

    def body(self) -> Data:
        """The values of push_object_list now, as one structure."""
        return data.structure(*(Element.decode(one).read(self.device) for one in self.elements("push_object_list")))

    def plan(self, draw: Callable[[], float], wanted_at: datetime | None = None) -> PushPlan:
        """A push that was wanted then, None for the meter's instant. `draw` gives a number from 0 to below 1."""
        at = wanted_at or self.device.clock.at
        randomised = timedelta(seconds=draw() * self.sound("randomisation_start_interval").value)
        return PushPlan(
            setup=self.described.obis,
            body=self.body(),
            destination=self.destination,
            first_at=self._opens_at(at + randomised),
            retries=self.sound("number_of_retries").value,
            operation=self.operation,
            client_wport=self._client_wport(),
            protection=self._protection() if self.option("protected") else ProtectionFlags.NOTHING,
            max_pdu_size=self.option("max_pdu_size"),
            confirm_within_s=self._confirm_within_s(),
            attributes=self._attributes() if self.option("event_notification") else (),
        )

    def _attributes(self) -> tuple[AttributeDescriptor, ...]:
        sources = [Element.decode(one).source for one in self.elements("push_object_list")]
        return tuple([AttributeDescriptor(one.class_id, one.logical_name, one.attribute_index) for one in sources])

    def retry_at(self, retry: int, failed_at: datetime) -> datetime | None:
        """When retry number `retry`, from 1, is made after an attempt that failed; None for no more."""
        if retry > self.sound("number_of_retries").value:
            return None
        return self._opens_at(failed_at + timedelta(seconds=self._delay_s(retry)))

    @property
    def destination(self) -> Destination | None:
        """None where none is written, or none that names a host and a port for APDUs in A-XDR; XML is not spoken here."""
        transport, where, message = self.elements("send_destination_and_method")
        if message.value != A_XDR_ENCODED:
            return None
        return parse_destination(transport.value, where.value)

    @property
    def addressed(self) -> bool:
        """Whether any destination is written: a meter whose pushes have no destination sends none."""
        _, where, _ = self.elements("send_destination_and_method")
        return bool(where.value)

    @property
    def operation(self) -> OperationMethod:
        """What makes another attempt."""
        return OperationMethod.UNCONFIRMED_RETRY_ON_FAILURE

    def _client_wport(self) -> int | None:
        return self.option("client_wport") or None

    def _protection(self) -> ProtectionFlags | None:
        return None

    def _confirm_within_s(self) -> int:
        return 0

    def _delay_s(self, _retry: int) -> float:
        delay: int = self.sound("repetition_delay").value
        return delay

    def _opens_at(self, wanted: datetime) -> datetime | None:
        """`wanted` itself while a window is open, else the instant at which the next one opens; None for never."""
        windows = self.elements("communication_window")
        if not windows:
            return wanted
        clock = self.device.clock
        local = clock.local(clock.shown(wanted))
        patterns = [[CosemDateTime.decode(part.value) for part in one.value] for one in windows]
        openings = [_opening(start, end, local) for start, end in patterns]
        if local in openings:
            return wanted
        following = min((one for one in openings if one is not None), default=None)
        return None if following is None else clock.real_instant(clock.utc_of(following))


def _opening(start: CosemDateTime, end: CosemDateTime, local: datetime) -> datetime | None:
    """`local` while the window is open: it ends before it begins again. Else its next beginning."""
    begins, ends = _next(start, local), _next(end, local)
    return local if ends is not None and (begins is None or ends < begins) else begins


def _next(pattern: CosemDateTime, after: datetime) -> datetime | None:
    days = CosemDate(pattern.year, pattern.month, pattern.day, pattern.day_of_week)
    return next_moment(days, CosemTime(pattern.hour, pattern.minute, pattern.second, pattern.hundredths), after)


class PushSetupV1(PushSetupV0):
    """Version 1: a restriction for each object, a port, a client, and a protection of its own."""

    __slots__ = ()

    class_id, version = 40, 1
    initial: ClassVar = {
        **PushSetupV0.initial,
        "port_reference": data.octet_string(bytes(6)),
        "push_client_SAP": data.integer(0),
        "push_protection_parameters": data.array(),
    }
    writable: ClassVar = {
        **PushSetupV0.writable,
        "push_object_list": Array(WITH_RESTRICTION, MOST_OBJECTS),
        "port_reference": LOGICAL_NAME,
        "push_client_SAP": CLIENTS,
        "push_protection_parameters": Array(PROTECTION, MOST_PROTECTIONS),
    }

    def _client_wport(self) -> int | None:
        return self.sound("push_client_SAP").value or super()._client_wport()

    def _protection(self) -> ProtectionFlags | None:
        """All protections of the list together; without any what the association has."""
        wanted = ProtectionFlags.NOTHING
        for one in self.elements("push_protection_parameters"):
            wanted |= FLAGS[one.value[0].value]
        return wanted or None


class PushSetupV2(PushSetupV1):
    """Version 2: columns for each object, delays that grow, and pushes that are confirmed."""

    __slots__ = ()

    class_id, version = 40, 2
    initial: ClassVar = {
        **PushSetupV1.initial,
        "repetition_delay": data.structure(*[data.long_unsigned(0)] * 3),
        "push_operation_method": data.enum(0),
        "confirmation_parameters": data.structure(data.date_time(NEVER), data.double_long_unsigned(0)),
        "last_confirmation_date_time": data.date_time(NEVER),
    }
    writable: ClassVar = {
        **PushSetupV1.writable,
        "push_object_list": Array(AnyOf(WITH_COLUMNS), MOST_OBJECTS),
        "repetition_delay": DELAYS,
        "push_operation_method": Number(DataTag.ENUM, range(3)),
        "confirmation_parameters": CONFIRMATION,
    }
    methods: ClassVar = {**PushSetupV1.methods, "reset": lambda self, _: self._reset()}

    @property
    def operation(self) -> OperationMethod:
        """As push_operation_method says."""
        return OperationMethod(self.sound("push_operation_method").value)

    def _delay_s(self, retry: int) -> float:
        """min(max, min x exponent^(retry - 1)), the exponent being in hundredths and a max of 0 none."""
        delay, exponent, most = (part.value for part in self.elements("repetition_delay"))
        for _ in range(retry - 1):
            delay = min(delay * exponent / PERCENT, most or MOST_DELAY_S)
        return float(min(delay, most or MOST_DELAY_S))

    def _confirm_within_s(self) -> int:
        _, interval = self.elements("confirmation_parameters")
        seconds: int = interval.value
        return seconds

    def confirmed(self, at: datetime) -> None:
        """A push was confirmed."""
        shown = CosemDateTime.from_datetime(at.astimezone(UTC), 0)
        self.change("last_confirmation_date_time", data.date_time(shown))

    def _reset(self) -> None:
        self.change("last_confirmation_date_time", data.date_time(NEVER))
        self.device.communication.forget_push(self.described.obis)


def parse_destination(transport: int, where: bytes) -> Destination | None:
    """From "host:port" ("[v6]:port") or an address and a port in octets, as meters in the field have either."""
    if where.isascii() and where.decode("ascii").isprintable():
        host, _, port = where.decode("ascii").rpartition(":")
        known = bool(host) and port.isdecimal() and int(port) in PORTS
        return Destination(transport, host.strip("[]"), int(port)) if known else None
    number = int.from_bytes(where[-2:], "big")
    if len(where) in ADDRESS_AND_PORT and number in PORTS:
        return Destination(transport, str(ip_address(where[:-2])), number)
    return None

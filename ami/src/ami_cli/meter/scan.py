"""Everything that a meter shows: its logical devices, then every object of the association with every readable attribute.

What the meter refuses is in the result in the meter's own words. When the connection ends in the middle, what was read
until then is kept and the end is reported.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ami_cli.meter.attribute_reads import Answer, ListReads, SingleReads
from ami_cli.meter.client import Association
from ami_cli.meter.errors import ExitCode, MeterError
from ami_cli.meter.objects import (
    ASSOCIATION_SN,
    ListedObject,
    of_short_names,
    parse_object_list,
    read_object_list,
)
from ami_cli.meter.options import ASSOCIATION_LN, MeterTarget
from ami_cli.meter.reading import BUFFER, PROFILE_GENERIC, AttributeReading, attribute_numbers, is_asked, read_object
from ami_cli.meter.session import Session, SessionEnvironment, connected
from ami_cli.meter.values import Json, items_of, plain_text, text_of_octets
from ami_dlms.association import Opened
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import DataTag
from ami_dlms.obis import Obis

SAP_ASSIGNMENT_LIST = AttributeDescriptor(17, Obis.parse("0-0:41.0.0*255"), 2)
LONG = frozenset({(PROFILE_GENERIC, BUFFER), (ASSOCIATION_SN, 2), (ASSOCIATION_LN, 2)})
BUFFER_LEFT_OUT, EXCEPTED = "left out (--skip-buffers)", "left out (--except)"

Progress = Callable[[str, int, int], None]
"""Told with what is going on, how much is done, and of how much."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a device is read: without the buffers of profiles, with a request for each attribute, without what is excepted."""

    skip_buffers: bool
    singly: bool
    excepted: frozenset[tuple[Obis, int | None]] = frozenset()

    def left_out(self, one: ListedObject, number: int) -> str:
        """Why an attribute is not asked for; empty when it is."""
        if self.excepted & {(one.obis, None), (one.obis, number)}:
            return EXCEPTED
        is_buffer = (one.class_id, number) == (PROFILE_GENERIC, BUFFER)
        return BUFFER_LEFT_OUT if self.skip_buffers and is_buffer else ""


@dataclass(frozen=True, slots=True)
class LogicalDevice:
    """One row of the SAP assignment."""

    sap: int
    name: str


@dataclass(slots=True)
class DeviceScan:
    """One logical device. `public` are the public client's objects, None when it was not asked; `odd`: bad lines."""

    sap: int
    objects: tuple[ListedObject, ...] = ()
    odd: tuple[str, ...] = ()
    readings: list[AttributeReading] = field(default_factory=list)
    public: tuple[ListedObject, ...] | None = None
    opened: Opened | None = None
    ended: MeterError | None = None

    def readings_of(self, one: ListedObject) -> list[AttributeReading]:
        """Those of one object."""
        place = one.class_id, one.obis
        return [found for found in self.readings if (found.descriptor.class_id, found.descriptor.instance_id) == place]


@dataclass(slots=True)
class Scan:
    """All of it. `logical_devices_error` is what the meter said instead of its SAP assignment."""

    logical_devices: tuple[LogicalDevice, ...] = ()
    logical_devices_error: str = ""
    devices: list[DeviceScan] = field(default_factory=list)

    @property
    def ended(self) -> MeterError | None:
        """The first reason why a part is missing."""
        return next((one.ended for one in self.devices if one.ended is not None), None)

    def document(self) -> dict[str, Json]:
        """For JSON."""
        return {
            "logical_devices": [{"sap": one.sap, "name": one.name} for one in self.logical_devices],
            "logical_devices_error": self.logical_devices_error or None,
            "devices": [_device_document(one) for one in self.devices],
        }

    def rows(self) -> list[dict[str, Json]]:
        """For CSV: one row an attribute."""
        return [
            {"logical_device": device.sap} | reading.document()
            for device in self.devices
            for reading in device.readings
        ]


def scan(
    target: MeterTarget,
    environment: SessionEnvironment,
    *,
    all_devices: bool = False,
    skip_buffers: bool = False,
    singly: bool = False,
    excepted: frozenset[tuple[Obis, int | None]] = frozenset(),
    with_public: bool = False,
    progress: Progress = lambda what, done, total: None,
) -> Scan:
    """Scan the logical device of the target, and with `all_devices` all that its SAP assignment names."""
    found, manner = Scan(), Manner(skip_buffers, singly, excepted)
    first = DeviceScan(target.identity.server)
    found.devices.append(first)
    _scan_device(target, environment, first, manner, progress, found, with_public=with_public)
    others = [one.sap for one in found.logical_devices if one.sap != target.identity.server] if all_devices else []
    for sap in others:
        if found.ended is not None and found.ended.code is ExitCode.INTERRUPTED:
            break
        device = DeviceScan(sap)
        found.devices.append(device)
        _scan_device(target, environment, device, manner, progress, None)
    return found


def _scan_device(
    target: MeterTarget,
    environment: SessionEnvironment,
    device: DeviceScan,
    manner: Manner,
    progress: Progress,
    whole: Scan | None,
    *,
    with_public: bool = False,
) -> None:
    def ask_public(public: Association) -> None:
        device.public = read_object_list(public)

    try:
        with connected(
            target, environment, server=device.sap, ask_public=ask_public if with_public else None
        ) as session:
            device.opened = session.opened
            if whole is not None:
                _read_logical_devices(session, whole)
            progress("object list", 0, 0)
            known = _read_objects(session.association, device)
            _read_everything(session, device, known, manner, progress)
    except KeyboardInterrupt:
        if device.opened is None:
            raise
        device.ended = MeterError(
            ExitCode.INTERRUPTED, "interrupted; only what was read until then is shown", where="scan"
        )
    except MeterError as error:
        if whole is not None and device.opened is None:
            raise
        device.ended = error


def _read_objects(association: Association, device: DeviceScan) -> dict[AttributeDescriptor, Answer]:
    """The objects of the device; what has been read for that need not be read again."""
    if (names := association.short_names()) is not None:
        device.objects = of_short_names(names)
        return {}
    where = association.object_list
    listed = association.get(where)
    device.objects, device.odd = parse_object_list(listed, where.instance_id)
    return {where: (listed, "")}


def _read_logical_devices(session: Session, whole: Scan) -> None:
    value, whole.logical_devices_error = SingleReads(session)(SAP_ASSIGNMENT_LIST)
    if value is None:
        return
    found = [_logical_device(row) for row in items_of(value)]
    whole.logical_devices = tuple(one for one in found if one is not None)
    if None in found or not found:
        left_out = f"{found.count(None)} of its {len(found)} rows can't be read" if found else plain_text(value)
        whole.logical_devices_error = f"the SAP assignment is no list of logical devices: {left_out}"


def _logical_device(row: Data) -> LogicalDevice | None:
    """A row of the SAP assignment, None when it is none."""
    match items_of(row):
        case [Data(value=int(sap)), name] if row.tag is DataTag.STRUCTURE:
            return LogicalDevice(int(sap), text_of_octets(name))
    return None


def _read_everything(
    session: Session,
    device: DeviceScan,
    known: Mapping[AttributeDescriptor, Answer],
    manner: Manner,
    progress: Progress,
) -> None:
    work: Sequence[tuple[ListedObject, Sequence[int]]] = [(one, attribute_numbers(one)) for one in device.objects]
    total = sum(len(numbers) for _, numbers in work)
    done = 0
    short = [
        one.attribute(number)
        for one, numbers in work
        for number in numbers
        if _is_short(one, number) and not manner.left_out(one, number)
    ]
    ask = ListReads(session, [] if manner.singly else short, known)
    for one, numbers in work:

        def on_read(name: str = str(one.obis)) -> None:
            nonlocal done
            done += 1
            progress(name, done, total)

        left_out = {number: why for number in numbers if (why := manner.left_out(one, number))}
        device.readings += read_object(ask, one, numbers, left_out=left_out, on_read=on_read)


def _is_short(one: ListedObject, number: int) -> bool:
    """Whether an attribute is asked for together with others: buffers and object lists fill many blocks on their own."""
    return is_asked(one, number) and (one.class_id, number) not in LONG


def _device_document(device: DeviceScan) -> dict[str, Json]:
    opened = device.opened
    title = None if opened is None or opened.server_system_title is None else opened.server_system_title.hex().upper()
    return {
        "sap": device.sap,
        "system_title": title,
        "conformance": None if opened is None else [one.name for one in opened.conformance],
        "error": None if device.ended is None else str(device.ended),
        "odd_lines": list[Json](device.odd),
        "objects": [_object_document(device, one) for one in device.objects],
    }


def _object_document(device: DeviceScan, one: ListedObject) -> dict[str, Json]:
    return {
        "obis": str(one.obis),
        "class_id": one.class_id,
        "version": one.version,
        "attributes": [reading.document() for reading in device.readings_of(one)],
        "methods": [{"method_id": number, "access": str(right)} for number, right in one.methods.items()],
    }

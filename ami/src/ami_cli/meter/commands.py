"""read, write, invoke and clock: each over one session, each telling what the meter said and what it showed afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from ami_cli.meter import value_arguments
from ami_cli.meter.attribute_reads import ListReads, SingleReads, one_by_one
from ami_cli.meter.client import Association, Faulty
from ami_cli.meter.errors import ExitCode, MeterError, ServiceRefused, words
from ami_cli.meter.objects import ListedObject, find, from_class, read_object_list
from ami_cli.meter.reading import (
    BUFFER,
    HIDDEN,
    PROFILE_GENERIC,
    AttributeReading,
    attribute_numbers,
    is_asked,
    read_object,
)
from ami_cli.meter.session import Session
from ami_cli.meter.values import (
    Json,
    attribute_title,
    date_time_of,
    iso,
    json_of,
    object_title,
    plain_text,
    text_of,
    type_name,
)
from ami_dlms import data
from ami_dlms.association import Action, ActionOutcome, Set
from ami_dlms.cosem.classes import class_of, interface_classes, method_name
from ami_dlms.cosem.confidential import is_secret
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult
from ami_dlms.errors import LocalError
from ami_dlms.obis import Obis

CLOCK = AttributeDescriptor(8, Obis.parse("0-0:1.0.0*255"), 2)
TIME_ZONE = 3
CLOCK_TOLERANCE = timedelta(seconds=5)
BUFFER_LEFT_OUT = "left out: read it with `ami meter profile`, or by its number"
SIMPLE_TYPES = frozenset(value_arguments.TYPES)


def obis_of(text: str) -> Obis:
    """An OBIS code as a person writes it."""
    try:
        return Obis.parse(text)
    except LocalError as error:
        raise MeterError(ExitCode.USAGE, str(error), where="OBIS") from None


def place_of(text: str) -> tuple[Obis, int | None]:
    """An object, or one attribute of it behind a slash, as in 1-0:99.1.0/2."""
    name, slash, number = text.partition("/")
    if slash and not number.isdecimal():
        raise MeterError(ExitCode.USAGE, f"{number} is no number of an attribute", where="--except")
    return obis_of(name), int(number) if slash else None


def locate(association: Association, obis: Obis, class_id: int | None, *, rights: bool) -> ListedObject:
    """The object: from the object list, unless the class is given and the rights are not needed."""
    if class_id is not None and not rights:
        return from_class(obis, class_id)
    try:
        return find(read_object_list(association), obis, class_id)
    except (ServiceRefused, Faulty):
        if class_id is None:
            raise
        return from_class(obis, class_id)


def attribute_number(one: ListedObject, text: str) -> int:
    """An attribute by number or by name."""
    known = class_of(one.class_id, one.version)
    names = {attribute.name: attribute.number for attribute in known.attributes} if known else {}
    return _number(one, text, names, "attribute")


def method_number(one: ListedObject, text: str) -> int:
    """A method by number or by name."""
    known = class_of(one.class_id, one.version)
    names = {method.name: method.number for method in known.methods} if known else {}
    return _number(one, text, names, "method")


def _number(one: ListedObject, text: str, names: dict[str, int], kind: str) -> int:
    if text in names:
        return names[text]
    try:
        number = int(text)
        if -128 <= number <= 127:
            return number
    except ValueError:
        pass
    there = ", ".join(f"{number} {name}" for name, number in names.items()) or "known by number only"
    raise MeterError(ExitCode.USAGE, f"{text} is no {kind} of {one}", where=kind.upper(), hint=f"there are: {there}")


def read(session: Session, obis: Obis, attribute: str | None, class_id: int | None) -> list[AttributeReading]:
    """One attribute, or all that may be read."""
    association = session.association
    one = locate(association, obis, class_id, rights=attribute is None)
    if attribute is not None:
        return list(read_object(one_by_one(association), one, [attribute_number(one, attribute)], insist=True))
    left_out = {BUFFER: BUFFER_LEFT_OUT} if one.class_id == PROFILE_GENERIC else {}
    numbers = attribute_numbers(one)
    coming = [one.attribute(number) for number in numbers if is_asked(one, number, left_out.get(number, ""))]
    return list(read_object(ListReads(session, coming), one, numbers, left_out=left_out))


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, and what the attribute showed before and after, where it can be read."""

    descriptor: AttributeDescriptor
    written: Data
    before: str
    after: str

    @property
    def _written(self) -> str:
        return HIDDEN if is_secret(self.descriptor) else text_of(self.descriptor, self.written)

    def lines(self) -> list[str]:
        """For a person."""
        return [
            attribute_title(self.descriptor),
            f"before   {self.before}",
            f"written  {self._written} ({type_name(self.written)})",
            f"after    {self.after}",
        ]

    def document(self) -> dict[str, Json]:
        """For JSON."""
        return {
            "obis": str(self.descriptor.instance_id),
            "attribute_id": self.descriptor.attribute_id,
            "before": self.before,
            "written": self._written,
            "type": type_name(self.written),
            "after": self.after,
        }


def write(
    association: Association, descriptor: AttributeDescriptor, text: str, type_given: str | None, *, confirmed: bool
) -> Written:
    """Write one attribute; the type is that of the present value unless one is given. ServiceRefused when the meter says no."""
    before, problem = _try(association, descriptor)
    name = type_given or _type_of(descriptor, before)
    value = value_arguments.parse(text, name, secret=is_secret(descriptor))
    if confirmed:
        association.set(descriptor, value)
    else:
        association.send_unconfirmed(Set(descriptor, value))
    try:
        after, no_after = _try(association, descriptor)
    except MeterError as error:
        after, no_after = None, error.what
    return Written(descriptor, value, _seen(descriptor, before, problem), _seen(descriptor, after, no_after))


def _type_of(descriptor: AttributeDescriptor, present: Data | None) -> str:
    if present is not None:
        name = type_name(present)
        if name in SIMPLE_TYPES:
            return name
    known = interface_classes().get(descriptor.class_id)
    types = {one.number: one.type for one in known.attributes} if known else {}
    name = types.get(descriptor.attribute_id, "")
    if present is None and name in SIMPLE_TYPES:
        return name
    raise MeterError(
        ExitCode.USAGE,
        f"the type of {descriptor} has to be given",
        where="--type",
        hint=f"one of {', '.join(value_arguments.TYPES)}; structures as a-xdr",
    )


def _try(association: Association, descriptor: AttributeDescriptor) -> tuple[Data | None, str]:
    try:
        return association.get(descriptor), ""
    except ServiceRefused as refusal:
        return None, refusal.result
    except Faulty as fault:
        return None, fault.reason


def _seen(descriptor: AttributeDescriptor, value: Data | None, problem: str) -> str:
    if value is None:
        return f"can't be read: {problem}"
    return HIDDEN if is_secret(descriptor) else text_of(descriptor, value)


def invoke(
    association: Association, method: MethodDescriptor, text: str, type_name: str
) -> tuple[MethodDescriptor, ActionOutcome]:
    """Call one method; the outcome is the meter's word."""
    return method, association.action(method, value_arguments.parse(text, type_name, secret=is_secret(method)))


def invoke_unconfirmed(association: Association, method: MethodDescriptor, text: str, type_name: str) -> None:
    """Call one method that the meter does not answer."""
    association.send_unconfirmed(Action(method, value_arguments.parse(text, type_name, secret=is_secret(method))))


def locate_attribute(association: Association, obis: Obis, attribute: str, class_id: int | None) -> AttributeDescriptor:
    """The attribute of this number or name; MeterError when there is none."""
    one = locate(association, obis, class_id, rights=False)
    return one.attribute(attribute_number(one, attribute))


def locate_method(association: Association, obis: Obis, method: str, class_id: int | None) -> MethodDescriptor:
    """The method of this number or name; MeterError when there is none."""
    one = locate(association, obis, class_id, rights=False)
    return MethodDescriptor(one.class_id, obis, method_number(one, method))


def outcome_text(descriptor: MethodDescriptor, outcome: ActionOutcome) -> str:
    """The result, and what was returned."""
    returned = "" if outcome.value is None else f", returned {type_name(outcome.value)} {plain_text(outcome.value)}"
    name = f"{object_title(descriptor.class_id, descriptor.instance_id)} {method_name(descriptor)}"
    return f"{name}: {words(outcome.result.name)}{returned}"


def outcome_document(descriptor: MethodDescriptor, outcome: ActionOutcome) -> dict[str, Json]:
    """For JSON."""
    return {
        "obis": str(descriptor.instance_id),
        "method_id": descriptor.method_id,
        "method": method_name(descriptor),
        "result": words(outcome.result.name),
        "returned": None if outcome.value is None else json_of(outcome.value),
    }


def succeeded(outcome: ActionOutcome) -> bool:
    return outcome.result is ActionResult.SUCCESS


@dataclass(frozen=True, slots=True)
class ClockSeen:
    """The meter's time and this machine's at the same moment, as far as the way there and back allows."""

    time: CosemDateTime
    meter_at: datetime | None
    machine_at: datetime
    uncertain: timedelta

    @property
    def ahead(self) -> timedelta | None:
        """How far the meter's clock is ahead; None when it does not say which moment it means."""
        return None if self.meter_at is None else self.meter_at - self.machine_at

    def describe(self) -> str:
        text = iso(self.time)
        if self.time.clock_status is not None:
            text += f", status {self.time.clock_status:#04x}"
        if self.ahead is None:
            return text + ", which is no moment on its own: the meter leaves out its offset"
        seconds = self.ahead.total_seconds()
        return f"{text}, {abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} this machine"

    def document(self) -> dict[str, Json]:
        return {
            "time": iso(self.time),
            "deviation_minutes": self.time.deviation_minutes,
            "clock_status": self.time.clock_status,
            "ahead_s": None if self.ahead is None else round(self.ahead.total_seconds(), 1),
            "machine_at": self.machine_at.isoformat(),
        }


def read_clock(session: Session) -> ClockSeen:
    """Attribute 2 of 0-0:1.0.0*255; where it says no offset, time_zone is used."""
    asked_at = datetime.now(UTC)
    value = session.association.get(CLOCK)
    uncertain = (datetime.now(UTC) - asked_at) / 2
    time = date_time_of(value)
    if time is None:
        raise MeterError(
            ExitCode.NOT_UNDERSTOOD,
            f"the clock's time is {type_name(value)} {plain_text(value)}",
            where=str(CLOCK.instance_id),
        )
    zone = time.deviation_minutes
    if zone is None:
        zone = _time_zone(session)
    try:
        meter_at = time.to_datetime(zone)
    except LocalError:
        meter_at = None
    return ClockSeen(time, meter_at, asked_at + uncertain, uncertain)


def set_clock(session: Session, text: str) -> tuple[ClockSeen, ClockSeen, bool]:
    """Set the clock to `now` or an ISO time; before, after, and whether the clock now shows what was written.

    The time is written in the deviation that the meter itself uses.
    """
    before = read_clock(session)
    zone = before.time.deviation_minutes
    if zone is None:
        zone = _time_zone(session) or 0
    wanted = datetime.now(UTC) if text == "now" else _wanted(text, zone)
    status = before.time.clock_status
    time = CosemDateTime.from_datetime(wanted.astimezone(timezone(timedelta(minutes=-zone))), status)
    written_at = datetime.now(UTC)
    session.association.set(CLOCK, data.octet_string(time.encode()))
    after = read_clock(session)
    if after.meter_at is None:
        return before, after, False
    expected = wanted + (after.machine_at - written_at)
    return before, after, abs(after.meter_at - expected) <= CLOCK_TOLERANCE + after.uncertain


def _time_zone(session: Session) -> int | None:
    """time_zone; None where the meter does not give it, which costs no more than that."""
    value, _ = SingleReads(session)(AttributeDescriptor(CLOCK.class_id, CLOCK.instance_id, TIME_ZONE))
    known = value is not None and isinstance(value.value, int) and not isinstance(value.value, bool)
    return int(value.value) if value is not None and known else None


def _wanted(text: str, zone: int) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise MeterError(
            ExitCode.USAGE,
            f"{text!r} is neither now nor a date and time",
            where="--set",
            hint="2026-01-31T12:00:00+01:00",
        ) from None
    return found if found.utcoffset() is not None else found.replace(tzinfo=timezone(timedelta(minutes=-zone)))


def documents(readings: Sequence[AttributeReading]) -> list[dict[str, Json]]:
    """For JSON and CSV."""
    return [one.document() for one in readings]

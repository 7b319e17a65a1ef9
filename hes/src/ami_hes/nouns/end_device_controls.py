"""EndDeviceControls: a request becomes one command per meter, and what came of them becomes one Reply (IEC 61968-9).

Pure functions. A request that can't be carried out as it stands is refused as a whole before anything is sent to a meter;
a device in it that is not ours is one error, and the others are still worked (docs/mapping.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ami_cim.control_parameters import LimiterEmergency, Parameters
from ami_cim.identity import EndDevice, Identifier, Name, UsagePoint, mrid_key
from ami_cim.message import ReplyError, RequestMessage
from ami_cim.nouns import tag_of
from ami_cim.payloads.control_parameters import ControlParameters
from ami_cim.payloads.end_device_controls import EndDeviceControl, EndDeviceControls
from ami_hes.commands import Command, MeterId
from ami_hes.meters.registry import Meter, Registry
from ami_hes.nouns.asked_names import AskedNames, format_asked
from ami_hes.nouns.devices import (
    devices_of,
    meter_of_device,
    meter_of_usage_point,
    meters_of_group,
    meters_of_usage_point_group,
)
from ami_hes.nouns.header import error
from ami_hes.nouns.partners import STANDARD, Partner
from ami_hes.nouns.plans import Meant, Plan, Refused, Report, RequestContext, Shown, Worked
from ami_hes.nouns.replies import reply_of
from ami_hes.operations import contactor, long_controls
from ami_hes.operations import control as recipes
from ami_mapping.controls import CONTROLS, Control, UnknownControl, control_for
from ami_mapping.recipes import Taken

_NOT_SERVED = "Served are: create, change (of what is for later), cancel, close, delete, get."
SERVED = frozenset({"create", "change"})
_AT_METERS = frozenset({"EndDevice", "Meter", "UsagePoint"})
"""objectTypes of IDs that name what is at a meter, and no transaction."""
_TEXT = "PanDisplay"
_IDENTIFYING = ("EndDevices/", "UsagePoints/")
"""Parents of elements that say more about a device that mRID and Names already identify; they change nothing."""


def size(message: RequestMessage, partner: Partner = STANDARD) -> int:
    """How many devices, usage points and groups of them a request names, whether known or not, each as often as it does."""
    payload = message.payload
    controls = payload.controls if isinstance(payload, EndDeviceControls) else ()
    return sum(
        len(devices_of(one.end_devices, partner))
        + len(one.usage_points)
        + len(one.end_device_groups)
        + len(one.usage_point_groups)
        for one in controls
    )


def plan(context: RequestContext, message: RequestMessage, registry: Registry) -> Plan:
    """The commands and the errors of a request; raises Refused if nothing of it may be done."""
    controls = _controls_of(message)
    now = context.accepted_at
    kept = _asked(controls, context.partner)
    asked = AskedNames.parse(kept)
    found: dict[str, list[_Target]] = {}
    errors: list[ReplyError] = []
    parameters = _parameters(message, controls)
    for control in controls:
        what = _executable(control, parameters, now)
        for target in _targets(control, what, registry, context.partner, asked):
            if isinstance(target, ReplyError):
                errors.append(target)
            else:
                found.setdefault(target.meter.name, []).append(target)
    commands, conflicts = _one_each(found, context.request_id, asked)
    codes = " ".join(sorted({target.what.control.code for one in found.values() for target in one}))
    until = min((one.end_at for one in controls if one.end_at is not None), default=None)
    return Plan(commands, tuple(dict.fromkeys(errors)) + conflicts, codes, kept, until=until)


def begins_at(message: RequestMessage) -> datetime | None:
    """When the controls of a message are to begin; None: at once. Raises Refused where they begin at several times or end before it."""
    controls = message.payload.controls if isinstance(message.payload, EndDeviceControls) else ()
    if message.header.verb not in SERVED:
        return None
    found = {one.start_at or message.start_at for one in controls}
    if len(found) > 1:
        reason = "Nothing was done: the controls of a message begin at one time (primaryDeviceTiming.interval.start)."
        raise Refused(error("5.2", reason))
    begins = next(iter(found), None)
    if begins is None and message.header.verb == "change":
        reason = "Nothing was done: a change is for later too (primaryDeviceTiming.interval.start). To begin at once, cancel and create."
        raise Refused(error("5.2", reason))
    ends = min((one.end_at for one in controls if one.end_at is not None), default=None)
    if begins is not None and ends is not None and ends <= begins:
        reason = f"Nothing was done: the interval of primaryDeviceTiming ends at {ends.isoformat()}, before it begins."
        raise Refused(error("5.2", reason))
    return begins


def begun(message: RequestMessage) -> RequestMessage:
    """A message whose time has come, as one that asks for the same at once."""
    controls = message.payload.controls if isinstance(message.payload, EndDeviceControls) else ()
    at_once = EndDeviceControls(tuple(replace(one, start_at=None) for one in controls))
    return replace(message, start_at=None, payload=at_once)


def report(context: RequestContext, errors: Sequence[ReplyError], worked: Sequence[Worked]) -> Report:
    """The Reply for all of them; there is no payload."""
    return reply_of(context, errors, worked), None


def meant(context: RequestContext, message: RequestMessage, registry: Registry) -> tuple[Meant, tuple[ReplyError, ...]]:
    """The controls that a message points at (M-165): by controls as an example, or by IDs of devices and usage points, at which any control is meant."""
    example = message.payload if message.query is None else message.query
    controls = example.controls if isinstance(example, EndDeviceControls) else ()
    found: list[tuple[Meter | ReplyError, str | None]] = [
        (_meter_of_id(one, registry), None) for one in message.request_identifiers if one.object_type in _AT_METERS
    ]
    for control in controls:
        row = CONTROLS.get(control.control_type)
        name = control.control_type if row is None else row.name
        found += [(meter, name) for meter in _meters_of(control, registry, context.partner)]
    errors = tuple(dict.fromkeys(meter for meter, _ in found if isinstance(meter, ReplyError)))
    return frozenset((mrid_key(one.mrid), name) for one, name in found if not isinstance(one, ReplyError)), errors


def asked_of(command: Command) -> tuple[str, str]:
    """What a command asks of which meter, in the form of `meant`."""
    row = _row_of(command)
    return mrid_key(command.meter.mrid), command.body if row is None else row.name


def shown(requests: Sequence[Shown]) -> EndDeviceControls:
    """Their controls, whose mRID is the ID of the transaction, and the issuer who has ordered it."""
    return EndDeviceControls(tuple(_issued(one, control) for one in requests for control in _shown(one)))


def _shown(one: Shown) -> Iterator[EndDeviceControl]:
    """As they were asked for, or those that are begun by their types."""
    if one.waiting is not None and isinstance(one.waiting.payload, EndDeviceControls):
        begins = one.waiting.start_at
        yield from (replace(each, start_at=each.start_at or begins) for each in one.waiting.payload.controls)
    devices: dict[str, list[EndDevice]] = {}
    for command in one.commands:
        row = _row_of(command)
        device = EndDevice(command.meter.mrid, (Name(name=command.meter.name),))
        devices.setdefault(command.body if row is None else row.code, []).append(device)
    for code, theirs in devices.items():
        yield EndDeviceControl(control_type=code, end_devices=tuple(theirs))


def _issued(one: Shown, control: EndDeviceControl) -> EndDeviceControl:
    ids = (one.request_id, one.source, one.correlation_id)
    return replace(control, mrid=ids[0], issuer_id=ids[1], issuer_tracking_id=ids[2], unsupported=())


def _row_of(command: Command) -> Control | None:
    """None for one that this version does not know."""
    if command.operation == contactor.NAME:
        return CONTROLS.get(command.body)
    return recipes.parse_body(command.body)[0] if command.operation in (recipes.NAME, long_controls.NAME) else None


def _meter_of_id(one: Identifier, registry: Registry) -> Meter | ReplyError:
    mrid, names = (one.value, ()) if one.kind == "uuid" else (None, (Name(name=one.value),))
    if one.object_type == "UsagePoint":
        return meter_of_usage_point(UsagePoint(mrid, names), registry)
    return meter_of_device(EndDevice(mrid, names), registry)


def _asked(controls: Sequence[EndDeviceControl], partner: Partner) -> str:
    devices = [one for control in controls for one in devices_of(control.end_devices, partner)]
    others = (one.usage_points or one.end_device_groups or one.usage_point_groups for one in controls)
    return format_asked(devices, others=any(others))


@dataclass(frozen=True, slots=True)
class _Executable:
    """A row of the table, with what it takes."""

    control: Control
    taken: Taken = None


@dataclass(frozen=True, slots=True)
class _Target:
    meter: Meter
    what: _Executable


def _controls_of(message: RequestMessage) -> tuple[EndDeviceControl, ...]:
    verb = message.header.verb
    if verb not in SERVED:
        raise Refused(error("2.9", f"The verb {verb} is not served for EndDeviceControls. {_NOT_SERVED}"))
    if message.payload is None:
        raise Refused(error("1.7", "The request has no EndDeviceControls in its Payload."))
    if not isinstance(message.payload, EndDeviceControls):
        raise Refused(error("1.7", f"The payload is {tag_of(message.payload)} and not EndDeviceControls."))
    if not message.payload.controls:
        raise Refused(error("1.7", "The EndDeviceControls hold no EndDeviceControl."))
    return message.payload.controls


def _parameters(message: RequestMessage, controls: Sequence[EndDeviceControl]) -> Mapping[str, Parameters]:
    """By element; raises Refused for one that no control of the request takes, since it would be left undone."""
    if not isinstance(message.query, ControlParameters):
        return {}
    given = message.query.by_element
    taken = {row.takes for one in controls if (row := CONTROLS.get(one.control_type)) is not None}
    if beyond := sorted(given.keys() - taken):
        reason = f"Nothing was done: no control of the request takes {', '.join(beyond)} of ControlParameters."
        raise Refused(error("5.2", reason))
    return given


def _executable(control: EndDeviceControl, parameters: Mapping[str, Parameters], now: datetime) -> _Executable:
    """A control that can be carried out now and wholly; raises Refused for any other."""
    try:
        what = control_for(control.control_type)
    except UnknownControl as unknown:
        raise Refused(error(unknown.code, unknown.reason)) from None
    beyond = [name for name in control.unsupported if not name.startswith(_IDENTIFYING)]
    if control.display is not None and what.takes != _TEXT:
        beyond.append(_TEXT)
    if beyond:
        raise Refused(
            error("5.2", f"Nothing was switched: {', '.join(beyond)} of an EndDeviceControl is not supported.")
        )
    if control.duration_minutes is not None or control.is_indefinite is False:
        _check_duration(control, what, parameters)
    if control.end_at is not None and control.end_at <= now:
        reason = f"Nothing was done: primaryDeviceTiming.interval.end, {control.end_at.isoformat()}, is past."
        raise Refused(error("5.2", reason))
    named = (control.end_devices, control.usage_points, control.end_device_groups, control.usage_point_groups)
    if not any(named):
        reason = (
            f"The EndDeviceControl {control.control_type} names no EndDevices, no UsagePoints and no groups of them."
        )
        raise Refused(error("1.7", reason))
    return _Executable(what, _taken(control, what, parameters))


def _check_duration(control: EndDeviceControl, what: Control, parameters: Mapping[str, Parameters]) -> None:
    """Raises Refused for a control that would have to be ended here: only an emergency limit is one that the meter itself ends (M-167)."""
    emergency = parameters.get(what.takes or "")
    if control.duration_minutes is None:
        reason = "durationIndefinite is false, and no duration is said"
    elif not isinstance(emergency, LimiterEmergency):
        reason = f"no meter ends the control {what.name} by itself; order what ends it as a control of its own, for its time (primaryDeviceTiming/interval/start)"
    elif control.duration_minutes * 60 != emergency.duration_s or control.is_indefinite:
        reason = f"it is not the duration of LimiterEmergency, {emergency.duration_s} s"
    else:
        return
    raise Refused(error("5.2", f"Nothing was done: primaryDeviceTiming/duration: {reason}."))


def _taken(control: EndDeviceControl, what: Control, parameters: Mapping[str, Parameters]) -> Taken:
    """What its row takes; raises Refused where it is not there."""
    if what.takes is None:
        return None
    text = None if control.display is None else control.display.text
    found = text if what.takes == _TEXT else parameters.get(what.takes)
    if found is None:
        where = "its textMessage" if what.takes == _TEXT else "Request/ControlParameters (docs/cim.md)"
        reason = f"Nothing was done: the control {what.code} ({what.name}) needs {what.takes}, in {where}."
        raise Refused(error("1.7", reason))
    return found


def _targets(
    control: EndDeviceControl, what: _Executable, registry: Registry, partner: Partner, asked: AskedNames
) -> Iterator[_Target | ReplyError]:
    for meter in _meters_of(control, registry, partner):
        if isinstance(meter, ReplyError):
            yield meter
        elif meter.behind:
            yield _no_switch(meter, asked)
        else:
            yield _Target(meter, what)


def _meters_of(control: EndDeviceControl, registry: Registry, partner: Partner) -> Iterator[Meter | ReplyError]:
    for device in devices_of(control.end_devices, partner):
        yield meter_of_device(device, registry)
    for point in control.usage_points:
        yield meter_of_usage_point(point, registry)
    groups = [
        *(meters_of_group(one, registry) for one in control.end_device_groups),
        *(meters_of_usage_point_group(one, registry) for one in control.usage_point_groups),
    ]
    for members in groups:
        yield from [members] if isinstance(members, ReplyError) else members


def _no_switch(meter: Meter, asked: AskedNames) -> ReplyError:
    """The switch of the meter that it is behind is another one, and is not meant (M-140)."""
    reason = f"Nothing was switched: {meter.name} is on {meter.place}, and valves of sub-meters are not served."
    return asked.about(MeterId(meter.name, meter.mrid), error("5.2", reason))


def _command(request_id: str, meter: MeterId, what: _Executable) -> Command:
    """The operation of its recipe, with what that has to know of it."""
    if what.control.is_switch:
        return Command(request_id, meter, contactor.NAME, what.control.code)
    operation = long_controls.NAME if what.control.is_long else recipes.NAME
    return Command(request_id, meter, operation, recipes.format_body(what.control, what.taken))


def _one_each(
    found: dict[str, list[_Target]], request_id: str, asked: AskedNames
) -> tuple[tuple[Command, ...], tuple[ReplyError, ...]]:
    """One command per meter: what is asked twice is done once, what contradicts itself is not done at all."""
    commands: list[Command] = []
    conflicts: list[ReplyError] = []
    for targets in found.values():
        meter, what = MeterId(targets[0].meter.name, targets[0].meter.mrid), targets[0].what
        if len({target.what.control.name for target in targets}) == 1:
            commands.append(_command(request_id, meter, what))
            continue
        codes = " and ".join(sorted({target.what.control.code for target in targets}))
        reason = f"Nothing was sent to meter {meter.name}: the request asks it for {codes} at once."
        conflicts.append(asked.about(meter, error("5.2", reason)))
    return tuple(commands), tuple(conflicts)

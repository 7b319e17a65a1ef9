"""EndDeviceControls: a request becomes one command per meter, and what came of them becomes one Reply (IEC 61968-9).

Pure functions. A request that can't be carried out as it stands is refused as a whole before anything is sent to a meter;
a device in it that is not ours is one error, and the others are still worked (docs/mapping.md).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ami_cim.message import ReplyError, RequestMessage
from ami_cim.nouns import tag_of
from ami_cim.payloads.end_device_controls import EndDeviceControl, EndDeviceControls
from ami_hes.commands import Command, MeterId
from ami_hes.meters.registry import Meter, Registry
from ami_hes.nouns.asked_names import AskedNames, format_asked
from ami_hes.nouns.devices import devices_of, meter_of_device, meter_of_usage_point
from ami_hes.nouns.header import error
from ami_hes.nouns.partners import STANDARD, Partner
from ami_hes.nouns.plans import Plan, Refused, Report, RequestContext, Worked
from ami_hes.nouns.replies import reply_of
from ami_hes.operations import contactor
from ami_hes.operations import control as recipes
from ami_mapping.controls import Control, UnknownControl, control_for

_VERBS_NOT_SERVED = {
    "change": "An accepted control is carried out as it is; there is none for later that could still be changed.",
    "cancel": "An accepted control can't be taken back; send the opposite control once it has been answered.",
    "close": "A control ends by itself when its meter has answered, so there is none to close.",
    "delete": "A control is done, not kept, so there is none to delete.",
}
_IDENTIFYING = ("EndDevices/", "UsagePoints/")
"""Parents of elements that say more about a device that mRID and Names already identify; they change nothing."""


def size(message: RequestMessage, partner: Partner = STANDARD) -> int:
    """How many devices and usage points a request names, whether known or not, each as often as it does."""
    payload = message.payload
    controls = payload.controls if isinstance(payload, EndDeviceControls) else ()
    return sum(len(devices_of(control.end_devices, partner)) + len(control.usage_points) for control in controls)


def plan(context: RequestContext, message: RequestMessage, registry: Registry) -> Plan:
    """The commands and the errors of a request; raises Refused if nothing of it may be done."""
    controls = _controls_of(message)
    now = context.accepted_at
    if message.start_at is not None and message.start_at > now:
        raise Refused(_later("Request.StartTime", message.start_at))
    kept = _asked(controls, context.partner)
    asked = AskedNames.parse(kept)
    found: dict[str, list[_Target]] = {}
    errors: list[ReplyError] = []
    for control in controls:
        what = _executable(control, now)
        for target in _targets(control, what, registry, context.partner, asked):
            if isinstance(target, ReplyError):
                errors.append(target)
            else:
                found.setdefault(target.meter.name, []).append(target)
    commands, conflicts = _one_each(found, context.request_id, asked)
    codes = " ".join(sorted({target.control.code for one in found.values() for target in one}))
    return Plan(commands, tuple(dict.fromkeys(errors)) + conflicts, codes, kept)


def report(context: RequestContext, errors: Sequence[ReplyError], worked: Sequence[Worked]) -> Report:
    """The Reply for all of them; there is no payload."""
    return reply_of(context, errors, worked), None


def _asked(controls: Sequence[EndDeviceControl], partner: Partner) -> str:
    devices = [one for control in controls for one in devices_of(control.end_devices, partner)]
    return format_asked(devices, others=any(control.usage_points for control in controls))


@dataclass(frozen=True, slots=True)
class _Target:
    meter: Meter
    control: Control


def _controls_of(message: RequestMessage) -> tuple[EndDeviceControl, ...]:
    verb = message.header.verb
    if verb != "create":
        reason = _VERBS_NOT_SERVED.get(verb, "Served is: create.")
        raise Refused(error("2.9", f"The verb {verb} is not served for EndDeviceControls. {reason}"))
    if message.payload is None:
        raise Refused(error("1.7", "The request has no EndDeviceControls in its Payload."))
    if not isinstance(message.payload, EndDeviceControls):
        raise Refused(error("1.7", f"The payload is {tag_of(message.payload)} and not EndDeviceControls."))
    if not message.payload.controls:
        raise Refused(error("1.7", "The EndDeviceControls hold no EndDeviceControl."))
    return message.payload.controls


def _executable(control: EndDeviceControl, now: datetime) -> Control:
    """The table's row of a control that can be carried out now and wholly; raises Refused for any other."""
    try:
        what = control_for(control.control_type)
    except UnknownControl as unknown:
        raise Refused(error(unknown.code, unknown.reason)) from None
    beyond = [name for name in control.unsupported if not name.startswith(_IDENTIFYING)]
    if beyond:
        raise Refused(
            error("5.2", f"Nothing was switched: {', '.join(beyond)} of an EndDeviceControl is not supported.")
        )
    if control.start_at is not None and control.start_at > now:
        raise Refused(_later("primaryDeviceTiming.interval.start", control.start_at))
    if not control.end_devices and not control.usage_points:
        raise Refused(
            error("1.7", f"The EndDeviceControl {control.control_type} names no EndDevices and no UsagePoints.")
        )
    return what


def _later(element: str, start_at: datetime) -> ReplyError:
    reason = f"Nothing was switched: {element} is {start_at.isoformat()}, and controls for later are not supported."
    return error("5.2", reason)


def _targets(
    control: EndDeviceControl, what: Control, registry: Registry, partner: Partner, asked: AskedNames
) -> Iterator[_Target | ReplyError]:
    found = [
        *(meter_of_device(device, registry) for device in devices_of(control.end_devices, partner)),
        *(meter_of_usage_point(point, registry) for point in control.usage_points),
    ]
    for meter in found:
        if isinstance(meter, ReplyError):
            yield meter
        elif meter.behind:
            yield _no_switch(meter, asked)
        else:
            yield _Target(meter, what)


def _no_switch(meter: Meter, asked: AskedNames) -> ReplyError:
    """The switch of the meter that it is behind is another one, and is not meant (M-140)."""
    reason = f"Nothing was switched: {meter.name} is on {meter.place}, and valves of sub-meters are not served."
    return asked.about(MeterId(meter.name, meter.mrid), error("5.2", reason))


def _command(request_id: str, meter: MeterId, control: Control) -> Command:
    """The operation of its recipe, with what that has to know of it."""
    if control.is_switch:
        return Command(request_id, meter, contactor.NAME, control.code)
    return Command(request_id, meter, recipes.NAME, recipes.format_body(control))


def _one_each(
    found: dict[str, list[_Target]], request_id: str, asked: AskedNames
) -> tuple[tuple[Command, ...], tuple[ReplyError, ...]]:
    """One command per meter: what is asked twice is done once, what contradicts itself is not done at all."""
    commands: list[Command] = []
    conflicts: list[ReplyError] = []
    for targets in found.values():
        meter, control = MeterId(targets[0].meter.name, targets[0].meter.mrid), targets[0].control
        if len(Counter((t.control.class_id, t.control.obis, t.control.member) for t in targets)) == 1:
            commands.append(_command(request_id, meter, control))
            continue
        codes = " and ".join(sorted({target.control.code for target in targets}))
        reason = f"Nothing was sent to meter {meter.name}: the request asks it for {codes} at once."
        conflicts.append(asked.about(meter, error("5.2", reason)))
    return tuple(commands), tuple(conflicts)

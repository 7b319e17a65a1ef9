"""From what a message calls a device or a usage point to the one meter that is meant, the same for every noun."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ami_cim.codes import Level
from ami_cim.identity import EndDevice, Identified, Identifier, Name, UsagePoint
from ami_cim.message import ReplyError
from ami_hes.meters.registry import Meter, Registry
from ami_hes.nouns.partners import Partner


def devices_of(devices: Sequence[EndDevice], partner: Partner) -> tuple[EndDevice, ...]:
    """One EndDevice per meter; some partners write several meters as several Names of one EndDevice without mRID (M-033)."""
    if not partner.several_names:
        return tuple(devices)
    return tuple(
        one
        for device in devices
        for one in (
            [device]
            if device.mrid is not None or not device.names
            else [EndDevice(names=(name,)) for name in device.names]
        )
    )


def meter_of_device(device: EndDevice, registry: Registry) -> Meter | ReplyError:
    """The one meter that an mRID or Names point to; the error says why there is none, or not one."""
    return _resolve(_DEVICES, device, registry.find_by_mrid, registry.find_by_name)


def meter_of_usage_point(point: UsagePoint, registry: Registry) -> Meter | ReplyError:
    """The same of the meter at a usage point."""
    return _resolve(_POINTS, point, registry.find_by_usage_point_mrid, registry.find_by_usage_point)


def meters_of_group(group: Identified, registry: Registry) -> Sequence[Meter] | ReplyError:
    """The meters of a group of devices that is named."""
    found = tag_of_group(group, registry)
    return found if isinstance(found, ReplyError) else tuple(registry.members(*found))


def meters_of_usage_point_group(group: Identified, registry: Registry) -> Sequence[Meter] | ReplyError:
    """The meters at the usage points of a group that is named: one without a usage point is in no such group (M-138)."""
    found = tag_of_usage_point_group(group, registry)
    if isinstance(found, ReplyError):
        return found
    meters = tuple(meter for meter in registry.members(*found) if meter.usage_points)
    reason = f"No meter of the group {' '.join(found)} is at a usage point."
    return meters or _unknown_group(_POINT_GROUPS, found[1], reason)


def tag_of_group(group: Identified, registry: Registry) -> tuple[str, str] | ReplyError:
    """The tag and its value that a group is named by; NameType says which tag where several have the value."""
    return _tag_of(_DEVICE_GROUPS, group, registry)


def tag_of_usage_point_group(group: Identified, registry: Registry) -> tuple[str, str] | ReplyError:
    """The same of a group of usage points (M-138)."""
    return _tag_of(_POINT_GROUPS, group, registry)


def _tag_of(kind: "_Kind", group: Identified, registry: Registry) -> tuple[str, str] | ReplyError:
    wanted = [(name.name, name.name_type) for name in group.names]
    if not wanted:
        reason = "A group is named by Names here: the value of a tag of its meters, with NameType the tag."
        return _unknown_group(kind, group.mrid or "", reason)
    known = registry.groups()
    found = [
        (tag, value)
        for value, kind in wanted
        for tag, values in known.items()
        if value in values and kind in (None, tag)
    ]
    if not found:
        return _unknown_group(kind, wanted[0][0], f"The group {_listed(group.names)} is not known here.")
    if len(found) > 1:
        kinds = " and ".join(sorted(f"{tag} {value}" for tag, value in found))
        reason = f"One group was named by what several have: {kinds}; NameType says which."
        return _unknown_group(kind, wanted[0][0], reason)
    return found[0]


def _unknown_group(kind: "_Kind", name: str, reason: str) -> ReplyError:
    identifier = Identifier(value=name, kind="name", object_type=kind.object_type)
    return ReplyError(code=kind.code, level=Level.FATAL, reason=reason, identifier=identifier)


def identifier_of(mrid: str) -> Identifier:
    """How an error of a reply names a meter."""
    return Identifier(value=mrid, kind="uuid", object_type="EndDevice")


@dataclass(frozen=True, slots=True)
class _Kind:
    code: str
    word: str
    object_type: str


_DEVICES = _Kind("2.4", "meter", "EndDevice")
_POINTS = _Kind("2.12", "usage point", "UsagePoint")
_DEVICE_GROUPS = _Kind("2.4", "group", "EndDeviceGroup")
_POINT_GROUPS = _Kind("2.12", "group", "UsagePointGroup")
_SEVERAL = ' If this sender means several meters by several Names, say so by several_names = "several-meters" in [[hes.partners]].'
_Find = Callable[[str], Meter | None]


def _resolve(kind: _Kind, named: EndDevice | UsagePoint, by_mrid: _Find, by_name: _Find) -> Meter | ReplyError:
    names = [name.name for name in named.names]
    if named.mrid is None and not names:
        return ReplyError(code=kind.code, level=Level.FATAL, reason=f"A {kind.word} has neither mRID nor Names.")
    named_meters = {meter.name: meter for meter in map(by_name, names) if meter is not None}
    if named.mrid is not None:
        meter = by_mrid(named.mrid)
        if meter is None:
            return _failed(kind, named, f"The {kind.word} with mRID {named.mrid} is not known here.")
        named_meters[meter.name] = meter
    if not named_meters:
        return _failed(kind, named, f"The {kind.word} {_listed(named.names)} is not known here.")
    if len(named_meters) > 1:
        meters = " and ".join(sorted(named_meters))
        reason = f"One {kind.word} was named by what belongs to different meters: {meters}."
        return _failed(kind, named, reason + (_SEVERAL if named.mrid is None and kind is _DEVICES else ""))
    return next(iter(named_meters.values()))


def _failed(kind: _Kind, named: EndDevice | UsagePoint, reason: str) -> ReplyError:
    if named.mrid is not None:
        identifier = Identifier(value=named.mrid, kind="uuid", object_type=kind.object_type)
    else:
        identifier = Identifier(value=named.names[0].name, kind="name", object_type=kind.object_type)
    return ReplyError(code=kind.code, level=Level.FATAL, reason=reason, identifier=identifier)


def _listed(names: Sequence[Name]) -> str:
    return ", ".join(name.name for name in names)

"""Limits (class 71, 0-0:17.0.0): the usual threshold, and another one for a while in an emergency (M-146)."""

from collections.abc import Generator
from decimal import Decimal
from typing import Any

from ami_cim.control_parameters import Limiter, LimiterEmergency
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data, double_long_unsigned, long_unsigned, octet_string, structure
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataTag
from ami_dlms.obis import Obis
from ami_mapping.controls import Verdict
from ami_mapping.recipes.moments import deviation_of, local_octets
from ami_mapping.recipes.steps import (
    Now,
    Recipe,
    Step,
    attribute,
    done,
    failed,
    needed,
    number_in,
    read,
    settled,
    unsuitable,
)
from ami_mapping.recipes.written import write_all

MONITORED, NORMAL, EMERGENCY, OVER, UNDER, PROFILE, GROUPS, ACTIVE = (
    attribute(71, "0-0:17.0.0", number) for number in (2, 4, 5, 6, 7, 8, 9, 10)
)
SCALERS = {3: 3, 4: 3, 5: 4}
"""Interface class of what is monitored -> its attribute scaler_unit."""
OBIS_OCTETS = 6
HIGHEST = {
    DataTag.DOUBLE_LONG_UNSIGNED: 2**32 - 1,
    DataTag.DOUBLE_LONG: 2**31 - 1,
    DataTag.LONG_UNSIGNED: 2**16 - 1,
    DataTag.LONG: 2**15 - 1,
    DataTag.UNSIGNED: 2**8 - 1,
    DataTag.INTEGER: 2**7 - 1,
}
"""Of each type that a threshold has: what nothing exceeds, so that it limits nothing on any meter."""


def limit_set(parameters: Limiter) -> Recipe:
    """The durations first, so that the new threshold never counts with the old ones."""
    threshold = yield from _threshold(NORMAL, parameters.threshold)
    durations = {OVER: parameters.over_s, UNDER: parameters.under_s}
    wanted = {where: double_long_unsigned(value) for where, value in durations.items() if value is not None}
    return (yield from write_all(wanted | {NORMAL: threshold}))


def limit_clear() -> Recipe:
    """0 limits nothing on some meters, and everything on others; the highest value of its type nothing on all."""
    kind = needed((yield from read(NORMAL))[0], NORMAL).tag
    return (yield from write_all({NORMAL: Data(kind, _highest(kind))}))


def emergency_set(parameters: LimiterEmergency, now: Now) -> Recipe:
    """In force from its start for its duration, in meters that have its group in their list."""
    threshold = yield from _threshold(EMERGENCY, parameters.threshold)
    group = yield from _group(parameters.group)
    deviation = yield from deviation_of()
    asked_at = now()
    start_at = parameters.start_at or asked_at
    profile = structure(
        long_unsigned(group),
        octet_string(local_octets(start_at, deviation)),
        double_long_unsigned(parameters.duration_s),
    )
    verdict = yield from write_all({EMERGENCY: threshold, PROFILE: profile})
    if not verdict.ok or start_at > asked_at:
        return verdict
    return (yield from _is_active(True))


def emergency_clear() -> Recipe:
    """A profile without a time is in force at no time."""
    found = needed((yield from read(PROFILE))[0], PROFILE).value
    group = number_in(found[0]) if isinstance(found, tuple) and len(found) == 3 else None
    never = octet_string(CosemDateTime().encode())
    wanted = {PROFILE: structure(long_unsigned(group or 0), never, double_long_unsigned(0))}
    verdict = yield from write_all(wanted)
    return (yield from _is_active(False)) if verdict.ok else verdict


def _is_active(wanted: bool) -> Generator[Step, Any, Verdict]:
    _, proved = yield from settled((ACTIVE,), lambda values: isinstance(values[0], Data) and values[0].value is wanted)
    word = "" if wanted else "not "
    if proved:
        return done(f"the emergency profile is {word}active, as the meter shows")
    return failed("not-as-asked", f"the meter does not show that its emergency profile is {word}active")


def _threshold(where: AttributeDescriptor, wanted: Decimal) -> Generator[Step, Any, Data]:
    """In steps of what is monitored, and in the type that the threshold has."""
    monitored, now = yield from read(MONITORED, where)
    kind = needed(now, where).tag
    unit_of = _unit_of(needed(monitored, MONITORED))
    found = needed((yield from read(unit_of))[0], unit_of).value
    scaler = number_in(found[0]) if isinstance(found, tuple) and found else None
    if scaler is None or not -128 <= scaler <= 127:
        raise unsuitable("what its limiter monitors says no scaler, so that a threshold has no unit")
    steps = wanted.scaleb(-scaler)
    if steps != steps.to_integral_value() or not 0 <= steps <= _highest(kind):
        raise unsuitable(f"a threshold of {wanted} can't be written in its steps of 10^{scaler}")
    return Data(kind, int(steps))


def _unit_of(monitored: Data) -> AttributeDescriptor:
    """Where the scaler is of what the meter says that it monitors."""
    parts = monitored.value if isinstance(monitored.value, tuple) else ()
    class_id = number_in(parts[0]) if len(parts) == 3 else None
    name = parts[1].value if len(parts) == 3 and isinstance(parts[1], Data) else None
    scaler = SCALERS.get(class_id or 0)
    if class_id is None or scaler is None or not isinstance(name, bytes) or len(name) != OBIS_OCTETS:
        raise unsuitable("its limiter monitors no register, so that a threshold has no unit")
    return AttributeDescriptor(class_id, Obis(name), scaler)


def _highest(kind: DataTag) -> int:
    if kind not in HIGHEST:
        raise unsuitable(f"its threshold is no whole number ({kind.name})")
    return HIGHEST[kind]


def _group(wanted: int | None) -> Generator[Step, Any, int]:
    listed = needed((yield from read(GROUPS))[0], GROUPS).value
    groups = [number_in(one) for one in listed] if isinstance(listed, tuple) else []
    if wanted is None and groups and groups[0] is not None:
        return groups[0]
    if wanted is None or wanted not in groups:
        raise unsuitable(f"the groups of its emergency profile are {groups}, and {wanted} is none of them")
    return wanted

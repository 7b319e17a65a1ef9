"""What the models of the package say of objects with behaviour is what their classes would take from a client, and logs have what they need."""

from __future__ import annotations

import pytest

from ami_dlms.cosem.classes import class_versions
from ami_dlms.enums import DataTag
from ami_meter_sim.objects.families import FAMILIES
from ami_meter_sim.objects.kept_object import KeptObject
from ami_meter_sim.objects.model_files import load_model
from ami_packs.model_files import model_names

DATA, PROFILE_GENERIC = 1, 7


@pytest.mark.parametrize("name", model_names())
def test_values_have_the_shapes_of_their_classes(name: str) -> None:
    for key, described in load_model(name).objects.items():
        family = FAMILIES.get((described.class_id, described.version))
        if isinstance(family, type) and issubclass(family, KeptObject) and not described.static:
            for attribute, shape in family.writable.items():
                number = class_versions()[described.class_id, described.version].attribute(attribute).number
                value = described.attributes.get(number)
                assert value is None or shape(value), (key, attribute, value)


@pytest.mark.parametrize("name", model_names())
def test_a_log_says_what_happened_and_an_alarm_register_begins_with_bits(name: str) -> None:
    """A log of power failures alone may count them in place of an event code."""
    model = load_model(name)
    listed = [one for events in model.events.events.values() for one in events]
    logs = [model.objects[PROFILE_GENERIC, one.log] for one in listed if (PROFILE_GENERIC, one.log) in model.objects]
    for log in logs:
        said = {tuple(one.logical_name[2:4]) for one in log.columns if one.class_id == DATA}
        assert said & {(96, 11), (96, 7)}, log.name
    registers = {(DATA, one.alarm.register) for one in listed if one.alarm is not None}
    for register in registers & model.objects.keys():
        assert model.objects[register].attributes[2].tag is DataTag.DOUBLE_LONG_UNSIGNED

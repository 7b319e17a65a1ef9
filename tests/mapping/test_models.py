"""The models of meters that are here: all that they measure and capture has a ReadingType."""

from __future__ import annotations

import pytest

from ami_dlms.obis import Obis
from ami_mapping.lookup import NoReadingType, readings
from ami_mapping.mbus import medium_of
from ami_mapping.profiles import Profile
from ami_meter_sim.objects.model_files import load_model
from ami_packs.model_files import model_names

REGISTERS = (3, 4, 5)
GAS = medium_of(3)
NO_READINGS = {
    "0-0:1.0.0*255": "the clock is the time of the row",
    "0-0:96.10.1*255": "a status is qualities (M-126)",
    "0-0:96.10.2*255": "a status is qualities (M-126)",
    "0-1:24.2.1*255": "the time of a channel's value is its timeStamp (M-117)",
}
LOGS = (99, 97), (99, 98)
"""Groups C and D of logs, whose rows are events (M-128)."""


@pytest.mark.parametrize("name", model_names())
def test_every_register_of_every_model_has_a_row(name: str) -> None:
    registers = [obis for (_, obis), one in load_model(name).objects.items() if one.class_id in REGISTERS]
    assert registers
    assert [str(obis) for obis in registers if not readings().rows_of(obis)] == []


@pytest.mark.parametrize("name", model_names())
def test_every_column_of_every_profile_is_a_reading_or_one_of_these(name: str) -> None:
    mapped = 0
    for one in load_model(name).objects.values():
        profile = Profile(one.obis, one.capture_period or 0, tuple(one.columns or ()))
        for column in profile.columns:
            try:
                match = readings().column(profile, column, GAS)
            except NoReadingType:
                assert str(column.logical_name) in NO_READINGS or _is_log(one.obis), (profile.obis, column)
                continue
            mapped += 1
            assert readings().find_column(match, [profile]) is not None
    assert mapped


def _is_log(obis: Obis) -> bool:
    return (obis[2], obis[3]) in LOGS

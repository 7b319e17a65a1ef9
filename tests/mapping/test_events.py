"""Entries of event logs and their codes."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from ami_cim.event_type_names import event_type_of, known_events
from ami_dlms.obis import Obis
from ami_mapping.alarms import alarm_rows, push_setup_rows
from ami_mapping.controls import CONTROLS
from ami_mapping.events import event_rows, event_type, native_events
from ami_meter_sim.objects.model_files import load_model
from ami_packs.model_files import model_names

LOG = Obis.parse("0-0:99.98.0")
NOT_IN_OUR_MODELS = {("0-0:99.98.0*255", 12), ("0-0:99.98.0*255", 13)}


def test_a_number_to_its_code_and_back() -> None:
    assert len(event_rows()) == 41
    for (log, number), row in event_rows().items():
        assert event_type(log, number) == row.code
        assert event_type(log, number, device_type=3) == "3" + row.code[1:]
        assert native_events(row.code) == native_events("3" + row.code[1:]) == (row,)


def test_well_known_events() -> None:
    assert event_type(LOG, 1) == "0.26.38.85"
    assert event_type(Obis.parse("0-0:99.98.2"), 62) == "0.31.26.68"


@pytest.mark.parametrize(
    ("log", "number"), [("0-0:99.98.0", 0), ("0-0:99.98.0", 255), ("0-0:99.98.1", 1), ("1-0:99.1.0", 1)]
)
def test_what_has_no_row_has_no_code(log: str, number: int) -> None:
    assert event_type(Obis.parse(log), number) is None


@pytest.mark.parametrize(
    "code", ["", "0.26.38", "0.26.38.85.0", "0.26.38.-85", "0.26.38.\u0668\u0665", "x" * 10_000, "0.0.0.0"]
)
def test_what_is_no_code_means_no_entry(code: str) -> None:
    assert native_events(code) == ()


def test_no_event_has_the_code_of_a_control() -> None:
    assert not {row.code for row in event_rows().values()} & CONTROLS.keys()
    assert all(re.fullmatch(r"0(\.\d{1,3}){3}", row.code) for row in event_rows().values())
    assert max(Counter(row.code for row in event_rows().values()).values()) == 1


def test_every_number_is_one_of_the_event_list() -> None:
    """The models of meters that are here log these numbers, but for two."""
    logged = {
        (str(event.log), event.number)
        for name in model_names()
        for events in load_model(name).events.events.values()
        for event in events
    }
    assert {(str(log), number) for log, number in event_rows()} - logged == NOT_IN_OUR_MODELS


def test_every_code_of_the_tables_has_a_name_that_people_can_type() -> None:
    """The CIS knows the names and not the tables."""
    codes = {row.code for row in (*event_rows().values(), *alarm_rows().values(), *push_setup_rows().values())}
    codes |= {end for control in CONTROLS.values() for end in (control.done, control.failed)}
    names = {row.code: row.name for row in known_events()}
    assert codes - {None} <= set(names) and len(names) == len(known_events()) == len(set(names.values()))
    assert all(event_type_of(name) == code for code, name in names.items())

"""Bits of alarm registers and push setups, and their codes."""

from __future__ import annotations

import pytest

from ami_dlms.obis import Obis
from ami_mapping.alarms import alarm_register, alarm_rows, log_of_code, nth_alarm_register, push_setup_rows
from ami_mapping.decisions import decisions
from ami_mapping.events import event_rows
from ami_meter_sim.objects.model_files import load_model


def test_every_bit_has_the_code_of_its_number() -> None:
    by_number = {number: row.code for (_, number), row in event_rows().items()}
    assert len(alarm_rows()) == 52 and sum(row.code is not None for row in alarm_rows().values()) == 44
    for row in alarm_rows().values():
        assert row.decision in decisions() and row.numbers
        if len(row.numbers) == 1 and row.numbers[0] in by_number:
            assert row.code == by_number[row.numbers[0]], row


def test_the_alarms_of_our_models_have_rows() -> None:
    for events in load_model("single-phase").events.events.values():
        for event in events:
            if event.alarm is not None:
                row = alarm_rows()[event.alarm.register, event.alarm.bit]
                assert event.number in row.numbers, row


@pytest.mark.parametrize(
    ("name", "register"),
    [("0-0:97.98.0", 0), ("0-0:97.98.1", 1), ("0-0:97.98.20", 0), ("0-0:97.98.29", 9), ("0-0:97.98.10", None)],
)
def test_an_object_shows_the_bits_of_a_register(name: str, register: int | None) -> None:
    assert alarm_register(Obis.parse(name)) == (None if register is None else nth_alarm_register(register))
    assert alarm_register(Obis.parse("0-0:96.11.0")) is None


def test_bits_logs_and_push_setups() -> None:
    assert log_of_code(Obis.parse("0-0:96.11.2")) == Obis.parse("0-0:99.98.2")
    assert log_of_code(Obis.parse("0-0:97.98.0")) is None
    assert {row.decision for row in push_setup_rows().values()} <= decisions().keys()

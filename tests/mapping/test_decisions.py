"""Every row names a decision that is written, every decision is complete and names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ami_dlms.obis import Obis
from ami_mapping.controls import CONTROLS
from ami_mapping.decisions import Decision, decisions, open_questions
from ami_mapping.events import event_rows
from ami_mapping.faults import fault_rules
from ami_mapping.hints import near_codes, near_controls, near_obis
from ami_mapping.lookup import readings
from ami_mapping.mbus import device_types
from ami_mapping.qualities import status_bits
from ami_mapping.reading_types import ReadingType
from ami_mapping.readings import all_rows

ROOT = Path(__file__).parents[2]


def test_every_row_of_every_table_names_a_decision() -> None:
    rows = [
        *CONTROLS.values(),
        *fault_rules().values(),
        *status_bits(),
        *event_rows().values(),
        *device_types().values(),
    ]
    rows += all_rows()
    assert {row.decision for row in rows} <= decisions().keys()


@pytest.mark.parametrize("one", decisions().values(), ids=lambda one: one.number)
def test_a_decision_is_complete_and_its_tests_exist(one: Decision) -> None:
    assert re.fullmatch(r"M-\d{3}", one.number) and one.title
    assert one.about and one.question and one.decision and one.why
    assert one.tests
    for test in one.tests:
        path, _, name = test.partition("::")
        text = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^(?:async )?def {name}\b", text, re.MULTILINE), test


def test_numbers_that_a_decision_names_are_decisions() -> None:
    for one in decisions().values():
        named = set(re.findall(r"M-\d{3}", " ".join((one.question, one.decision, one.why, one.field))))
        assert named <= decisions().keys(), one.number


def test_every_structural_question_is_decided_or_said_to_be_open() -> None:
    assert "".join(one.letter for one in open_questions()) == "abcdefghijklmnopqrs"
    for one in open_questions():
        assert set(one.decisions) <= decisions().keys()
        assert one.decisions or one.open


def test_what_is_near_a_code() -> None:
    found = near_codes(readings(), ReadingType.parse("0.0.0.6.5.1.12.0.0.0.0.0.0.0.0.3.73.0"))
    assert (found[0][0].id, found[0][1]) == ("RT0005", "accumulation 6, there 1")
    assert not near_codes(readings(), ReadingType.parse("9.9.9.9.9.9.9.9.9.9.9.9.9.9.9.9.9.9"))


def test_what_is_near_an_obis_code_or_a_control() -> None:
    assert {str(row.obis) for row in near_obis(readings(), Obis.parse("1-0:1.8.0*1"))} == {
        "1-0:1.8.0*255",
        "1-0:1.8.t*255",
    }
    assert near_obis(readings(), Obis.parse("200-0:1.8.0")) == []
    assert [one.code for one in near_controls("3.31.0.24")] == ["3.31.0.23", "3.31.0.18", "3.31.0.5"]
    assert near_controls("1.2.3.4") == near_controls("") == []

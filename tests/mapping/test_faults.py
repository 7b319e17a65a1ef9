"""Every fault on the meters' side has a reply code that the standard's list holds, a level, and words for a person."""

from __future__ import annotations

import re

import pytest

from ami_cim.codes import Level, reply_codes
from ami_dlms.enums import (
    AcseServiceProviderDiagnostic,
    AcseServiceUserDiagnostic,
    ActionResult,
    DataAccessResult,
    ServiceError,
)
from ami_mapping.faults import (
    MAY_HAVE_SWITCHED,
    NOT_SENT,
    FaultRule,
    explain,
    explain_refused_reading,
    fault_rules,
)

RULES = list(fault_rules().values())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.kind}-{rule.name}")
def test_each_row_is_usable(rule: FaultRule) -> None:
    assert rule.code in reply_codes()
    assert rule.level in set(Level)
    assert rule.what and rule.advice and rule.decision and rule.source
    assert not rule.what.endswith(".") and not rule.advice.endswith(".")


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("action-result", [result.name for result in ActionResult if result]),
        ("data-access-result", [result.name for result in DataAccessResult if result]),
        ("association", [diagnostic.name for diagnostic in AcseServiceUserDiagnostic]),
        ("association-provider", [diagnostic.name for diagnostic in AcseServiceProviderDiagnostic]),
        ("exception", [error.name for error in ServiceError]),
        ("security", ["something new"]),
        ("protocol", ["something new"]),
    ],
)
def test_every_name_of_the_standard_has_an_explanation(kind: str, names: list[str]) -> None:
    for name in names:
        fault = explain(kind, name, attempted=None)
        assert fault.code in reply_codes() and fault.reason.endswith(".")
        assert not fault.code.startswith("0.")


def test_no_row_is_dead() -> None:
    """Rows of the standard's lists carry names that the lists have."""
    known = {
        "action-result": {result.name for result in ActionResult},
        "data-access-result": {result.name for result in DataAccessResult} | {"unexpected-value"},
        "association": {diagnostic.name for diagnostic in AcseServiceUserDiagnostic},
        "association-provider": {diagnostic.name for diagnostic in AcseServiceProviderDiagnostic},
        "exception": {error.name for error in ServiceError},
    }
    for rule in RULES:
        if rule.kind in known:
            assert rule.name in known[rule.kind] | {"other"}


def test_reason_says_what_where_and_what_to_do() -> None:
    where, detail = "calling", "127.0.0.1:4061: connection refused"
    fault = explain("transport", "unreachable", attempted=False, where=where, detail=detail)
    assert fault.reason.startswith(
        "calling: the meter can't be reached (127.0.0.1:4061: connection refused). The control was not sent "
    )
    assert "Check the meter's address" in fault.reason


def test_a_name_without_a_row_is_told_by_its_name() -> None:
    assert "LONG_GET_ABORTED" in explain("data-access-result", "LONG_GET_ABORTED", attempted=None).reason


def test_attempted_and_failed_is_said_only_of_what_was_attempted() -> None:
    assert explain("data-access-result", "HARDWARE_FAULT", attempted=True).code == "5.3"
    assert explain("data-access-result", "HARDWARE_FAULT", attempted=False).code == "5.2"
    assert explain("data-access-result", "READ_WRITE_DENIED", attempted=False).code == "7.5"
    assert explain("transport", "lost", attempted=False).code == "5.2"
    assert explain("transport", "lost", attempted=True).code == "5.3"


DENIAL = re.compile(r"nothing was|not sent|not switched|before the control was sent", re.IGNORECASE)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.kind}-{rule.name}")
def test_whether_the_control_left_is_said_of_every_fault_by_one_place(rule: FaultRule) -> None:
    """M-021: no row claims anything itself, so none can claim the wrong thing."""
    assert not DENIAL.search(rule.what + rule.advice) and MAY_HAVE_SWITCHED not in rule.what + rule.advice
    sent, unsent, neither = (explain(rule.kind, rule.name, attempted=one) for one in (True, False, None))
    assert MAY_HAVE_SWITCHED in sent.reason and sent.code in ("4.1", "5.3") and not DENIAL.search(sent.reason)
    assert NOT_SENT in unsent.reason and "may or may not" not in unsent.reason and unsent.code != "5.3"
    assert (neither.code, neither.reason) == (rule.code, f"{rule.what}. {rule.advice}.")
    others = [explain(rule.kind, rule.name, attempted=one, switches=False).reason for one in (True, False)]
    assert "may or may not have carried it out" in others[0] and "nothing was changed" in others[1]
    assert not any("nothing was switched" in one or "have switched" in one for one in others)


@pytest.mark.parametrize(
    ("kind", "name", "code"),
    [
        ("deadline", "no-answer", "4.1"),
        ("deadline", "no-connection", "4.1"),
        ("deadline", "busy", "5.1"),
        ("transport", "unreachable", "5.2"),
        ("transport", "lost", "5.2"),
        ("identity", "removed", "2.4"),
        ("association", "AUTHENTICATION_FAILURE", "7.4"),
        ("exception", "DECIPHERING_ERROR", "7.4"),
        ("security", "unprotected", "7.4"),
        ("identity", "device-id", "5.2"),
    ],
)
def test_the_codes_that_the_decisions_name(kind: str, name: str, code: str) -> None:
    assert explain(kind, name, attempted=False).code == code


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (DataAccessResult.OBJECT_UNDEFINED, "5.6"),
        (DataAccessResult.OBJECT_CLASS_INCONSISTENT, "5.6"),
        (DataAccessResult.OBJECT_UNAVAILABLE, "5.6"),
        (DataAccessResult.READ_WRITE_DENIED, "7.5"),
        (DataAccessResult.SCOPE_OF_ACCESS_VIOLATED, "7.5"),
        (DataAccessResult.HARDWARE_FAULT, "5.3"),
        (DataAccessResult.TEMPORARY_FAILURE, "5.3"),
        (DataAccessResult.OTHER_REASON, "5.3"),
    ],
)
def test_what_a_meter_does_not_have_is_5_6_for_a_reading(result: DataAccessResult, code: str) -> None:
    """M-127: the other readings of the same meter are given; a control says 5.3, because nothing of it was done."""
    fault = explain_refused_reading(result.name, where="reading 1-0:1.8.0*255")
    assert fault.code == code in reply_codes()
    assert fault.reason.startswith("reading 1-0:1.8.0*255: ") and "may or may not" not in fault.reason

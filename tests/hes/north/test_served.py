"""The tables of what is served: an operation that only reads never speaks of switching, however its command ends."""

from __future__ import annotations

import pytest

from ami_hes.commands import Command, Lane, MeterId
from ami_hes.meters import Meter, MeterFault, Meters
from ami_hes.operations import Assignment, Attempt, Operation, retries
from ami_hes.served import OPERATIONS, describe, failed, run
from ami_mapping.faults import fault_rules


async def _faulty(meters: Meters, assignment: Assignment) -> None:
    raise MeterFault("transport", "unreachable", detail="127.0.0.1:4059")


async def _keep() -> None:
    pass


def command(operation: str) -> Command:
    return Command("r-1", MeterId("M1", "mrid-1"), operation, "a body")


def assignment(operation: str, *, begun: bool = False) -> Assignment:
    meter = Meter.__new__(Meter)
    object.__setattr__(meter, "name", "M1")
    return Assignment(meter, command(operation), Attempt(_keep, begun=begun), 0.0)


@pytest.fixture(autouse=True)
def _rows(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, acts in (("reads", False), ("switches", True)):
        row = Operation(_faulty, lambda *_: {"a": "detail"}, Lane.READ, acts=acts)  # type: ignore[arg-type]
        monkeypatch.setitem(OPERATIONS, name, row)


@pytest.mark.parametrize(("operation", "speaks"), [("reads", False), ("switches", True), ("of another version", True)])
def test_an_end_without_the_recipe(operation: str, speaks: bool) -> None:
    outcome = failed(command(operation), Attempt(_keep, begun=False), "internal", "failed", detail="ZeroDivisionError")
    assert not outcome.ok and "ZeroDivisionError" in outcome.reason
    assert ("control was not sent" in outcome.reason) is speaks


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize(("operation", "speaks"), [("reads", False), ("switches", True)])
async def test_a_fault_that_a_recipe_does_not_end_itself(operation: str, speaks: bool, begun: bool) -> None:
    outcome = await run(None, assignment(operation, begun=begun))  # type: ignore[arg-type]  # the recipe needs none
    assert (outcome.ok, outcome.attempted) == (False, begun)
    assert outcome.reason.startswith("M1: ") and "127.0.0.1:4059" in outcome.reason
    assert ("may or may not have switched" in outcome.reason) is (speaks and begun)
    assert ("control was not sent" in outcome.reason) is (speaks and not begun)


@pytest.mark.parametrize(
    ("kind", "name", "acts", "begun", "worth"),
    [
        ("transport", "unreachable", False, False, True),
        ("deadline", "no-answer", False, True, True),
        ("deadline", "busy", True, False, True),
        ("transport", "lost", True, True, False),
        ("security", "other", False, False, False),
        ("identity", "device-id", False, False, False),
        ("data-access-result", "OBJECT_UNDEFINED", False, False, False),
    ],
)
def test_which_faults_are_worth_another_attempt(kind: str, name: str, acts: bool, begun: bool, worth: bool) -> None:
    assert retries.is_worth(MeterFault(kind, name), acts=acts, begun=begun) is worth


def test_the_faults_that_are_worth_another_attempt_are_rows_of_the_table() -> None:
    assert retries.PASSING - {("exception", "INVOCATION_COUNTER_ERROR")} <= fault_rules().keys() and retries.PASSING


@pytest.mark.parametrize(
    ("operation", "begun", "again"), [("reads", True, True), ("switches", False, True), ("switches", True, False)]
)
async def test_an_outcome_says_whether_another_attempt_is_worth_it(operation: str, begun: bool, again: bool) -> None:
    assert (await run(None, assignment(operation, begun=begun))).again is again  # type: ignore[arg-type]


def test_what_is_not_served_here_has_no_details() -> None:
    assert (
        describe(
            command("of another version"), None, failed(command("x"), Attempt(_keep, begun=False), "internal", "failed")
        )
        is None
    )

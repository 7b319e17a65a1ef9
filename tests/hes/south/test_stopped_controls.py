"""While controls are stopped no recipe sends what changes a meter, and each says that it has not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from small_meter import CONNECT, DISCONNECT, South

from ami_hes.commands import Command, MeterId
from ami_hes.guard import fault_of
from ami_hes.operations import Assignment, Attempt
from ami_hes.served import run
from ami_hes.store import Stop
from ami_process.environment import real_time

STOP = Stop(True, "Ada", datetime(2026, 11, 20, 12, tzinfo=UTC), "drill")


async def stopped() -> None:
    raise fault_of(STOP)


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("disconnect_control", DISCONNECT),
        ("disconnect_control", CONNECT),
    ],
    ids=["disconnect", "connect"],
)
async def test_a_recipe_ends_where_its_first_step_may_not_leave(ami: South, operation: str, body: str) -> None:
    small = await ami.meter()
    await ami.start()
    assert ami.meters is not None
    meter = ami.meters.registry.find_by_name("M1001")
    assert meter is not None
    command = Command("request-1", MeterId("M1001", meter.mrid), operation, body)
    outcome = await run(ami.meters, Assignment(meter, command, Attempt(stopped, begun=False), real_time() + 5.0))
    assert (outcome.ok, outcome.code, outcome.attempted) == (False, "5.2", False), outcome.reason
    assert "all controls are stopped at the head-end (by Ada since" in outcome.reason and "not sent" in outcome.reason
    assert small.actions == 0 and small.output


async def test_a_further_step_of_what_has_begun_does_not_leave(ami: South) -> None:
    small = await ami.meter()
    await ami.start()
    assert ami.meters is not None
    meter = ami.meters.registry.find_by_name("M1001")
    assert meter is not None
    command = Command("request-1", MeterId("M1001", meter.mrid), "disconnect_control", DISCONNECT)

    def check() -> None:
        raise fault_of(STOP)

    attempt = Attempt(ami._keep, begun=True, check=check)
    outcome = await run(ami.meters, Assignment(meter, command, attempt, real_time() + 5.0))
    assert (outcome.ok, outcome.code, outcome.attempted) == (False, "5.3", True), outcome.reason
    assert "may or may not have switched" in outcome.reason and small.actions == 0

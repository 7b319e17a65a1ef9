"""What is ordered of a campaign at the front end holds at a worker, which asks the store."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from patience import PATIENCE_S
from stored_values import NOW, a_request, some_commands

from ami_hes.audit import MetersOf
from ami_hes.campaigns import CampaignStates, states
from ami_hes.commands import Command, Lane, Outcome
from ami_hes.enums import ApprovalOf, ApprovalState
from ami_hes.operations import Assignment, Attempt, HeldBack
from ami_hes.served import OPERATIONS
from ami_hes.store import (
    CampaignState,
    Database,
    SqlCampaigns,
    SqlGuard,
    SqlResults,
    StoredApproval,
    StoredCampaign,
)
from ami_process.environment import real_time
from ami_process.store.places import Place

CHANGE = next(name for name, one in OPERATIONS.items() if one.lane is Lane.CAMPAIGN)
READ = next(name for name, one in OPERATIONS.items() if one.lane is Lane.READ)
ANY = tuple(CampaignState)


async def nothing() -> None:
    pass


def assignment(operation: str = CHANGE, *, begun: bool = False) -> Assignment:
    (job,) = some_commands("c", "M1")
    command: Command = replace(job.command, operation=operation)
    return Assignment(None, command, Attempt(nothing, begun=begun), real_time() + 60)  # type: ignore[arg-type]


async def a_campaign(database: Database, state: CampaignState) -> SqlCampaigns:
    campaigns = SqlCampaigns(database)
    await campaigns.put(StoredCampaign(campaign_id="c", kind="k", summary="s", state=state, created_at=NOW))
    await SqlResults(database).accept(a_request("c"), some_commands("c", "M1"))
    return campaigns


async def worked(_: Assignment) -> Outcome:
    return Outcome(ok=True)


async def test_a_command_is_begun_only_while_its_campaign_runs(place: Place) -> None:
    async with Database(place) as database:
        campaigns = await a_campaign(database, CampaignState.RUNNING)
        run = CampaignStates(campaigns, SqlGuard(database)).guarded(worked)
        assert (await run(assignment())).ok
        for state in (CampaignState.PAUSED, CampaignState.WAITING):
            await campaigns.move("c", state, ANY)
            with pytest.raises(HeldBack):
                await run(assignment())
            assert (await run(assignment(READ))).ok, "what is no campaign's is not asked for"
        await campaigns.move("c", CampaignState.CANCELLED, ANY)
        ended = await run(assignment())
        assert (ended.ok, ended.code) == (False, "6.5")
        assert (await run(assignment(begun=True))).ok, "what may have left is brought to its end"


async def test_one_that_goes_on_hears_that_its_campaign_was_cancelled(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "LOOK_EVERY_S", 0.01)

    async def long(one: Assignment) -> Outcome:
        await campaigns.move("c", CampaignState.CANCELLED, ANY)
        async with asyncio.timeout(PATIENCE_S):
            while not one.is_cancelled():
                await asyncio.sleep(0)
        return Outcome(ok=False)

    async with Database(place) as database:
        campaigns = await a_campaign(database, CampaignState.RUNNING)
        of_worker = CampaignStates(campaigns, SqlGuard(database))
        looking = asyncio.create_task(of_worker.work())
        assert not (await of_worker.guarded(long)(assignment())).ok
        looking.cancel()


@pytest.mark.parametrize(
    ("decided", "code", "said"),
    [
        (ApprovalState.REJECTED, "5.2", "not at night"),
        (ApprovalState.EXPIRED, "5.2", "expired"),
        (ApprovalState.WITHDRAWN, "6.5", "cancelled"),
    ],
)
async def test_one_that_nobody_has_approved_says_so_and_one_that_was_cancelled_is_cancelled(
    place: Place, decided: ApprovalState, code: str, said: str
) -> None:
    """As the front end says it, which had the decision in its hands."""
    async with Database(place) as database:
        campaigns, guard = await a_campaign(database, CampaignState.CANCELLED), SqlGuard(database)
        asked = StoredApproval(
            request_id="c",
            kind=ApprovalOf.CAMPAIGN,
            guarded="disconnects",
            principal="Ada",
            summary="s",
            meters=MetersOf(1, "digest", ("M1",)),
            why="w",
            asked_at=NOW,
            expires_at=NOW,
        )
        await guard.want_approval(asked, "token")
        note = "not at night" if decided is ApprovalState.REJECTED else "the campaign was cancelled"
        assert await guard.decide("c", decided, "Grace", NOW, note)
        ended = await CampaignStates(campaigns, guard).guarded(worked)(assignment())
        assert (ended.ok, ended.code) == (False, code)
        assert said in (ended.reason or "")

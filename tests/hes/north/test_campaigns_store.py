"""The contract of the store of campaigns, on each kind of store."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from stored_values import a_request, a_result, some_commands

from ami_hes.store import CampaignState, Database, SqlCampaigns, SqlResults, StoredCampaign
from ami_process.store.places import Place

AT = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)
ROLL = StoredCampaign(
    campaign_id="c-1", kind="keys", summary="roll encryption keys", state=CampaignState.RUNNING, created_at=AT
)
BOTH = (CampaignState.RUNNING, CampaignState.PAUSED)


async def test_a_campaign_is_its_request(place: Place) -> None:
    async with Database(place) as database:
        campaigns, results = SqlCampaigns(database), SqlResults(database)
        later = replace(ROLL, campaign_id="c-2", created_at=AT + timedelta(hours=1))
        for one in (ROLL, later, replace(ROLL, campaign_id="without a request")):
            await campaigns.put(one)
        for one in (ROLL, later):
            await results.accept(a_request(one.campaign_id), some_commands(one.campaign_id, "M1", "M2"))
        await results.save([a_result("c-1", "M1"), replace(a_result("c-2", "M1")), a_result("c-2", "M2", ok=False)])
        assert await campaigns.lines(9) == [(later, 2, 2, 1), (ROLL, 2, 1, 1)]
        assert await campaigns.lines(1) == [(later, 2, 2, 1)]
        assert await campaigns.lines(9, under_way=True) == [(ROLL, 2, 1, 1)]
        assert await campaigns.find("c-2") == (later, 2, 2, 1)
        assert await campaigns.find("without a request") is None


async def test_campaigns_that_are_called_so_are_found_without_counting_their_meters(place: Place) -> None:
    async with Database(place) as database:
        campaigns, results = SqlCampaigns(database), SqlResults(database)
        later = replace(ROLL, campaign_id="c-2", created_at=AT + timedelta(hours=1))
        other = replace(ROLL, campaign_id="c-3", summary="another")
        for one in (ROLL, later, other, replace(ROLL, campaign_id="without a request")):
            await campaigns.put(one)
        for one in (ROLL, later, other):
            jobs = some_commands(one.campaign_id, "M1", "M2")
            await results.accept(a_request(one.campaign_id), jobs)
        called = (ROLL.kind, ROLL.summary)
        assert await campaigns.of_kind(*called, 9) == [later, ROLL]
        assert await campaigns.of_kind(*called, 1) == [later]
        assert await campaigns.mrids(["c-1", "c-2"]) == {job.command.meter.mrid for job in jobs}
        await results.save([a_result("c-1", "M1"), a_result("c-1", "M2"), a_result("c-2", "M1")])
        assert await campaigns.has_open(*called)
        assert await results.open_among("c-2", ["M1", "M2", "M9"]) == {"M2"}
        await results.save([a_result("c-2", "M2")])
        assert not await campaigns.has_open(*called) and await campaigns.has_open(other.kind, other.summary)


async def test_what_is_ordered_last_is_kept_as_long_as_a_meter_has_no_end(place: Place) -> None:
    async with Database(place) as database:
        campaigns, results = SqlCampaigns(database), SqlResults(database)
        await campaigns.put(ROLL)
        await results.accept(a_request("c-1"), some_commands("c-1", "M1"))
        assert await campaigns.move("c-1", CampaignState.PAUSED, [CampaignState.RUNNING])
        assert not await campaigns.move("c-1", CampaignState.PAUSED, [CampaignState.RUNNING])
        assert await campaigns.move("c-1", CampaignState.CANCELLED, BOTH)
        assert not await campaigns.move("c-1", CampaignState.RUNNING, BOTH)
        found = await campaigns.find("c-1")
        assert found is not None and found.campaign.state is CampaignState.CANCELLED
        await results.save([a_result("c-1", "M1")])
        assert not await campaigns.move("c-1", CampaignState.RUNNING, list(CampaignState))


async def test_those_without_a_request_are_forgotten(place: Place) -> None:
    async with Database(place) as database:
        campaigns, results = SqlCampaigns(database), SqlResults(database)
        for one in ("c-1", "c-2"):
            await campaigns.put(replace(ROLL, campaign_id=one))
        await results.accept(a_request("c-1"), some_commands("c-1", "M1"))
        await campaigns.forget()
        await results.accept(a_request("c-2"), some_commands("c-2", "M1"))
        assert [line.campaign.campaign_id for line in await campaigns.lines(9)] == ["c-1"]

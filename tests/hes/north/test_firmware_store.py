"""The contract of the store of firmware, on each kind of store."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from stored_values import a_request, a_result, some_commands

from ami_hes.store import (
    Database,
    ImageExists,
    ImageProgress,
    SqlFirmware,
    SqlHistory,
    SqlResults,
    StoredImage,
    StoredTransfer,
    TransferStage,
    WrongPart,
)
from ami_process.store.places import Place

AT = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)
CONTENT = bytes(range(200))
IMAGE = StoredImage(
    identifier="fw-2",
    version="2.0",
    version_object="1-0:0.2.0*255",
    size=len(CONTENT),
    sha256=sha256(CONTENT).hexdigest(),
    imported_at=AT,
)
TRANSFER = StoredTransfer(
    mrid="m-1",
    request_id="c-1",
    identifier="fw-2",
    sha256=IMAGE.sha256,
    stage=TransferStage.INITIATING,
    blocks=4,
    there=0,
    changed_at=AT,
)


async def test_an_image_is_there_when_its_last_octet_came(place: Place) -> None:
    async with Database(place) as database:
        store = SqlFirmware(database)
        assert await store.declare(IMAGE) == ImageProgress(IMAGE, 0)
        assert await store.add_part("fw-2", 0, CONTENT[:150]) == ImageProgress(IMAGE, 150)
        assert await store.octets("fw-2", IMAGE.sha256) is None
        with pytest.raises(WrongPart):
            await store.add_part("fw-2", 150, CONTENT)
        with pytest.raises(LookupError):
            await store.add_part("fw-3", 0, CONTENT)
        assert await store.declare(IMAGE) == ImageProgress(IMAGE, 150)
        whole = ImageProgress(replace(IMAGE, complete=True), 200)
        assert await store.add_part("fw-2", 150, CONTENT[150:]) == whole
        with pytest.raises(ImageExists):
            await store.declare(replace(IMAGE, size=7))
    async with Database(place) as database:
        store = SqlFirmware(database)
        assert await store.images() == [whole]
        assert await store.octets("fw-2", IMAGE.sha256) == CONTENT
        assert await store.octets("fw-2", "another") is None
        assert await store.remove("fw-2") and not await store.remove("fw-2")
        assert await store.image("fw-2") is None


async def test_a_meter_has_one_image_in_its_memory(place: Place) -> None:
    async with Database(place) as database:
        store = SqlFirmware(database)
        assert await store.transfer("m-1") is None
        later = replace(TRANSFER, request_id="c-2", stage=TransferStage.SCHEDULED, there=4, stuck=1, refusals=1)
        for one in (TRANSFER, later, replace(TRANSFER, mrid="m-2")):
            await store.keep_transfer(one)
        assert await store.transfer("m-1") == later


async def test_how_far_a_campaign_is(place: Place) -> None:
    async with Database(place) as database:
        store, results = SqlFirmware(database), SqlResults(database)
        jobs = some_commands("c-1", "M1", "M2", "M3", "M4")
        await results.accept(a_request("c-1"), jobs)
        first, second, third, _ = (replace(TRANSFER, mrid=one.command.meter.mrid, there=1) for one in jobs)
        for one in (first, second, replace(third, there=2)):
            await store.keep_transfer(one)
        assert await store.under_way("c-1", 2) == [("M1", first), ("M2", second)]
        await results.save([a_result("c-1", "M1"), a_result("c-1", "M2", ok=False)])
        assert await store.under_way("c-1", 9) == [("M3", replace(third, there=2))]
        assert await store.shares("c-1") == 1.0 + 0.25 + 0.5
        assert (await store.under_way("c-2", 9), await store.shares("c-2")) == ([], 0.0)
        assert [one.meter for one in await SqlHistory(database).failures("c-1", 9)] == ["M2"]

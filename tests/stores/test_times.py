"""Times in a store of the CIS mean the same moment whatever version has written them."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ami_cis.store import Retention, Store

HERE = Path(__file__).parent
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize("version", ["0001", "0002-unversioned", "0002", "0003", "0004", "0005", "0006", "0007"])
async def test_a_moment_stays_the_same_moment_over_an_upgrade(tmp_path: Path, version: str) -> None:
    path = Path(shutil.copyfile(HERE / f"cis-{version}.sqlite", tmp_path / "cis.sqlite"))
    async with Store.opened(path, Retention(age=timedelta(days=1))) as store:
        assert (store.migrated is None) == (version == "0007")
        acknowledged = await store.find_request(["acknowledged"])
        assert acknowledged is not None and acknowledged.sent_at == NOON + timedelta(seconds=1)
        assert [reply.received_at for reply in await store.replies("answered")] == [NOON]
        assert await store.forget(NOON + timedelta(days=1)) == 0
        assert await store.forget(NOON + timedelta(days=1, seconds=2)) == 3, "two requests and the event are older"
        assert await store.find_request(["acknowledged"]) is None

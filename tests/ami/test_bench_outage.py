"""`ami bench-outage` measures real datagrams of real processes; no figure of it is judged here."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from patience import PATIENCE_S
from typer.testing import CliRunner

from ami_cli.__main__ import app
from ami_cli.bench_outage import report
from ami_cli.bench_outage.figures import Burst
from ami_cli.bench_outage.subscriber import subscriber

METERS = 5
EVENT = '<M xmlns="x"><EndDeviceEvent><mRID>{mrid}</mRID><createdDateTime>{at}</createdDateTime></EndDeviceEvent></M>'


@pytest.mark.ci
@pytest.mark.needs("proc", "loopback-block")
def test_every_gasp_of_a_small_outage_is_accounted_for(tmp_path: Path) -> None:
    page = tmp_path / "bench-outage.md"
    done = CliRunner().invoke(
        app, ["bench-outage", "--meters", str(METERS), "--over", "0.2", "--json", "--write", str(page)]
    )
    assert done.exit_code == 0, done.output
    bursts = json.loads(done.stdout)["bursts"]
    assert len(bursts) == 2 and bursts[0]["granted_octets"] >= bursts[1]["granted_octets"] > 0
    for one in bursts:
        assert one["sent"] == METERS == one["taken"] + one["lost_in_kernel"]
        assert (one["worked"], one["delivered"], one["doubled"]) == (one["taken"], one["taken"], 0)
        assert 0 < one["first_s"] <= one["median_s"] <= one["last_s"]
    assert "| as the system has it |" in page.read_text("utf-8")


async def test_an_event_that_comes_again_is_doubled_and_not_delivered_twice() -> None:
    at = datetime.now(UTC) - timedelta(seconds=10)
    async with subscriber() as arrivals, httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as client:
        for mrid in ("one", "two", "one"):
            body = EVENT.format(mrid=mrid, at=at.isoformat())
            assert (await client.post(arrivals.url, content=body)).status_code == 200
        await asyncio.to_thread(arrivals.count)
    assert (sorted(arrivals.delays_s), arrivals.doubled) == (["one", "two"], 1)
    assert min(arrivals.delays_s.values()) >= 10


def test_what_was_sent_and_did_not_come_is_lost() -> None:
    burst = Burst("small", 4096, 4, 2.0, 4, 3, 1, 3, (0.1, 0.2, 0.6), 0, 2.5, 0.008)
    assert (burst.delivered, burst.lost, burst.first_s, burst.median_s, burst.last_s) == (3, 1, 0.1, 0.2, 0.6)
    page = report.markdown([burst], "a machine")
    row = "| small | 4,096 | 4 | 2 s | 4 | 3 | 1 | 3 | 0 | 0.10 s | 0.20 s | 0.60 s | 2.50 s | 2.00 ms |"
    assert row in page
    assert "delays_s" not in report.document([burst], "a machine")["bursts"][0]

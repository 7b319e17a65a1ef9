"""One clock for CIS, HES and meters: a day passes over three processes without a sleep, and all of them have lived it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import secured
from free_ports import free_port
from harness import System
from patience import PATIENCE_S

START = datetime(2026, 1, 15, tzinfo=UTC)
STEP = timedelta(minutes=15)
PERIOD_S, CONNECT_AFTER_S = 6 * 3600.0, 3600.0


class Hand:
    """Moves the clock of one process."""

    def __init__(self, url: str, tokens: Path) -> None:
        self._client = httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_S)
        self._client.headers["Authorization"] = f"Bearer {tokens.read_text().strip()}"

    def move_to(self, moment: datetime) -> None:
        answer = self._client.post("/api/v1/clock", json={"to": moment.isoformat()})
        assert answer.status_code == 200 and datetime.fromisoformat(answer.json()["now"]) == moment

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def stepped(ami: System) -> System:
    config = ami.config
    config["clock"] = {"mode": "stepped", "start_at": START}
    config["demo"] |= {"period_s": PERIOD_S, "connect_after_s": CONNECT_AFTER_S}
    config["meter_sim"]["port"] = free_port()
    for section in ("cis", "hes", "meter_sim"):
        config[section]["token_file"] = str(ami.directory / f"{section}.tokens")
    return ami


def load_profile(system: System, name: str) -> list[datetime]:
    """The times of the rows of the day, as the meter shows them."""
    span = ("--from", (START + timedelta(seconds=1)).isoformat(), "--to", (START + timedelta(days=1)).isoformat())
    command = (
        "ami_cli",
        "meter",
        "profile",
        "1-0:99.1.0",
        *span,
        "--json",
        "--registry",
        str(system.directory / "meters.toml"),
        "--meter",
        name,
    )
    done = subprocess.run(
        [sys.executable, "-m", *command],
        env=os.environ | {"AMI_METER_COUNTERS": str(system.directory / "counters.json")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [datetime.fromisoformat(row[0]) for row in json.loads(done.stdout)["rows"]]


def test_a_day_passes_over_three_processes(stepped: System) -> None:
    stepped.start_together()
    cis = stepped.start_cis()
    cis.wait_for("ready")
    hands = [  # the meters first, so that nobody is asked for what is not there yet
        Hand(f"http://127.0.0.1:{stepped.config[section]['port']}", stepped.directory / f"{section}.tokens")
        for section in ("meter_sim", "hes", "cis")
    ]
    try:
        ordered = 1
        assert len(cis.wait_for_some("reply_received", ordered)) == ordered, "the first order is sent at the start"
        for number in range(1, 97):
            moment = START + number * STEP
            for hand in hands:
                hand.move_to(moment)
            if (number * STEP.total_seconds()) % PERIOD_S in (0.0, CONNECT_AFTER_S):
                ordered += 1
                assert len(cis.wait_for_some("reply_received", ordered)) == ordered
    finally:
        for hand in hands:
            hand.close()

    assert ordered == 9, "four periods, with a disconnect and a connect each, and the disconnect of the next day"
    replies = cis.seen("reply_received")
    assert {reply["result"] for reply in replies} == {"OK"}
    sent = [datetime.fromisoformat(event["at"]) - START for event in cis.seen("request_sent")]
    expected = [timedelta(hours=6 * period + after) for period in range(4) for after in (0, 1)] + [timedelta(days=1)]
    assert sent == expected, "each order left when its time had come, by the clock that was stepped"
    assert stepped.hes is not None
    done = [datetime.fromisoformat(event["at"]) - START for event in stepped.hes.wait_for_some("meter_done", 18)]
    assert done == [moment for moment in expected for _ in stepped.config["meters"]]

    for name in ("M1001", "M1002"):
        assert load_profile(stepped, name) == [START + number * STEP for number in range(1, 97)]
    for process in stepped.processes:
        assert process.stop() == 0


def test_nobody_moves_a_clock_without_its_token(stepped: System) -> None:
    stepped.start_together()
    tokens = {
        section: (stepped.directory / f"{section}.tokens").read_text().strip() for section in ("hes", "meter_sim")
    }
    assert len(set(tokens.values())) == 2
    for section, other in (("hes", "meter_sim"), ("meter_sim", "hes")):
        url = f"http://127.0.0.1:{stepped.config[section]['port']}/api/v1/clock"
        for headers in ({}, {"Authorization": f"Bearer {tokens[other]}"}):
            assert (
                httpx.post(url, json={"advance_s": 1}, headers=headers, trust_env=False, timeout=PATIENCE_S).status_code
                == (200 if secured.chosen else 401)  # over TLS the certificate of the tests proves an admin
            )
    printed = " ".join(str(process.events) for process in stepped.processes)
    assert not any(token in printed for token in tokens.values())

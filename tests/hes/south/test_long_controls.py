"""Controls that campaigns do as well: a key changed and an image activated, as EndDeviceControls (M-166)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from firmware_meter import BLOCKS, VERSION, FirmwareLife, FirmwareMeter
from keyed_meter import KeyedMeter, Life, job

from ami_cim.control_parameters import FirmwareImage, KeyChange
from ami_dlms import data
from ami_hes.commands import Outcome
from ami_hes.operations import long_controls
from ami_hes.operations.control import format_body
from ami_mapping.controls import CODES, control_for
from ami_mapping.recipes import Taken


@asynccontextmanager
async def listening(meter: Any) -> AsyncIterator[Any]:
    await meter.listen()
    try:
        yield meter
    finally:
        await meter.close()


async def controlled(life: Life, name: str, taken: Taken, request_id: str = "control") -> Outcome:
    body = format_body(control_for(CODES[name]), taken)
    outcome = await life.work(job(request_id, life.meter, long_controls.NAME, body))
    assert outcome is not None
    return outcome


@pytest.mark.parametrize(("key", "field"), [("encryption", "encryption_key"), ("authentication", "authentication_key")])
async def test_a_key_is_changed_by_a_control_and_seen_in_force(tmp_path: Path, key: Any, field: str) -> None:
    async with listening(KeyedMeter()) as meter:
        entry, former = meter.entry(), getattr(meter, field)
        life = Life(tmp_path / "hes.sqlite", meter, [], entry=entry)
        outcome = await controlled(life, "key-change", KeyChange(key=key))
        assert (outcome.ok, outcome.attempted, getattr(meter, field) != former) == (True, True, True), outcome
        again = await controlled(Life(life.path, meter, [], entry=entry), "key-change", KeyChange(key=key))
        assert again.ok and meter.transfers == 1, "the same request again changes nothing"


async def test_what_the_meter_has_verified_is_activated_by_a_control(tmp_path: Path) -> None:
    """A campaign has transferred the image, and its time was past by then."""
    async with listening(FirmwareMeter()) as meter:
        campaign = FirmwareLife(tmp_path / "hes.sqlite", meter, [])
        too_late = await campaign.start(activate_at=datetime(2001, 1, 1, tzinfo=UTC))
        assert too_late is not None and (too_late.code, meter.status, meter.activations) == ("5.2", 3, 0)
        life = FirmwareLife(campaign.path, meter, [])
        outcome = await controlled(life, "firmware-activate", FirmwareImage(identifier="fw-2"))
        assert outcome.ok and outcome.reason == "M1001: version 2.0 was read back", outcome
        assert (meter.came, meter.activations, meter.version) == (len(BLOCKS), 1, b"2.0")


async def test_what_is_not_there_is_not_activated_and_nothing_is_sent(tmp_path: Path) -> None:
    async with listening(FirmwareMeter()) as meter:
        life = FirmwareLife(tmp_path / "hes.sqlite", meter, [])
        outcome = await controlled(life, "firmware-activate", FirmwareImage(identifier="fw-2"))
        assert (outcome.ok, outcome.code, outcome.attempted) == (False, "5.2", False)
        assert "no such image any more" in outcome.reason
        started = await FirmwareLife(life.path, meter, [], request_id="imports").start()
        assert started is not None and started.ok
        meter.values[VERSION] = data.octet_string(b"1.0")
        sent = [one for one in meter.asked if one in ("ACTION", "SET")]
        refused = await controlled(
            FirmwareLife(life.path, meter, []), "firmware-activate", FirmwareImage(identifier="fw-2")
        )
        assert (refused.ok, refused.code) == (False, "5.2") and "nothing to activate" in refused.reason, refused
        assert [one for one in meter.asked if one in ("ACTION", "SET")] == sent

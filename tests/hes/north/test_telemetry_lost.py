"""Spans that no collector has are told, with why; and what leaves of a refused request."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime

import pytest

from ami_hes import events
from ami_hes.traces import telemetry
from ami_hes.traces.arrivals import Arrival
from ami_hes.traces.exported import refused
from ami_hes.traces.refusals import Refusal
from ami_process.events import Event

AT = datetime(2026, 12, 1, tzinfo=UTC)


def a_refusal(*reasons: str) -> Refusal:
    return Refusal("m1", "create", "EndDeviceControls", "CIS", reasons, Arrival(b"", 0.0))


def test_what_a_message_said_does_not_leave_with_why_it_was_refused() -> None:
    (span,) = refused(a_refusal("1.8 'a secret' is no xs:dateTime", "2.4 no meter 9.9", "1.8 again"), "m1", AT)
    assert span.fault == "refused: 1.8 2.4"
    (span,) = refused(a_refusal("a reason without a code, of 'a secret'"), "m1", AT)
    assert span.fault == "refused"


@pytest.mark.needs("opentelemetry")
async def test_what_a_stop_leaves_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "STOP_S", 0.01)
    monkeypatch.setattr(telemetry, "PATIENCE_S", 0.2)
    monkeypatch.setattr(telemetry, "MOST_WAITING", 600)
    told: list[Event] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"http://127.0.0.1:{silent.getsockname()[1]}/v1/traces"
        names = {"service": "s", "version": "1", "instance": "i", "role": "hes"}
        one = telemetry.Telemetry(
            telemetry.Collector(endpoint=where, headers={}, authorities=None, **names), told.append
        )
        work = asyncio.create_task(one.work())
        await asyncio.sleep(0)
        one.tell(list(refused(a_refusal("1.8"), "m1", AT)) * 601)
        work.cancel()
        await asyncio.wait([work])
    assert told == [
        events.TelemetryLost(spans=1, reason=telemetry.TOO_MANY),
        events.TelemetryLost(spans=600, reason=telemetry.STOPPED),
    ]

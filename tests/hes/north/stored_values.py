"""Requests, commands and results as the store keeps them, for the tests of the store, the engine and the worker."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ami_hes.commands import Command, CommandJob, Lane, MeterId, Outcome
from ami_hes.store import StoredAnswer, StoredRequest, StoredResult

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def a_request(request_id: str = "r1", **changes: object) -> StoredRequest:
    request = StoredRequest(
        request_id=request_id,
        digest="d",
        verb="create",
        noun="EndDeviceControls",
        correlation_id="c",
        reply_address=None,
        accepted_at=NOW,
        deadline_at=NOW + timedelta(seconds=30),
        errors="[]",
    )
    return replace(request, **changes)  # type: ignore[arg-type]


def some_commands(request_id: str, *meters: str) -> list[CommandJob]:
    """Each a control that has to end within half a minute."""
    commands = [Command(request_id, MeterId(m, m.lower()), "disconnect_control", "3.31.0.23") for m in meters]
    return [CommandJob(one, Lane.CONTROL, NOW + timedelta(seconds=30)) for one in commands]


def an_answer(octets: bytes, result: str = "OK") -> StoredAnswer:
    return StoredAnswer(result, octets)


def a_result(request_id: str, meter: str, **changes: object) -> StoredResult:
    outcome = Outcome(ok=True, reason="disconnected", payload='{"before": null}', attempted=True)
    changed = replace(outcome, **changes)  # type: ignore[arg-type]
    return StoredResult(request_id=request_id, meter_name=meter, outcome=changed, took_ms=12.5, finished_at=NOW)

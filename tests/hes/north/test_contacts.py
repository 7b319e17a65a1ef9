"""How meters answered, and the stream of changes, by the API of a HES."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

from north_bench import DISCONNECT, control, north, request
from patience import PATIENCE_S

from ami_hes import events
from ami_hes.api.contacts import Contacts
from ami_hes.api.live import MOST_NOTED, Touched
from ami_process.events import utc_now


def done(meter: str, *, ok: bool, state: int | None = None) -> events.MeterDone:
    after = None if state is None else {"output_state": state == 1, "control_state": state, "control_mode": 4}
    reason = "" if ok else "no answer"
    return events.MeterDone(
        message_id="m",
        meter=meter,
        operation="o",
        details={"after": after},
        ok=ok,
        reply_code=None,
        reason=reason,
        ms=5.0,
    )


def test_what_was_seen_of_a_meter_stays_until_something_else_is_seen() -> None:
    contacts = Contacts(utc_now)
    passed: list[object] = []
    note = contacts.noting(passed.append)
    for event in (done("M1", ok=True, state=0), done("M1", ok=False), done("M2", ok=True)):
        note(event)
    first, second = contacts.after("", 10)
    assert (first.meter, first.commands, first.failures, first.ok, first.reason) == ("M1", 2, 1, False, "no answer")
    assert first.switch == "disconnected" and first.heard_at is not None and first.asked_at is not None
    assert (second.switch, second.ok) == (None, True)
    note(done("M1", ok=True, state=2))
    assert contacts.of(["M1", "M9"])[0].switch == "ready"
    assert len(passed) == 4, "events go on to where they are reported"
    assert contacts.changed == {"M1", "M2"}


def test_contacts_come_part_by_part_by_name_also_those_that_are_new() -> None:
    contacts = Contacts(utc_now)
    note = contacts.noting(lambda event: None)
    for name in ("M3", "M1"):
        note(done(name, ok=True))
    assert [one.meter for one in contacts.after("", 10)] == ["M1", "M3"]
    note(done("M2", ok=True))
    assert [one.meter for one in contacts.after("M1", 1)] == ["M2"]
    assert [one.meter for one in contacts.after("M2", 10)] == ["M3"]
    assert contacts.after("M3", 10) == []


def test_a_request_that_has_changed_often_is_looked_at_once() -> None:
    touched = Touched()
    note = touched.noting(lambda event: None)
    for _ in range(3):
        note(done("M1", ok=True))
    assert touched.take(10) == ["m"] and touched.take(10) == []


def test_what_nobody_looks_at_is_bounded() -> None:
    touched = Touched()
    note = touched.noting(lambda event: None)
    for number in range(MOST_NOTED + 5):
        note(replace(done("M1", ok=True), message_id=str(number)))
    taken = touched.take(2 * MOST_NOTED)
    assert (len(taken), taken[0]) == (MOST_NOTED, "5")
    note(done("M1", ok=True))
    touched.forget()
    assert touched.take(1) == []


async def test_contacts_are_listed_part_by_part_and_changes_come_as_they_are(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        assert (await hes.client.get(f"{hes.url}/api/v1/contacts")).json()["contacts"] == []
        async with hes.client.stream("GET", f"{hes.url}/api/v1/live") as stream:
            lines = stream.aiter_lines()
            await _until(lines, "event: resync")
            await hes.ask(request(control(DISCONNECT, "M1", "M2")))
            requests: dict[str, dict[str, object]] = {}
            contacts: set[str] = set()
            while not requests or any(one["result"] is None for one in requests.values()) or len(contacts) < 2:
                await _until(lines, "event: frame")
                frame = json.loads((await anext(lines)).removeprefix("data: "))
                requests |= {one["message_id"]: one for one in frame["requests"]}
                contacts |= {one["meter"] for one in frame["contacts"]}
        (kept,) = requests.values()
        assert (kept["result"], kept["meters"], kept["done"]) == ("OK", 2, 2)
        first = (await hes.client.get(f"{hes.url}/api/v1/contacts", params={"limit": 1})).json()
        assert ([one["meter"] for one in first["contacts"]], first["next"]) == (["M1"], "M1")
        second = (await hes.client.get(f"{hes.url}/api/v1/contacts", params={"after": "M1"})).json()
        assert ([one["meter"] for one in second["contacts"]], second["next"]) == (["M2"], None)
        refused = await hes.client.get(f"{hes.url}/api/v1/live", params={"x": 1})
        assert refused.status_code == 422


async def _until(lines: object, wanted: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        async for line in lines:  # type: ignore[attr-defined]
            if line == wanted:
                return
    raise AssertionError(f"the stream has ended without {wanted}")


async def test_the_console_is_at_the_root_beside_messages_and_health(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        root = await hes.client.get(hes.url, follow_redirects=False)
        assert (root.status_code, root.headers["location"]) == (303, "/requests")
        assert (await hes.client.get(f"{hes.url}/requests")).status_code == 200
        assert (await hes.client.get(f"{hes.url}/healthz")).status_code == 200

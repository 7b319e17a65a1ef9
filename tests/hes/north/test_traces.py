"""Traces over REST: put together of what a request has left behind; what is kept is sampled, bounded, and behind the work."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from north_bench import DISCONNECT, Cis, North, StandIn, control, north, octets, request
from patience import PATIENCE_S

from ami_dlms.framing.framing import WrapperPdu
from ami_hes.commands import Command, MeterId, Outcome
from ami_hes.meters.trace import recording, step
from ami_hes.operations import Assignment
from ami_hes.store import Database, KeptAttempt, SqlTraces, StoreUnavailable
from ami_hes.traces import TraceKeeper, TraceLimits, TracesBusy, TracesKept, Turns, assembling
from ami_process.environment import Environment
from ami_process.events import Event
from ami_trace.form import Kind, Trace
from ami_trace.form import Outcome as Ended

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
AARQ = bytes.fromhex("601da109060760857405080101be10040e01000000065f1f040040529dffff")
REFUSED = Outcome(False, "5.2", "FATAL", "M2: it can't be reached")


class Noting(StandIn):
    """Does what a recipe does for a trace."""

    async def __call__(self, assignment: Assignment) -> Outcome:
        noted = recording()
        if noted is not None:
            with step("opening the association", Kind.ASSOCIATION):
                noted.passed(WrapperPdu(16, 1, AARQ), sent=True)
        return await super().__call__(assignment)


async def trace_of(hes: North, message_id: str, **query: str) -> Trace:
    answer = await hes.client.get(f"{hes.url}/api/v1/traces/{quote(message_id, safe='')}", params=query)
    assert answer.status_code == 200, answer.text
    return Trace.model_validate_json(answer.content)


async def listed(hes: North, **query: Any) -> list[str]:
    answer = await hes.client.get(f"{hes.url}/api/v1/traces", params=query)
    assert answer.status_code == 200, answer.text
    return [one["message_id"] for one in answer.json()["traces"]]


def kinds(trace: Trace, meter: str | None = None) -> list[Kind]:
    return [span.kind for span in trace.spans if meter is None or span.meter == meter]


async def test_a_trace_goes_from_the_message_to_the_reply(tmp_path: Path) -> None:
    async with north(tmp_path, Noting({"M2": REFUSED})) as hes:
        asked = request(control(DISCONNECT, "M1", "M2"), message_id="m/1")
        assert (await hes.ask(asked)).reply.result == "PARTIAL"
        trace = await trace_of(hes, "m/1")
    assert (trace.verb, trace.noun, trace.outcome) == ("create", "EndDeviceControls", Ended.PARTIAL)
    assert (trace.meters.asked, trace.meters.done, trace.meters.ok, trace.meters.recorded) == (2, 2, 1, 2)
    by_meter = [Kind.COMMAND, Kind.ATTEMPT, Kind.ASSOCIATION, Kind.APDU, Kind.VERDICT]
    assert kinds(trace, "M1") == kinds(trace, "M2") == by_meter
    rest = [Kind.REQUEST, Kind.MESSAGE, Kind.VALIDATION, Kind.PLAN, Kind.STEP, Kind.REPLY]
    assert [span.kind for span in trace.spans if span.meter is None] == rest
    [message] = [span for span in trace.spans if span.kind is Kind.MESSAGE]
    assert message.xml is not None and "m/1" in message.xml and DISCONNECT in message.xml
    [reply] = [span for span in trace.spans if span.kind is Kind.REPLY]
    assert reply.xml is not None and "PARTIAL" in reply.xml and reply.text == "in the HTTP response"
    verdicts = {span.meter: (span.outcome, span.text) for span in trace.spans if span.kind is Kind.VERDICT}
    assert verdicts["M1"][0] is Ended.OK and verdicts["M2"] == (Ended.FAILED, f"5.2 {REFUSED.reason}")
    assert {record.octets for _, record in trace.apdus()} == {AARQ.hex()}
    for span in trace.spans[1:]:
        assert span.began_at >= trace.began_at and span.ended_at is not None and span.ended_at >= span.began_at
    assert trace.notes == ()


async def test_the_header_of_soap_is_not_kept(tmp_path: Path) -> None:
    security = b'<w:Security xmlns:w="urn:wsse"><w:Password>swordfish</w:Password></w:Security>'
    async with north(tmp_path, Noting()) as hes:
        sent = octets(request(control(DISCONNECT, "M1"), message_id="m-1"))
        head, separator, tail = sent.partition(b"Body>")
        at = head.rindex(b"<")
        prefix = head[at + 1 :]
        header = b"<" + prefix + b"Header>" + security + b"</" + prefix + b"Header>"
        answer = await hes.post(head[:at] + header + head[at:] + separator + tail)
        assert answer.status_code == 200, answer.text
        trace = await trace_of(hes, "m-1")
    assert "swordfish" not in trace.model_dump_json()
    [message] = [span for span in trace.spans if span.kind is Kind.MESSAGE]
    assert message.xml is not None and "Header" in message.xml
    assert b"swordfish" not in b"".join(one.read_bytes() for one in tmp_path.iterdir())


async def test_traces_are_listed_by_what_is_looked_for(tmp_path: Path) -> None:
    async with north(tmp_path, Noting({"M2": REFUSED})) as hes:
        for number, meters in enumerate((("M1",), ("M1", "M2"), ("M3",))):
            await hes.ask(request(control(DISCONNECT, *meters), message_id=f"m-{number}"))
        assert await listed(hes) == ["m-2", "m-1", "m-0"]
        assert await listed(hes, failed="true") == ["m-1"]
        assert await listed(hes, meter="M1") == ["m-1", "m-0"]
        assert await listed(hes, noun="MeterReadings") == []
        assert await listed(hes, limit=1) == ["m-2"] and await listed(hes, limit=1, before="m-2") == ["m-1"]
        for wrong in ({"failed": "maybe"}, {"limit": "0"}, {"noun": ""}, {"octets": "1"}):
            answer = await hes.client.get(f"{hes.url}/api/v1/traces", params=wrong)
            assert answer.status_code == 422 and next(iter(wrong)) in answer.json()["error"]
        unknown = await hes.client.get(f"{hes.url}/api/v1/traces/nobody")
        assert unknown.status_code == 404 and "nobody" in unknown.json()["error"]
        assert (await trace_of(hes, "m-1", redacted="true")).redacted


async def test_a_trace_is_given_as_what_the_console_draws_and_as_files(tmp_path: Path) -> None:
    async with north(tmp_path, Noting()) as hes:
        await hes.ask(request(control(DISCONNECT, "M1"), message_id="m-1"))
        given = {
            form: await hes.client.get(f"{hes.url}/api/v1/traces/m-1", params={"as": form})
            for form in ("view", "html", "pcapng", "zip")
        }
        for_plugin = {"as": "pcapng", "companion": "plugin"}
        plugin = await hes.client.get(f"{hes.url}/api/v1/traces/m-1", params=for_plugin)
        nobody = await hes.client.get(f"{hes.url}/api/v1/traces/m-1", params={"companion": "both"})
    assert given["view"].json()["format"] == "ami-trace-view/1"
    assert given["html"].headers["Content-Disposition"] == 'attachment; filename="trace.html"'
    assert given["html"].text.startswith("<!doctype html>") and "m-1" in given["html"].text
    assert given["pcapng"].content.startswith(b"\x0a\x0d\x0d\x0a") and AARQ in given["pcapng"].content
    assert given["zip"].status_code == 422 and "view" in given["zip"].json()["error"]
    assert plugin.content.startswith(b"\x0a\x0d\x0d\x0a") and AARQ in plugin.content
    assert nobody.status_code == 422 and "stock, plugin" in nobody.json()["error"]


async def test_few_put_traces_together_at_once_and_others_are_told_to_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = Turns(at_once=1, most_waiting=1, patience_s=PATIENCE_S)
    async with turns.turn():
        waiting = asyncio.create_task(turns.turn().__aenter__())
        await asyncio.sleep(0)
        with pytest.raises(TracesBusy, match="1 wait for traces already"):
            async with turns.turn():
                pass
    await waiting
    with pytest.raises(TracesBusy, match="too long"):
        async with Turns(at_once=0, patience_s=0.001).turn():
            pass
    monkeypatch.setattr(assembling, "Turns", lambda: Turns(at_once=0, most_waiting=0))
    async with north(tmp_path, Noting()) as hes:
        answer = await hes.client.get(f"{hes.url}/api/v1/traces/m-1")
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "5" and "ask again" in answer.json()["error"]


async def test_a_late_reply_is_seen_on_its_way_and_when_it_is_taken(tmp_path: Path) -> None:
    cis = Cis((500, b"not now"), (200, b""))
    async with cis.serving(), north(tmp_path, Noting()) as hes:
        late = {"async_reply_flag": True, "reply_address": cis.url}
        asked = request(control(DISCONNECT, "M1"), message_id="m-1", **late)
        assert (await hes.ask(asked)).reply.errors[0].code == "0.3"
        await cis.taken.get()
        async with asyncio.timeout(PATIENCE_S):
            while (trace := await trace_of(hes, "m-1")).ended_at is None:
                await asyncio.sleep(0)
    [delivery] = [span for span in trace.spans if span.kind is Kind.DELIVERY]
    [reply] = [span for span in trace.spans if span.kind is Kind.REPLY]
    assert delivery.parent == reply.id and cis.url in delivery.name and delivery.outcome is Ended.OK
    assert delivery.ended_at == trace.ended_at and reply.text == f"to {cis.url}"


async def test_nothing_is_noted_where_traces_are_off(tmp_path: Path) -> None:
    async with north(tmp_path, Noting({"M2": REFUSED}), traces={"keep": "off"}) as hes:
        await hes.ask(request(control(DISCONNECT, "M1", "M2"), message_id="m-1"))
        trace = await trace_of(hes, "m-1")
    assert trace.meters.recorded == 0 and not list(trace.apdus()) and len(trace.notes) == 2
    assert kinds(trace, "M2") == [Kind.COMMAND, Kind.VERDICT], "the verdict is of the commands"


async def test_a_token_guards_traces_as_everything_else(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    async with north(tmp_path, token_file=tokens) as hes:
        answer = await hes.client.get(f"{hes.url}/api/v1/traces")
        assert answer.status_code == 401
        token = {"Authorization": f"Bearer {tokens.read_text().split()[0]}"}
        assert (await hes.client.get(f"{hes.url}/api/v1/traces", headers=token)).status_code == 200


# --- what is kept


class Kept:
    """A store of traces that keeps how many came, and is away where a test wants it."""

    def __init__(self) -> None:
        self.attempts: list[KeptAttempt] = []
        self.away = False

    async def keep(self, attempts: Any, arrivals: Any, refusals: Any = ()) -> None:
        if self.away:
            raise StoreUnavailable("it is away")
        self.attempts += attempts


def ended(keeper: TraceKeeper, request_id: str, number: int, *, ok: bool) -> None:
    keeper.ended(keeper.recording(), Command(request_id, MeterId(f"M{number}", "x"), "disconnect_control", ""), ok=ok)


def a_keeper(store: Any, told: list[Event] | None = None, **limits: Any) -> TraceKeeper:
    return TraceKeeper(store, Environment(emit=(told or []).append, now=lambda: NOW), TraceLimits(**limits))


async def commit(keeper: TraceKeeper) -> None:
    task = asyncio.create_task(keeper.work())
    await keeper.written()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_of_a_large_request_the_first_the_failed_and_a_sample_are_kept() -> None:
    store = Kept()
    keeper = a_keeper(store, meters_per_request=5, failures_per_request=3, one_of=10, per_second=1000.0)
    for number in range(100):
        ended(keeper, "large", number, ok=number % 20 != 0)
    ended(keeper, "another", 1, ok=True)
    await commit(keeper)
    large = [one for one in store.attempts if one.request_id == "large"]
    assert sum(not one.ok for one in large) == 3, "of 5 that failed"
    assert sum(one.ok for one in large) == 5 + 9, "the first, and one of ten of 95"
    assert len(store.attempts) == len(large) + 1


async def test_however_many_requests_only_so_many_in_a_second_are_kept_and_failures_are_not_counted() -> None:
    store = Kept()
    keeper = a_keeper(store, per_second=10.0)
    for number in range(200):
        ended(keeper, f"m-{number}", 1, ok=True)
        ended(keeper, f"m-{number}", 2, ok=False)
    await commit(keeper)
    assert 10 <= sum(one.ok for one in store.attempts) < 100
    assert sum(not one.ok for one in store.attempts) == 200


async def test_everything_is_everything_and_off_is_nothing() -> None:
    store = Kept()
    keeper = a_keeper(store, keep=TracesKept.EVERYTHING, meters_per_request=0, per_second=0.1, one_of=1000)
    for number in range(50):
        ended(keeper, "m-1", number, ok=True)
    await commit(keeper)
    assert len(store.attempts) == 50
    assert a_keeper(store, keep=TracesKept.OFF).recording() is None


async def test_what_the_store_does_not_take_is_lost_and_said() -> None:
    store, told = Kept(), [Event()]
    keeper = a_keeper(store, told)
    store.away = True
    ended(keeper, "m-1", 1, ok=True)
    await commit(keeper)
    assert keeper.lost == 1 and [type(one).__name__ for one in told[1:]] == ["TracesLost"]


async def test_a_session_that_cannot_be_packed_is_lost_alone_and_nothing_of_it_is_said() -> None:
    store, told = Kept(), [Event()]
    keeper = a_keeper(store, told, keep=TracesKept.EVERYTHING)
    broken = keeper.recording()
    assert broken is not None
    broken.carries = True
    broken.passed(WrapperPdu(-1, 1, bytes.fromhex("c001c1")), True)
    ended(keeper, "m-1", 1, ok=True)
    keeper.ended(broken, Command("m-2", MeterId("M2", "x"), "disconnect_control", ""), ok=True)
    ended(keeper, "m-3", 3, ok=True)
    await commit(keeper)
    assert [one.request_id for one in store.attempts] == ["m-1", "m-3"]
    assert keeper.lost == 1 and [type(one).__name__ for one in told[1:]] == ["TracesLost"]
    assert "it can't be packed: ValidationError" in repr(told[1]) and "c001c1" not in repr(told[1])


async def test_the_oldest_go_when_they_are_too_old_or_too_much(tmp_path: Path) -> None:
    async with Database(tmp_path / "hes.sqlite") as database:
        store = SqlTraces(database)
        rows = [KeptAttempt(f"m-{day}", "M1", NOW - timedelta(days=day), True, b"x" * 100) for day in (9, 8, 3, 2, 1)]
        await store.keep(rows, [])
        assert await store.forget(NOW - timedelta(days=7), 1000) == 2
        left = [day for day in (9, 8, 3, 2, 1) if await store.attempts(f"m-{day}", 9)]
        assert left == [3, 2, 1]
        assert await store.forget(NOW - timedelta(days=7), 250) == 1
        assert [day for day in left if await store.attempts(f"m-{day}", 9)] == [2, 1]


def test_a_recording_costs_nothing_that_nobody_asked_for() -> None:
    assert recording() is None
    with step("outside of any"):
        assert recording() is None

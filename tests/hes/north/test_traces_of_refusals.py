"""Requests of which nothing was kept have a trace all the same: what was asked, how far it came, and why it came no further."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from north_bench import DISCONNECT, control, north, octets, request
from sqlalchemy import Connection, event
from test_traces import Noting, listed, trace_of

from ami_hes.store import (
    MOST_REFUSALS,
    PUSH,
    REFUSAL,
    Database,
    KeptArrival,
    KeptAttempt,
    RequestFilter,
    SqlTraces,
)
from ami_hes.traces.refusals import MOST_XML, message_id_in
from ami_process.store.places import Place
from ami_trace.form import Kind, Outcome, Trace

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def verdict(trace: Trace) -> str:
    [found] = [span for span in trace.spans if span.kind is Kind.VERDICT]
    assert found.outcome is Outcome.FAILED
    return found.text


async def test_what_was_refused_is_found_by_its_message_id_and_among_the_failed(tmp_path: Path) -> None:
    async with north(tmp_path, Noting()) as hes:
        late = {"async_reply_flag": True, "reply_address": "ftp://nobody"}
        await hes.ask(request(control(DISCONNECT, "M1", "nobody"), message_id="no-address", **late))
        await hes.ask(request(control("9.9.9.9", "M1"), message_id="no-control"))
        await hes.ask(request(control(DISCONNECT, "M1"), message_id="done"))
        trace = await trace_of(hes, "no-address")
        assert await listed(hes, failed="true") == ["no-control", "no-address"]
        assert await listed(hes) == ["done", "no-control", "no-address"]
        assert await listed(hes, limit=1, before="done") == ["no-control"]
        assert await listed(hes, limit=2, before="no-control") == ["no-address"]
        assert await listed(hes, noun="EndDeviceControls", failed="true") == ["no-control", "no-address"]
        assert await listed(hes, noun="MeterReadings") == [] == await listed(hes, meter="M1", failed="true")
        struck = await trace_of(hes, "no-address", redacted="true")
    assert (trace.verb, trace.noun, trace.outcome, trace.meters.asked) == ("create", "EndDeviceControls", "failed", 0)
    assert verdict(trace).startswith("1.5 Header.ReplyAddress") and verdict(struck) == "1.5"
    [message] = [span for span in trace.spans if span.kind is Kind.MESSAGE]
    assert message.xml is not None and "nobody" in message.xml
    assert Kind.VALIDATION in {span.kind for span in trace.spans}


async def test_what_could_not_be_read_has_its_reason_and_no_more_octets_than_are_kept(tmp_path: Path) -> None:
    sent = octets(request(control(DISCONNECT, "M1"), message_id="m-1"))
    wrong = sent.replace(b"EndDeviceControlType", b"NoSuchElement")
    head, end, tail = wrong.replace(b"m-1", b"m-2").rpartition(b"</")
    long = head + b" " * 60_000 + end + tail
    async with north(tmp_path, Noting()) as hes:
        for one in (wrong, long, b"<Envelope"):
            assert (await hes.post(one)).status_code >= 400
        short, large = await trace_of(hes, "m-1"), await trace_of(hes, "m-2")
        nameless = [one for one in await listed(hes, failed="true") if one.startswith("refused-")]
        unread = await trace_of(hes, nameless[0])
        unknown = await hes.client.get(f"{hes.url}/api/v1/traces/{quote(REFUSAL)}m-1")
    messages = [next(one for one in trace.spans if one.kind is Kind.MESSAGE) for trace in (short, large, unread)]
    assert messages[0].xml is not None and "NoSuchElement" in messages[0].xml
    assert messages[1].xml is None and len(long) > MOST_XML and f"{len(long):,}" in messages[1].text
    assert messages[2].xml is None, "in what is no document a header can't be taken out"
    assert len(nameless) == 1 and all(map(verdict, (short, large, unread)))
    assert unknown.status_code == 404


async def test_a_request_says_that_its_message_id_was_refused_before(tmp_path: Path) -> None:
    async with north(tmp_path, Noting()) as hes:
        await hes.ask(request(control("9.9.9.9", "M1"), message_id="m-1"))
        await hes.ask(request(control(DISCONNECT, "M1"), message_id="m-1"))
        trace = await trace_of(hes, "m-1")
        assert await listed(hes) == ["m-1"], "the id leads to the request, which is listed"
    assert trace.outcome is Outcome.OK and any("was refused at" in note for note in trace.notes)


async def test_a_list_goes_on_behind_an_id_that_was_used_again(tmp_path: Path) -> None:
    async with north(tmp_path, Noting()) as hes:
        for message_id in ("m-1", "m-2", "m-3"):
            await hes.ask(request(control(DISCONNECT, "M1"), message_id=message_id))
        refused = await hes.ask(request(control(DISCONNECT, "M2"), message_id="m-1"))
        assert refused.reply.result == "FAILED", "it is another request"
        await hes.ask(request(control("9.9.9.9", "M1"), message_id="m-4"))
        await trace_of(hes, "m-4")  # which waits until all of them are kept
        pages, before = list[str](), dict[str, str]()
        for _ in range(9):
            if not (found := await listed(hes, limit=1, **before)):
                break
            pages += found
            before = {"before": found[-1]}
    assert pages == ["m-4", "m-3", "m-2", "m-1"]


async def test_the_latest_refusals_are_kept_and_no_more(place: Place) -> None:
    async with Database(place) as database:
        store = SqlTraces(database)
        rows = [
            KeptArrival(f"{REFUSAL}m-{number}", NOW + timedelta(seconds=number), b"x")
            for number in range(MOST_REFUSALS + 5)
        ]
        await store.keep([], [KeptArrival("m-0", NOW, b"of a request")], rows[:-1])
        await store.keep([], [], [rows[-1], rows[-1]])
        kept = await store.refusals(MOST_REFUSALS + 10, None)
        assert [one.request_id for one in kept[:2]] == [rows[-1].request_id, rows[-2].request_id]
        assert len(kept) <= MOST_REFUSALS + 5 and await store.arrival("m-0") is not None
        await store.keep([], [], rows[5:6])
        assert len(await store.refusals(MOST_REFUSALS + 10, None)) == MOST_REFUSALS


def test_the_message_id_of_what_could_not_be_read_is_looked_for_where_it_can_be() -> None:
    assert message_id_in(b"<m:Header><m:MessageID> m-1 </m:MessageID>") == "m-1"
    assert message_id_in(b"<MessageID>" + b"x" * 201 + b"</MessageID>") is None
    assert message_id_in(b" " * 30_000 + b"<MessageID>m-1</MessageID>") is None


async def test_refusals_and_pushes_are_listed_from_one_on(place: Place) -> None:
    async with Database(place) as database:
        store = SqlTraces(database)
        refused = [KeptArrival(f"{REFUSAL}m-{number}", NOW + timedelta(seconds=number), b"x") for number in range(5)]
        pushed = [KeptAttempt(f"{PUSH}p-{number}", "M1", NOW, True, b"x") for number in range(3)]
        await store.keep(pushed, [], refused)
        await store.keep([], [], refused[1:2])
        assert [one.request_id for one in await store.refusals(2, "m-3")] == [f"{REFUSAL}m-2", f"{REFUSAL}m-1"]
        of_meter = await store.pushes(9, "M1", "p-2", failed=False)
        assert [one.request_id for one in of_meter] == [f"{PUSH}p-1", f"{PUSH}p-0"]
        assert await store.pushes(9, None, None, failed=True) == [] == await store.pushes(9, "M2", None, failed=False)
        assert await store.requests(RequestFilter(9, before="m-3")) == [], "neither is a request"


async def test_requests_are_not_gone_through_for_refusals_and_pushes(tmp_path: Path) -> None:
    """Of the many that have a trace: whoever has messages refused would have the store go through them for each."""
    asked: list[tuple[str, Any]] = []

    def note(connection: Connection) -> None:
        @event.listens_for(connection.engine, "before_cursor_execute")
        def noted(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
            asked.append((statement, parameters))

    def planned(connection: Connection) -> list[str]:
        plans = [
            row.detail
            for statement, parameters in [
                one for one in asked if "trace_" in one[0] and not one[0].startswith("INSERT")
            ]
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
        return [one for one in plans if "trace_" in one]

    async with Database(tmp_path / "hes.sqlite") as database:
        store = SqlTraces(database)
        await database.transaction(note)
        await store.keep([], [], [KeptArrival(f"{REFUSAL}m-1", NOW, b"x")])
        await store.refusals(9, None)
        for meter in (None, "M1"):
            await store.pushes(9, meter, None, failed=meter is None)
        plans = await database.transaction(planned)
    assert len(plans) >= 5 and [one for one in plans if not one.startswith("SEARCH")] == []

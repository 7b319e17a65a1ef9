"""Large answers: written by a process of their own, in parts for a ReplyAddress, each once and in order; one within its limit otherwise.

The work on meters is a stand-in that says what it has read, in the operation's own form; nouns, payloads and schemas are the real ones.
"""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import uuid
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from north_bench import DISCONNECT, GENERIC, SCHEMAS, SWITCHES_MANY, Cis, North, StandIn, control, mrid, north, request
from patience import PATIENCE_S
from reading_bench import AT, BOUND, asked, read, reads
from sqlalchemy import BindParameter
from stored_values import NOW, a_request, a_result, an_answer, some_commands

from ami_cim import wire
from ami_cim.codes import Level
from ami_cim.envelope import REQUEST_MESSAGE, typed_wrapper
from ami_cim.message import ReplyError, RequestMessage, ResponseMessage
from ami_hes.commands import Command, MeterId, Outcome
from ami_hes.jobs.answer_writing import (
    FUNCTION,
    AnswerOrder,
    format_order,
    format_worked,
    parse_written,
    write_answer,
)
from ami_hes.nouns import Partner, RequestContext, Worked
from ami_hes.store import Database, SqlResults, StoredAnswer
from ami_hes.store.ports import AT_ONCE
from ami_process.store.places import Place
from ami_process.worker import Worker

MORE, LAST = "0.1", "0.2"


def meters_of(message: ResponseMessage) -> list[str]:
    return [one.meter.mrid for one in getattr(message.payload, "meter_readings", ())]


def codes(message: ResponseMessage) -> list[str]:
    return [error.code for error in message.reply.errors]


async def ask(hes: North, message: RequestMessage, path: str = GENERIC) -> ResponseMessage:
    response = await hes.post(wire.write_request(message, REQUEST_MESSAGE, SCHEMAS), path)
    assert response.status_code == 200, response.text
    return wire.read_response(response.content, SCHEMAS)


async def delivered(cis: Cis) -> list[ResponseMessage]:
    """All parts of one answer, as they came."""
    parts: list[ResponseMessage] = []
    while not parts or MORE in codes(parts[-1]):
        async with asyncio.timeout(PATIENCE_S):
            parts.append(wire.read_delivery(await cis.taken.get(), SCHEMAS).message)  # type: ignore[arg-type]
    return parts


# writing


def order(**changes: Any) -> AnswerOrder:
    context = RequestContext(
        request_id="r1", verb="get", source="CIS", accepted_at=AT, partner=Partner(typed_reply=True), query='["M1"]'
    )
    values: dict[str, Any] = {
        "noun": "MeterReadings",
        "context": context,
        "errors": (ReplyError(code="2.4", level=Level.FATAL, reason="not known here"),),
        "source": "HES",
        "message_id": str(uuid.UUID(int=7)),
        "correlation_id": "c1",
        "timestamp": AT,
        "typed": False,
        "octets": BOUND,
        "in_parts": True,
    }
    return AnswerOrder(**(values | changes))


def worked(meters: int, values: int = 10) -> list[Worked]:
    return [
        Worked(Command("r1", MeterId(f"M{n}", mrid(n)), "read_meter", "[]"), Outcome(True, payload=read(values)))
        for n in range(1, meters + 1)
    ]


def messages(written: Any) -> list[ResponseMessage]:
    return [wire.read_response(one.octets, SCHEMAS) for one in written]


def test_what_fits_into_a_message_is_one_without_any_word_of_parts() -> None:
    (one,) = messages(write_answer(order(), worked(3), SCHEMAS))
    assert (codes(one), one.header.message_id, len(meters_of(one))) == (["2.4"], str(uuid.UUID(int=7)), 3)


def test_parts_cover_each_meter_once_and_each_is_within_its_bound() -> None:
    written = write_answer(order(), worked(40), SCHEMAS)
    parts = messages(written)
    assert len(parts) > 3 and max(len(one.octets) for one in written) <= BOUND
    assert [one for part in parts for one in meters_of(part)] == [mrid(n) for n in range(1, 41)]
    assert [codes(part) for part in parts] == [[MORE, "2.4"], *[[MORE]] * (len(parts) - 2), [LAST]]
    assert len({part.header.message_id for part in parts}) == len(parts)
    assert {(part.header.correlation_id, part.header.noun) for part in parts} == {("c1", "MeterReadings")}
    assert [one.octets for one in write_answer(order(), worked(40), SCHEMAS)] == [one.octets for one in written]


def test_one_meter_is_not_divided() -> None:
    (one,) = write_answer(order(), worked(1, 500), SCHEMAS)
    assert len(one.octets) > BOUND and codes(messages([one])[0]) == ["2.4"]


def test_an_answer_of_one_message_that_is_too_large_says_how_to_ask() -> None:
    (one,) = messages(write_answer(order(in_parts=False), worked(40), SCHEMAS))
    assert (one.reply.result, codes(one), one.payload) == ("FAILED", ["3.1"], None)
    assert "AsyncReplyFlag" in (one.reply.errors[0].reason or "")


@pytest.mark.ci
async def test_the_writing_process_writes_the_same() -> None:
    one = order(first=5, last=False, typed=True)
    async with Worker(FUNCTION, memory=1_000_000_000) as worker:
        answer = await worker.call(format_order(one), format_worked(worked(20)), room=1_000_000)
    assert parse_written(answer) == write_answer(one, worked(20), SCHEMAS)


# the store


async def test_parts_are_kept_and_taken_in_their_order(place: Place) -> None:
    async with Database(place) as database:
        results = SqlResults(database)
        for request_id in ("r1", "r2"):
            address = "http://127.0.0.1/"
            await results.accept(a_request(request_id, reply_address=address), some_commands(request_id, "M1"))
            await results.save([a_result(request_id, "M1")])
        assert await results.next_part("r1") is None
        await results.answer({"r1": StoredAnswer("OK", b"<1/>", (b"<2/>", b"<3/>")), "r2": an_answer(b"<a/>")}, NOW)
        await results.answer({"r1": StoredAnswer("OK", b"<x/>", (b"<y/>",))}, NOW)
        taken = []
        while (part := await results.next_part("r1")) is not None:
            taken.append(tuple(part))
            await results.part_taken("r1", part.number)
        assert taken == [(1, b"<1/>", False), (2, b"<2/>", False), (3, b"<3/>", True)]
        assert await results.next_part("r2") == (1, b"<a/>", True)
        assert await results.owed() == ["r1", "r2"]
        await results.replied("r1", NOW)
        await results.replied("r2", NOW)
        assert await results.forget(NOW.replace(year=2027), ids_kept=9) == 2


async def test_parts_that_were_kept_while_they_were_written_count_with_their_answer(place: Place) -> None:
    async with Database(place) as database:
        results = SqlResults(database)
        await results.accept(a_request(reply_address="http://127.0.0.1/"), some_commands("r1", "M1"))
        await results.save([a_result("r1", "M1")])
        for number in (2, 3, 4):
            await results.keep_part("r1", number, b"<of an attempt that was broken off/>")
        assert await results.next_part("r1") is None
        for number in (2, 3):
            await results.keep_part("r1", number, b"<%d/>" % number)
        await results.answer({"r1": StoredAnswer("OK", b"<1/>", kept=2)}, NOW)
        await results.keep_part("r1", 2, b"<of a second writer/>")
        await results.answer({"r1": StoredAnswer("OK", b"<x/>", kept=1)}, NOW)
        taken = []
        while (part := await results.next_part("r1")) is not None:
            taken.append(tuple(part))
            await results.part_taken("r1", part.number)
        assert taken == [(1, b"<1/>", False), (2, b"<2/>", False), (3, b"<3/>", True)]


async def test_what_is_answered_does_not_stay_in_memory_with_its_statement(place: Place) -> None:
    """SQLAlchemy remembers compiled statements; the octets of the first answer would stay as long as the process."""
    async with Database(place) as database:
        results = SqlResults(database)
        await results.accept(a_request(), some_commands("r1", "M1"))
        await results.save([a_result("r1", "M1")])
        await results.answer({"r1": StoredAnswer("OK", b"<1/>" * 1_000, (b"<2/>" * 1_000,))}, NOW)
        gc.collect()
        held = [one for one in gc.get_objects() if isinstance(one, BindParameter) and isinstance(one.value, bytes)]
        assert [one.key for one in held if len(one.value) == 4_000] == []


async def test_payloads_of_a_large_request_are_handed_out_some_at_a_time(place: Place) -> None:
    names = [f"M{number}" for number in range(6)]
    payloads = [str(number) * 200_000 for number in range(6)]
    async with Database(place) as database:
        results = SqlResults(database)
        await results.accept(a_request("large"), some_commands("large", *names))
        await results.accept(a_request("small"), some_commands("small", "M1"))
        done = await results.save(
            [
                *(a_result("large", name, payload=payload) for name, payload in zip(names, payloads, strict=True)),
                a_result("small", "M1"),
            ]
        )
        large, small = sorted(done, key=lambda one: one.request.request_id)
        assert (large.is_whole, small.is_whole) == (False, True)
        assert large.sizes == (200_000,) * 6
        assert large.commands == () and large.operations == {some_commands("large", "M0")[0].command.operation}
        assert [one.result for one in small.commands] == [a_result("small", "M1")]
        some = await results.commands("large", 2, 4)
        assert [(one.command.meter.name, one.result.outcome.payload) for one in some if one.result] == [
            (names[2], payloads[2]),
            (names[3], payloads[3]),
        ]


# the whole way


@pytest.mark.parametrize("values", [10, pytest.param(220, id="more than is handed out at once", marks=pytest.mark.ci)])
async def test_a_large_answer_comes_in_parts(tmp_path: Path, values: int) -> None:
    meters = 40
    bound = BOUND * values // 10
    async with (
        Cis().serving() as cis,
        north(tmp_path, reads(meters, values, (2, 39)), meters=meters, max_answer_octets=bound) as hes,
    ):
        late = {"async_reply_flag": True, "reply_address": cis.url}
        message = asked(meters, message_id="m1", **late)
        assert codes(await ask(hes, message)) == ["0.3"]
        parts = await delivered(cis)
        assert len(parts) > 3 and parts[-1].reply.errors[0].code == LAST
        read_of = [one for part in parts for one in meters_of(part)]
        assert read_of == [mrid(n) for n in range(1, meters + 1) if n not in (2, 39)]
        assert [error.code for part in parts for error in part.reply.errors].count("4.1") == 2
        assert codes(await ask(hes, message)) == ["0.3"], "the same message again causes nothing"
    assert len(cis.requests) == len(parts)
    store = sqlite3.connect(tmp_path / "hes.sqlite")
    assert store.execute("SELECT result FROM requests").fetchall() == [("PARTIAL",)]
    (characters,) = store.execute("SELECT sum(length(payload)) FROM commands").fetchone()
    assert (characters > AT_ONCE) == (values > 10)


async def test_a_part_that_is_not_taken_is_posted_again_and_those_before_it_are_not(
    tmp_path: Path, events: list[Any]
) -> None:
    meters, refused = 40, [(200, b""), (503, b""), (500, b""), (200, b"")]
    stand_in = reads(meters, 10)
    async with (
        Cis(*refused).serving() as cis,
        north(tmp_path, stand_in, meters=meters, events=events, max_answer_octets=BOUND) as hes,
    ):
        await ask(hes, asked(meters, async_reply_flag=True, reply_address=cis.url))
        parts = await delivered(cis)
        posted = [etree.fromstring(body).findtext(".//{*}MessageID") for _, body in cis.requests]
    ids = [part.header.message_id for part in parts]
    assert posted == [ids[0], ids[1], ids[1], *ids[1:]]
    assert [one for part in parts for one in meters_of(part)] == [mrid(n) for n in range(1, meters + 1)]


async def test_a_restart_between_two_parts_goes_on_with_the_next(tmp_path: Path) -> None:
    meters = 40
    async with Cis((200, b""), (503, b"")).serving() as cis:
        late = {"async_reply_flag": True, "reply_address": cis.url}
        async with north(
            tmp_path, reads(meters, 10), meters=meters, max_answer_octets=BOUND, reply_retry_first_s=60.0
        ) as hes:
            await ask(hes, asked(meters, **late))
            async with asyncio.timeout(PATIENCE_S):
                while len(cis.requests) < 2:
                    await asyncio.sleep(0.01)
        cis.answers = [(200, b"")]
        async with north(tmp_path, StandIn(), meters=meters, max_answer_octets=BOUND) as hes:
            parts = await delivered(cis)
            assert hes.meters.commands == []
    assert [one for part in parts for one in meters_of(part)] == [mrid(n) for n in range(1, meters + 1)]


async def test_a_dead_letter_in_parts_is_posted_again_to_who_asks_again(tmp_path: Path, events: list[Any]) -> None:
    """Under the same MessageIDs and from the first part on: who asks does not say what has come."""
    meters = 40
    async with Cis((200, b""), (501, b"")).serving() as cis:
        message = asked(meters, async_reply_flag=True, reply_address=cis.url)
        options = {"meters": meters, "events": events, "max_answer_octets": BOUND}
        async with north(tmp_path, reads(meters, 10), **options) as hes:  # type: ignore[arg-type]
            await ask(hes, message)
            async with asyncio.timeout(PATIENCE_S):
                while not [one for one in events if one["event"] == "reply_dead_letter"]:
                    await asyncio.sleep(0.01)
            first = cis.taken.get_nowait()
            cis.answers = [(200, b"")]
            assert codes(await ask(hes, message)) == ["0.3"]
            parts = await delivered(cis)
        async with north(tmp_path, StandIn(), **options) as hes:  # type: ignore[arg-type]
            assert codes(await ask(hes, message)) == ["0.3"], "it was taken"
    assert etree.fromstring(first).findtext(".//{*}MessageID") == parts[0].header.message_id
    assert [one for part in parts for one in meters_of(part)] == [mrid(n) for n in range(1, meters + 1)]
    assert len(cis.requests) == 2 + len(parts)


async def test_a_large_synchronous_answer_is_refused_with_how_to_ask(tmp_path: Path) -> None:
    meters = 40
    async with north(tmp_path, reads(meters, 10), meters=meters, max_answer_octets=BOUND) as hes:
        answer = await ask(hes, asked(meters))
        assert (answer.reply.result, codes(answer), answer.payload) == ("FAILED", ["3.1"], None)


async def test_what_came_of_controls_is_said_in_one_message_however_large(tmp_path: Path) -> None:
    """A refusal would say FAILED of meters that have switched."""
    names = [f"M{number}" for number in range(1, 61)]
    failed: dict[str, Outcome | Exception] = {
        name: Outcome(False, "5.3", "FATAL", "it did not " * 30, attempted=True) for name in names[1:]
    }
    async with north(tmp_path, StandIn(failed), meters=60, max_answer_octets=10_000, guard=SWITCHES_MANY) as hes:
        answer = await hes.ask(request(control(DISCONNECT, *names)))
        assert (answer.reply.result, codes(answer)) == ("PARTIAL", ["5.3"] * 59)


@pytest.mark.ci
@pytest.mark.parametrize("path", [GENERIC, "/cim/GetMeterReadings"])
async def test_a_synchronous_answer_beyond_what_is_light_is_whole(tmp_path: Path, path: str) -> None:
    meters = 40
    async with north(tmp_path, reads(meters, 30), meters=meters) as hes:
        message = asked(meters)
        wrapper = REQUEST_MESSAGE if path == GENERIC else typed_wrapper("get", "MeterReadings")
        octets = wire.write_request(message, wrapper, SCHEMAS)
        once, twice = await hes.post(octets, path), await hes.post(octets, path)
        assert once.content == twice.content and len(once.content) > 131_072
        answer = wire.read_response(once.content, SCHEMAS)
        assert (answer.reply.result, meters_of(answer)) == ("OK", [mrid(n) for n in range(1, meters + 1)])


async def test_other_requests_are_answered_while_a_large_answer_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writing process is held: what is urgent does not wait for it."""
    meters, held, began = 40, asyncio.Event(), asyncio.Event()
    whole = Worker.call

    async def call(self: Worker, *arguments: Any, **options: Any) -> bytes:
        began.set()
        await held.wait()
        return await whole(self, *arguments, **options)

    async with Cis().serving() as cis, north(tmp_path, reads(meters, 30), meters=meters) as hes:
        with monkeypatch.context() as patch:
            patch.setattr(Worker, "call", call)
            await ask(hes, asked(meters, async_reply_flag=True, reply_address=cis.url))
            await began.wait()
            assert meters_of(await ask(hes, asked(1))) == [mrid(1)]
            assert cis.requests == []
            held.set()
            parts = await delivered(cis)
        assert len([one for part in parts for one in meters_of(part)]) == meters

"""What somebody has altered in the store: whoever asks for it is told so, nothing of it is done, and nobody else waits for it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from north_bench import (
    CONNECT,
    DISCONNECT,
    GENERIC,
    SCHEMAS,
    TYPED,
    Cis,
    North,
    StandIn,
    control,
    north,
    request,
    texts,
)
from patience import PATIENCE_S
from reading_bench import asked, reads
from set_bench import a_set, get, later
from set_bench import control as operation
from stored_values import a_request

from ami_cim import envelope, soap, wire
from ami_cim.message import RequestMessage
from ami_hes.jobs.late_orders import MOST, _Waiting, check_places
from ami_hes.jobs.order_messages import Altered, format_message, parse_message
from ami_hes.jobs.rows import digest
from ami_hes.nouns import Refused


def in_store(store: Path, *statements: tuple[str, Sequence[Any]]) -> list[Any]:
    """The rows that the last of these gives."""
    with closing(sqlite3.connect(store)) as connection, connection:
        return [connection.execute(*one).fetchall() for one in statements][-1]


def kept(store: Path, request_id: str) -> bytes:
    rows = in_store(store, ("SELECT octets FROM kept_messages WHERE request_id = ?", (request_id,)))
    return bytes(rows[0][0])


def tell(octets: bytes) -> tuple[list[str], list[str]]:
    return texts(octets, "Result"), texts(octets, "code")


def a_message(octets: bytes) -> RequestMessage:
    return wire.read_request(octets, SCHEMAS).message


def in_soap(message: RequestMessage) -> bytes:
    """As the version before this one kept it."""
    return soap.wrap(envelope.format_request(message, envelope.REQUEST_MESSAGE))


async def test_acknowledged_sets_that_are_not_as_they_were_kept_are_answered_so_at_once(tmp_path: Path) -> None:
    store, cis, stand_in, events = tmp_path / "hes.sqlite", Cis(), StandIn(), list[Any]()
    stand_in.open.clear()

    def of(number: int, name: str = "M2", code: str = CONNECT) -> bytes:
        return later(cis, operation(code, name), message_id=f"set-{number}")

    async with cis.serving():
        async with north(tmp_path, stand_in) as hes:
            for number in range(1, 9):
                octets = of(number, *(("M1", DISCONNECT) if number == 1 else ()))
                assert texts((await hes.post(octets, GENERIC)).content, "code") == ["0.3"]
            await stand_in.began.wait()
        first, whole = kept(store, "set-1"), kept(store, "set-2")
        altered: list[bytes | str] = [
            whole.replace(CONNECT.encode(), DISCONNECT.encode()),
            whole[:-20],
            first,
            "no octets",
            in_soap(a_message(of(6, code=DISCONNECT))),
        ]
        set_to = "UPDATE kept_messages SET octets = ? WHERE request_id = ?"
        in_store(
            store,
            *((set_to, (one, f"set-{number}")) for number, one in enumerate(altered, 2)),
            ("DELETE FROM kept_messages WHERE request_id = 'set-7'", ()),
            (set_to, (in_soap(a_message(of(8))), "set-8")),
        )
        async with north(tmp_path, events=events) as hes:
            answers = {}
            async with asyncio.timeout(PATIENCE_S):
                for _ in range(7):
                    octets = await cis.taken.get()
                    answers[texts(octets, "CorrelationID")[0]] = octets
            assert {name: tell(octets) for name, octets in answers.items() if name not in ("set-1", "set-8")} == {
                f"set-{number}": (["FAILED"], ["5.3"]) for number in range(2, 7)
            }
            assert {texts(answers[name], "Result")[0] for name in ("set-1", "set-8")} == {"OK"}
            assert [(one.meter.name, one.body) for one in hes.meters.commands] == [("M1", DISCONNECT), ("M2", CONNECT)]
            assert "not kept it as it came" in texts(answers["set-2"], "reason")[0]
    assert sorted(one["message_id"] for one in events if one["event"] == "kept_message_unusable") == [
        f"set-{number}" for number in range(2, 7)
    ]
    assert not [one for one in events if one.get("exception")]
    assert in_store(store, ("SELECT count(*) FROM kept_messages", ())) == [(0,)]


def test_a_set_is_kept_with_all_that_it_says() -> None:
    """Also what is there to be refused, as an element of a query that is not served."""
    verb, noun, query = get(1)
    beyond = query.replace(
        "</GetMeterReadings>", "<TransformerTank><mRID>x</mRID></TransformerTank></GetMeterReadings>"
    )
    message = a_message(a_set((verb, noun, beyond), operation(DISCONNECT, "M1")))
    order = a_request("set-1", digest=digest(message))
    assert parse_message(format_message(message, "set-1"), order) == message
    with pytest.raises(Altered):
        parse_message(format_message(message, "set-2"), order)


async def test_an_acknowledged_set_refuses_what_is_not_served_as_any_other(tmp_path: Path) -> None:
    verb, noun, query = get(1)
    beyond = query.replace(
        "</GetMeterReadings>", "<TransformerTank><mRID>x</mRID></TransformerTank></GetMeterReadings>"
    )
    cis = Cis()
    async with cis.serving(), north(tmp_path, reads(1, 1)) as hes:
        octets = later(cis, (verb, noun, beyond), get(1))
        assert texts((await hes.post(octets, GENERIC)).content, "code") == ["0.3"]
        assert tell(await cis.taken.get()) == (["PARTIAL"], ["5.2", "5.2", "0.0"])


def test_a_sender_leaves_places_to_others() -> None:
    kept: list[_Waiting] = []
    taken: dict[str, int] = {}
    for source in ("A", "B", "C", "D"):
        with pytest.raises(Refused) as refused:
            for number in range(MOST):
                check_places(kept, source, b"message")
                kept.append(_Waiting(source, 7, source))
                taken[source] = number + 1
        (error,) = refused.value.errors
        assert error.code == "3.2" and f"{taken[source]} acknowledged messages of this sender" in (error.reason or "")
    assert taken == {"A": 50, "B": 25, "C": 13, "D": 6}


# answers


async def ask(hes: North, message: RequestMessage, path: str = GENERIC) -> bytes:
    wrapper = envelope.REQUEST_MESSAGE
    if path == TYPED:
        wrapper = envelope.typed_wrapper(message.header.verb, message.header.noun)
    return (await hes.post(wire.write_request(message, wrapper, SCHEMAS), path)).content


CUT = "UPDATE requests SET answer = substr(answer, 1, length(answer) - 9)"


@pytest.mark.parametrize("altered", [CUT, "UPDATE requests SET answer = 'no octets'"])
async def test_an_answer_that_cannot_be_unpacked_is_said_to_be_so(tmp_path: Path, altered: str) -> None:
    message, events = asked(1, message_id="r1"), list[Any]()
    async with north(tmp_path, reads(1, 40), events=events) as hes:
        assert tell(await ask(hes, message)) == (["OK"], [])
        in_store(tmp_path / "hes.sqlite", (altered, ()))
        answer = await ask(hes, message)
        assert tell(answer) == (["FAILED"], ["5.3"])
        assert "not in the head-end's store as it was kept" in texts(answer, "reason")[0]
        assert len(hes.meters.commands) == 1
    assert [one["message_id"] for one in events if one["event"] == "answer_unusable"] == ["r1"]
    assert not [one for one in events if one.get("exception")]


async def test_a_short_answer_that_cannot_be_read_is_no_fault_of_who_asks(tmp_path: Path) -> None:
    message = request(control(DISCONNECT, "M1"), message_id="r1")
    async with north(tmp_path) as hes:
        assert tell(await ask(hes, message, TYPED)) == (["OK"], [])
        in_store(tmp_path / "hes.sqlite", ("UPDATE requests SET answer = ?", (b"<no answer",)))
        assert texts(await ask(hes, message, TYPED), "code") == ["5.3"]
        assert [one.meter.name for one in hes.meters.commands] == ["M1"]


async def test_an_answer_that_cannot_be_unpacked_is_not_posted_for_ever(tmp_path: Path) -> None:
    store, cis, events = tmp_path / "hes.sqlite", Cis((503, b"")), list[Any]()
    async with cis.serving():
        message = asked(1, message_id="r1", async_reply_flag=True, reply_address=cis.url)
        async with north(tmp_path, reads(1, 40), events=events, reply_retry_first_s=3600.0) as hes:
            assert texts(await ask(hes, message), "code") == ["0.3"]
            async with asyncio.timeout(PATIENCE_S):
                while not any(one["event"] == "reply_postponed" for one in events):
                    await asyncio.sleep(0.01)
        in_store(store, (CUT, ()))
        async with north(tmp_path, events=events) as hes:
            async with asyncio.timeout(PATIENCE_S):
                while not any(one["event"] == "reply_dead_letter" for one in events):
                    await asyncio.sleep(0.01)
            assert tell(await ask(hes, message)) == (["FAILED"], ["5.3"])
    (dead,) = [one for one in events if one["event"] == "reply_dead_letter"]
    assert "can't be unpacked" in dead["reason"]
    assert not [one for one in events if one.get("exception")]

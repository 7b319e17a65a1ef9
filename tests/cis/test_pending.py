"""Which reply belongs to which request, held by the store and so by the disk."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from given_readings import quarters, register

from ami_cim.identity import Identifier
from ami_cim.message import Header, Reply, ReplyError, ResponseMessage
from ami_cim.payloads import Payload
from ami_cim.payloads.meter_readings import MeterReadings
from ami_cim.payloads.opaque import OpaquePayload
from ami_cis.pending import Disposition, Pending
from ami_cis.store import SentRequest, State, Store, TakenEvent

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
METER = Identifier(value="42932298-b7b6-415e-a2d2-c34197bed259", kind="uuid", object_type="EndDevice")


def request(message_id: str = "m-1", correlation_id: str = "c-1") -> SentRequest:
    return SentRequest(
        message_id, correlation_id, "create", "EndDeviceControls", "3.31.0.23", ("M1001", "M1002"), True, NOW
    )


def response(
    result: str = "OK",
    *,
    correlation_id: str | None = "m-1",
    message_id: str | None = "r-1",
    codes: tuple[str, ...] = (),
) -> ResponseMessage:
    header = Header(verb="reply", noun="EndDeviceControls", message_id=message_id, correlation_id=correlation_id)
    errors = tuple(ReplyError(code=code, reason="why", identifier=METER) for code in codes)
    return ResponseMessage(header=header, reply=Reply(result=result, errors=errors))  # type: ignore[arg-type]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.opened(tmp_path / "deep" / "cis.sqlite") as opened:
        yield opened


@pytest.fixture
def pending(store: Store) -> Pending:
    return Pending(store, lambda: NOW)


@pytest.mark.parametrize(
    "identifiers",
    [
        {"correlation_id": "m-1"},
        {"correlation_id": "c-1"},
        {"correlation_id": None, "message_id": "m-1"},
        {"correlation_id": None, "message_id": "c-1"},
        {"correlation_id": "foreign", "message_id": "m-1"},
    ],
)
async def test_a_reply_matches_on_either_identifier(
    pending: Pending, store: Store, identifiers: dict[str, str | None]
) -> None:
    await pending.add(request())
    taken = await pending.take(response(**identifiers))  # type: ignore[arg-type]
    assert taken.disposition is Disposition.TAKEN
    assert taken.request is not None and taken.request.message_id == "m-1"
    assert taken.answer() == Reply(result="OK")
    found = await store.find_request(["m-1"])
    assert found is not None and found.state is State.ANSWERED


async def test_the_correlation_id_decides_before_the_message_id(pending: Pending) -> None:
    await pending.add(request("m-1", "c-1"))
    await pending.add(request("m-2", "c-2"))
    taken = await pending.take(response(correlation_id="c-2", message_id="m-1"))
    assert taken.request is not None and taken.request.message_id == "m-2"


async def test_an_unknown_reply_is_refused_with_a_reason(pending: Pending) -> None:
    for nobody in (response(correlation_id="x", message_id="y"), response(correlation_id=None, message_id=None)):
        taken = await pending.take(nobody)
        assert taken.disposition is Disposition.UNKNOWN
        answer = taken.answer()
        assert answer.result == "FAILED"
        assert [error.code for error in answer.errors] == ["2.15"]
        assert answer.errors[0].reason


async def test_the_same_reply_twice_is_kept_once_and_answered_ok_twice(pending: Pending, store: Store) -> None:
    await pending.add(request())
    first = await pending.take(response("PARTIAL", codes=("2.4",)))
    again = await pending.take(response("PARTIAL", codes=("2.4",), message_id="another-id-of-the-retry"))
    assert (first.disposition, again.disposition) == (Disposition.TAKEN, Disposition.REPEATED)
    assert first.answer() == again.answer() == Reply(result="OK")
    (kept,) = await store.replies("m-1")
    assert kept.result == "PARTIAL"
    assert kept.errors == ({"code": "2.4", "reason": "why", "meter": METER.value},)
    assert kept.received_at == NOW


async def test_another_reply_to_an_answered_request_is_refused_and_the_first_stands(
    pending: Pending, store: Store
) -> None:
    await pending.add(request())
    await pending.take(response("OK"))
    taken = await pending.take(response("FAILED", codes=("5.3",)))
    assert taken.disposition is Disposition.CONTRADICTING
    assert taken.answer().result == "FAILED"
    assert [reply.result for reply in await store.replies("m-1")] == ["OK"]


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (OpaquePayload("{urn:x}a", b"<a/>"), OpaquePayload("{urn:x}a", b"<a> </a>")),
        (MeterReadings((register("1"),)), MeterReadings((register("2"),))),
        (MeterReadings((quarters(["1", "2"]),)), MeterReadings((quarters(["1", "2", "3"]),))),
        (MeterReadings((register("1"),)), None),
    ],
    ids=["opaque", "register", "intervals", "none"],
)
async def test_replies_with_other_payloads_are_not_the_same(
    pending: Pending, first: Payload, other: Payload | None
) -> None:
    await pending.add(request())
    found = [await pending.take(replace(response(), payload=payload)) for payload in (first, first, other)]
    assert [one.disposition for one in found] == [
        Disposition.TAKEN,
        Disposition.REPEATED,
        Disposition.CONTRADICTING,
    ]


async def test_a_late_reply_is_still_taken(pending: Pending, store: Store) -> None:
    await pending.add(request())
    await pending.fail("m-1", "no reply in time")
    failed = await store.find_request(["m-1"])
    assert failed is not None and (failed.state, failed.reason) == (State.FAILED, "no reply in time")
    taken = await pending.take(response())
    assert taken.disposition is Disposition.LATE
    assert taken.answer().result == "OK"
    found = await store.find_request(["m-1"])
    assert found is not None and (found.state, found.reason) == (State.ANSWERED, None)


async def test_giving_up_after_the_answer_changes_nothing(pending: Pending, store: Store) -> None:
    await pending.add(request())
    await pending.take(response())
    await pending.fail("m-1", "too late to give up")
    found = await store.find_request(["m-1"])
    assert found is not None and found.state is State.ANSWERED


async def test_a_reply_after_a_restart_finds_its_request(tmp_path: Path) -> None:
    async with Store.opened(tmp_path / "cis.sqlite") as before:
        await Pending(before, lambda: NOW).add(request())
        await Pending(before, lambda: NOW).acknowledge("m-1")
    async with Store.opened(tmp_path / "cis.sqlite") as after:
        assert await after.count(State.ACKNOWLEDGED) == 1
        taken = await Pending(after, lambda: NOW).take(response())
        assert taken.disposition is Disposition.TAKEN
        assert not taken.awaited
        assert taken.request == SentRequest(
            "m-1", "c-1", "create", "EndDeviceControls", "3.31.0.23", ("M1001", "M1002"), True, NOW, State.ACKNOWLEDGED
        )
        assert await after.count(State.ACKNOWLEDGED) == 0


async def test_all_who_wait_for_one_request_are_told(pending: Pending) -> None:
    """Who has sent it, and a start that takes up what is open at that moment; else one of them would ask again for ever."""
    await pending.add(request())
    with pending.expect("m-1") as first:
        with pending.expect("m-1") as second:
            answer = response()
            assert (await pending.take(answer)).awaited
            assert first.result() is second.result() is answer
        with pending.expect("m-1") as third:
            assert not third.done()
    with pending.expect("m-1") as later:
        assert (await pending.take(answer)).awaited and later.result() is answer


async def test_who_waits_is_told(pending: Pending) -> None:
    await pending.add(request())
    with pending.expect("m-1") as waiting:
        reply = response()
        taken = await pending.take(reply)
        assert taken.awaited
        assert await waiting == reply
    assert waiting.done()


async def test_who_waits_is_not_told_of_another_request(pending: Pending) -> None:
    await pending.add(request("m-1", "c-1"))
    await pending.add(request("m-2", "c-2"))
    with pending.expect("m-1") as waiting:
        taken = await pending.take(response(correlation_id="m-2"))
        assert not taken.awaited
        assert not waiting.done()


async def test_a_request_sent_again_may_get_the_same_answer_again(pending: Pending) -> None:
    await pending.add(request())
    await pending.take(response())
    await pending.add(request())
    with pending.expect("m-1") as waiting:
        assert (await pending.take(response())).disposition is Disposition.REPEATED
        assert (await waiting).reply.result == "OK"


async def test_parts_do_not_end_a_request_and_a_bad_part_spoils_the_whole(pending: Pending) -> None:
    await pending.add(request())
    with pending.expect("m-1") as waiting:
        part = await pending.take(response("PARTIAL", codes=("0.1", "5.3")))
        assert part.disposition is Disposition.PART
        assert not waiting.done()
        assert (await pending.take(response("OK"))).disposition is Disposition.TAKEN
        assert (await waiting).reply.result == "PARTIAL"


async def test_an_event_is_kept_once(store: Store) -> None:
    event = TakenEvent("e-1", "created", "EndDeviceControls", b"<x/>", NOW)
    assert await store.add_event(event)
    assert not await store.add_event(event)

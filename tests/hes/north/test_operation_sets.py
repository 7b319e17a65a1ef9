"""OperationSet over real sockets: operations in order, one Reply that says what came of each, and nothing done twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from lxml import etree
from north_bench import CONNECT, DISCONNECT, GENERIC, SCHEMAS, Cis, StandIn, north, texts
from patience import PATIENCE_S
from postgresql_server import rows
from reading_bench import AT, reads
from set_bench import C4E, INTEGRITY, SEQUENCE, a_set, config, control, get, later

from ami_cim import reading, transfer, wire
from ami_cim.errors import LocalError
from ami_cim.limits import UNKNOWN_PEER
from ami_cim.message import RequestMessage, ResponseMessage
from ami_cim.payloads.meter_readings import MeterReadings
from ami_cim.payloads.operation_set import OperationSet
from ami_hes.commands import Outcome
from ami_hes.jobs import Backoff
from ami_hes.jobs.order_messages import parse_message
from ami_hes.operation_sets import MOST_OCTETS
from ami_hes.settings.partners import PartnerSettings
from ami_hes.store import Database, StoredRequest, assume_the_worst


def read(octets: bytes) -> ResponseMessage:
    return wire.read_response(octets, SCHEMAS)


def said(octets: bytes) -> tuple[str, list[tuple[int | None, str]]]:
    reply = read(octets).reply
    return reply.result, [(one.operation_id, one.code) for one in reply.errors]


async def test_operations_are_carried_out_in_their_order_and_each_has_its_result(tmp_path: Path) -> None:
    """Of one meter, too: what the second does comes behind what the first has done."""
    stand_in = reads(1, 1)
    async with north(tmp_path, stand_in) as hes:
        octets = a_set(control(DISCONNECT, "M1"), get(1), control(CONNECT, "M1"), control(DISCONNECT, "M9"))
        answer = (await hes.post(octets, GENERIC)).content
        assert [one.operation for one in hes.meters.commands] == [
            "disconnect_control",
            "read_meter",
            "disconnect_control",
        ]
        assert [one.body for one in hes.meters.commands][::2] == [DISCONNECT, CONNECT]
        assert said(answer) == ("PARTIAL", [(1, "0.0"), (2, "0.0"), (3, "0.0"), (4, "2.4"), (4, "2.4")])
        payload = read(answer).payload
        assert isinstance(payload, OperationSet)
        (found,) = payload.operations
        assert (found.operation_id, found.noun, found.verb) == (2, "MeterReadings", "reply")
        assert isinstance(found.payload, MeterReadings) and found.payload.meter_readings[0].readings[0].value == "0"


async def test_an_operation_of_which_a_part_failed_is_partial(tmp_path: Path) -> None:
    stand_in = StandIn({"M2": Outcome(False, "4.1", "FATAL", "M2: no answer")})
    async with north(tmp_path, stand_in) as hes:
        answer = (await hes.post(a_set(control(DISCONNECT, "M1", "M2"), control(DISCONNECT, "M3")), GENERIC)).content
    assert said(answer) == ("PARTIAL", [(1, "4.1"), (1, "4.1"), (2, "0.0")])
    assert [one.split(": ")[1] for one in texts(answer, "reason") if one.startswith("Operation")] == ["PARTIAL.", "OK."]


async def test_a_set_that_comes_again_is_not_done_again(tmp_path: Path) -> None:
    octets = a_set(control(DISCONNECT, "M1"), control(CONNECT, "M1"))
    async with north(tmp_path) as hes:
        first = (await hes.post(octets, GENERIC)).content
        assert (await hes.post(octets, GENERIC)).content == first
        assert len(hes.meters.commands) == 2
        other = await hes.post(a_set(control(CONNECT, "M1")), GENERIC)
        assert (texts(other.content, "Result"), texts(other.content, "code")) == (["FAILED"], ["2.15"])
        assert len(hes.meters.commands) == 2


async def test_a_set_that_was_interrupted_goes_on_where_it_was(tmp_path: Path) -> None:
    """The first operation was answered before the head-end stopped; the same message gets its answer and the rest."""
    octets = a_set(control(DISCONNECT, "M1"), control(CONNECT, "M2"))
    stand_in = StandIn()
    stand_in.open.clear()
    async with httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as client:
        async with north(tmp_path, stand_in) as hes:
            posting = client.post(hes.url + GENERIC, content=octets, headers={"Content-Type": "text/xml"})
            posted = asyncio.ensure_future(posting)
            await stand_in.began.wait()
        interrupted = await posted
    assert (interrupted.status_code, texts(interrupted.content, "code")) == (500, ["5.1"])
    assert "The same message goes on with them" in texts(interrupted.content, "reason")[0]
    again = StandIn()
    async with north(tmp_path, again) as hes:
        answer = (await hes.post(octets, GENERIC)).content
        assert said(answer)[0] == "OK"
        assert [(one.meter.name, one.body) for one in again.commands] == [("M1", DISCONNECT), ("M2", CONNECT)]


async def test_what_follows_in_an_enforced_sequence_is_not_begun_behind_a_failure(tmp_path: Path) -> None:
    operations = control(DISCONNECT, "M1"), control(DISCONNECT, "M9"), control(CONNECT, "M1")
    async with north(tmp_path) as hes:
        answer = (await hes.post(a_set(*operations, flags=SEQUENCE), GENERIC)).content
        assert said(answer) == ("PARTIAL", [(1, "0.0"), (2, "2.4"), (2, "2.4"), (3, "5.2"), (3, "5.2")])
        assert [one.body for one in hes.meters.commands] == [DISCONNECT]


async def test_integrity_that_cannot_be_kept_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    async with north(tmp_path, reads(1, 1)) as hes:
        octets = a_set(control(DISCONNECT, "M1"), config("CustomerConfig"), flags=INTEGRITY)
        answer = (await hes.post(octets, GENERIC)).content
        assert said(answer) == ("FAILED", [(1, "5.9"), (2, "2.5")])
        assert hes.meters.commands == []
        only_reads = (await hes.post(a_set(get(1), flags=INTEGRITY, message_id="set-2"), GENERIC)).content
        assert said(only_reads) == ("OK", [(1, "0.0")])


async def test_errors_of_all_operations_together_are_bounded(tmp_path: Path) -> None:
    """A group of meters, or a few thousand names, has as many errors, in each of a hundred operations."""
    many = [f"M{number}" for number in range(100, 1_600)]
    async with north(tmp_path) as hes:
        answer = (await hes.post(a_set(*[control(DISCONNECT, *many)] * 4, control(DISCONNECT, "M1")), GENERIC)).content
    assert len(answer) < 1.2 * MOST_OCTETS
    result, errors = said(answer)
    assert result == "PARTIAL" and errors[-1] == (5, "0.0")
    of_each = [sum(number == one and code == "2.4" for one, code in errors) for number in (1, 2, 3, 4)]
    assert of_each[0] == 1_501 and of_each[2:] == [2, 2]
    left = [reason for reason in texts(answer, "reason") if "more errors of this operation" in reason]
    assert len(left) == 3 and left[-1].startswith("1499 more errors")


async def test_the_reply_to_a_set_may_come_later(tmp_path: Path) -> None:
    cis = Cis()
    async with cis.serving(), north(tmp_path, reads(1, 1)) as hes:
        head = f"<m:AsyncReplyFlag>true</m:AsyncReplyFlag><m:ReplyAddress>{cis.url}</m:ReplyAddress>"
        octets = a_set(control(DISCONNECT, "M1"), get(1), head=head)
        assert texts((await hes.post(octets, GENERIC)).content, "code") == ["0.3"]
        delivered = wire.read_delivery(await cis.taken.get(), SCHEMAS).message
        assert isinstance(delivered, ResponseMessage) and isinstance(delivered.payload, OperationSet)
        assert [(one.operation_id, one.code) for one in delivered.reply.errors] == [(1, "0.0"), (2, "0.0")]
        assert len(hes.meters.commands) == 2


def typed(octets: bytes, noun: str, *, says: str = "OperationSet", year: str = "2011") -> bytes:
    """The same set as the message of the service Execute{Noun}OperationSet."""
    namespace = f"http://iec.ch/TC57/{year}/{noun}OperationSetMessage"
    text = octets.decode().replace("<m:RequestMessage ", f'<t:Execute{noun}OperationSet xmlns:t="{namespace}" ')
    text = text.replace("</m:RequestMessage>", f"</t:Execute{noun}OperationSet>")
    for name in ("Header", "Payload", "OperationSet"):
        text = text.replace(f"<m:{name}>", f"<t:{name}>").replace(f"</m:{name}>", f"</t:{name}>")
    return text.replace("<m:Noun>OperationSet<", f"<m:Noun>{says}<").encode()


@pytest.mark.parametrize("says", ["OperationSet", "EndDeviceControls", "EndDeviceControlsOperationSet"])
async def test_a_typed_set_is_the_same_set(tmp_path: Path, says: str) -> None:
    """Answered in its own namespace; an operation that names no noun has that of the message."""
    octets = a_set(control(DISCONNECT, "M1"), get(1))
    path = f"{GENERIC}/ExecuteEndDeviceControlsOperationSet"
    async with north(tmp_path, reads(1, 1)) as hes:
        message = typed(octets, "EndDeviceControls", says=says)
        answer = (await hes.post(message.replace(b"<m:noun>EndDeviceControls</m:noun>", b""), path)).content
        body = etree.fromstring(answer)[0][0]
        assert body.tag == (
            "{http://iec.ch/TC57/2011/EndDeviceControlsOperationSetMessage}EndDeviceControlsOperationSetResponseMessage"
        )
        assert said(answer) == ("OK", [(1, "0.0"), (2, "0.0")])
        payload = read(answer).payload
        assert isinstance(payload, OperationSet) and isinstance(payload.operations[0].payload, MeterReadings)
        assert said((await hes.post(octets, GENERIC)).content) == said(answer), "the same message by another door"
        assert len(hes.meters.commands) == 2


async def test_a_typed_set_is_validated_with_its_payloads(tmp_path: Path) -> None:
    octets = typed(a_set(control(DISCONNECT, "M1")), "EndDeviceControls")
    async with north(tmp_path) as hes:
        for wrong, code in (
            (octets.replace(b"<EndDevices>", b"<Ends/><EndDevices>"), "1.8"),
            (octets.replace(b"<m:operationId>1<", b"<m:operationId>one<"), "1.8"),
            (octets.replace(b"<m:Noun>OperationSet<", b"<m:Noun>MeterReadings<"), "2.5"),
            (octets.replace(b"<m:Verb>execute<", b"<m:Verb>create<"), "2.9"),
        ):
            answer = await hes.post(wrong, GENERIC)
            assert texts(answer.content, "code") == [code], answer.text
        other_year = await hes.post(typed(a_set(control(DISCONNECT, "M1")), "EndDeviceControls", year="2015"), GENERIC)
        assert "other-namespaces" in other_year.text
        assert hes.meters.commands == []


async def test_a_typed_set_of_another_year_is_answered_in_it(tmp_path: Path) -> None:
    """2015 is the year of the public templates."""
    partner = PartnerSettings(source="C4E", dialect="other-namespaces")
    async with north(tmp_path, partners=(partner,)) as hes:
        octets = typed(a_set(control(DISCONNECT, "M1")), "EndDeviceControls", year="2015")
        answer = (await hes.post(octets, GENERIC)).content
        assert texts(answer, "Result") == ["OK"] and b"/2015/EndDeviceControlsOperationSetMessage" in answer


async def test_a_set_is_acknowledged_before_its_meters_are_done(tmp_path: Path) -> None:
    """And once more while it is carried out, without being carried out twice."""
    cis, stand_in = Cis(), StandIn()
    stand_in.open.clear()
    async with cis.serving(), north(tmp_path, stand_in) as hes:
        octets = later(cis, control(DISCONNECT, "M1"), control(CONNECT, "M1"))
        acknowledged = (await hes.post(octets, GENERIC)).content
        assert texts(acknowledged, "code") == ["0.3"]
        await stand_in.began.wait()
        assert (await hes.post(octets, GENERIC)).content == acknowledged
        assert cis.taken.empty()
        stand_in.open.set()
        assert said(await cis.taken.get()) == ("OK", [(1, "0.0"), (2, "0.0")])
        assert [one.body for one in stand_in.commands] == [DISCONNECT, CONNECT]
        assert (await hes.post(octets, GENERIC)).content == acknowledged
    assert rows(tmp_path / "hes.sqlite", "SELECT count(*) FROM kept_messages") == [(0,)]


@pytest.mark.parametrize(
    "left_out",
    [
        b"<m:CorrelationID>set-1</m:CorrelationID>",
        f"<m:Timestamp>{AT.isoformat()}</m:Timestamp>".encode(),
        b"<m:Source>C4E</m:Source>",
    ],
)
async def test_a_set_whose_header_has_what_is_mandatory_alone_is_acknowledged_as_any_other(
    tmp_path: Path, left_out: bytes
) -> None:
    cis = Cis()
    async with cis.serving(), north(tmp_path, reads(1, 1)) as hes:
        octets = later(cis, control(DISCONNECT, "M1"), get(1))
        assert left_out in octets
        assert texts((await hes.post(octets.replace(left_out, b""), GENERIC)).content, "code") == ["0.3"]
        assert said(await cis.taken.get()) == ("OK", [(1, "0.0"), (2, "0.0")])


async def test_an_acknowledged_set_goes_on_by_itself_in_the_next_life(tmp_path: Path) -> None:
    """Nobody sends it again: what it had begun is looked at by the next life, and what it had not is done there."""
    cis, stand_in = Cis(), StandIn()
    stand_in.open.clear()
    async with cis.serving():
        async with north(tmp_path, stand_in) as hes:
            octets = later(cis, control(DISCONNECT, "M1"), control(CONNECT, "M2"))
            assert texts((await hes.post(octets, GENERIC)).content, "code") == ["0.3"]
            await stand_in.began.wait()
        async with north(tmp_path) as hes:
            assert said(await cis.taken.get()) == ("OK", [(1, "0.0"), (2, "0.0")])
            assert hes.meters.told() == [("M1", DISCONNECT, True), ("M2", CONNECT, False)]
    assert len(cis.requests) == 1


async def test_an_acknowledged_set_in_a_restored_copy_is_not_done_again(tmp_path: Path) -> None:
    """What came of it after the copy was made is not in there."""
    cis, stand_in = Cis(), StandIn()
    stand_in.open.clear()
    async with cis.serving():
        async with north(tmp_path, stand_in) as hes:
            octets = later(cis, control(DISCONNECT, "M1"), control(CONNECT, "M2"))
            assert texts((await hes.post(octets, GENERIC)).content, "code") == ["0.3"]
            await stand_in.began.wait()
        async with Database(tmp_path / "hes.sqlite") as database:
            await database.transaction(assume_the_worst)
        async with north(tmp_path) as hes:
            answer = await cis.taken.get()
            assert (texts(answer, "Result"), texts(answer, "code")) == (["FAILED"], ["5.3"])
            assert "may have been done since" in texts(answer, "reason")[0]
            assert [one.meter.name for one in hes.meters.commands] in ([], ["M1"]), "what was open is looked at"


async def test_acknowledged_sets_of_a_sender_are_carried_out_in_their_order(tmp_path: Path) -> None:
    cis, stand_in = Cis(), StandIn()
    stand_in.open.clear()
    async with cis.serving(), north(tmp_path, stand_in) as hes:
        first = later(cis, control(DISCONNECT, "M1"), control(DISCONNECT, "M2"))
        second = later(cis, control(CONNECT, "M2"), message_id="set-2")
        other = later(cis, control(CONNECT, "M3"), message_id="set-3").replace(b">C4E<", b">MDM<")
        for octets in (first, second, other):
            assert texts((await hes.post(octets, GENERIC)).content, "code") == ["0.3"]
        while stand_in.at_work < 2:
            await asyncio.sleep(0)
        stand_in.open.set()
        for _ in range(3):
            assert said(await cis.taken.get())[0] == "OK"
    told = [(name, body) for name, body, _ in stand_in.told()]
    assert sorted(told[:2]) == [("M1", DISCONNECT), ("M3", CONNECT)]
    assert [one for one in told if one[0] != "M3"] == [("M1", DISCONNECT), ("M2", DISCONNECT), ("M2", CONNECT)]


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_a_set_whose_answer_cannot_be_written_has_another_one_and_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asynchronous: bool
) -> None:
    def written(*_: Any, **__: Any) -> bytes:
        raise LocalError("It would not be valid")

    monkeypatch.setattr("ami_hes.jobs.order_answers.format_answer", written)
    cis, events = Cis(), list[Any]()
    async with cis.serving(), north(tmp_path, events=events) as hes:
        octets = later(cis, control(DISCONNECT, "M1")) if asynchronous else a_set(control(DISCONNECT, "M1"))
        given = (await hes.post(octets, GENERIC)).content
        answer = await cis.taken.get() if asynchronous else given
        assert (texts(answer, "Result"), texts(answer, "code")) == (["FAILED"], ["5.3"])
        assert "could not be written" in texts(answer, "reason")[0]
        assert (await hes.post(octets, GENERIC)).content == given
        assert [one["message_id"] for one in events if one["event"] == "answer_invalid"] == ["set-1"]
        assert [one.meter.name for one in hes.meters.commands] == ["M1"]


async def test_a_set_that_is_a_fault_of_ours_each_time_keeps_no_other_back_and_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parsed(octets: bytes, order: StoredRequest) -> RequestMessage:
        if order.request_id == "set-1":
            raise LookupError("a fault of ours")
        return parse_message(octets, order)

    monkeypatch.setattr("ami_hes.jobs.late_orders.parse_message", parsed)
    monkeypatch.setattr("ami_hes.jobs.late_orders._PAUSES", Backoff(0.01, 0.01, 3))
    cis, events = Cis(), list[Any]()
    async with cis.serving(), north(tmp_path, events=events) as hes:
        for number, name in ((1, "M1"), (2, "M2")):
            octets = later(cis, control(DISCONNECT, name), message_id=f"set-{number}")
            assert texts((await hes.post(octets, GENERIC)).content, "code") == ["0.3"]
        assert texts(await cis.taken.get(), "CorrelationID") == ["set-2"]
        last = await cis.taken.get()
        assert texts(last, "CorrelationID") == ["set-1"]
        assert (texts(last, "Result"), texts(last, "code")) == (["FAILED"], ["5.3"])
        assert "by a fault of its own" in texts(last, "reason")[0]
        assert [one["message_id"] for one in events if one["event"] == "answer_failed"] == ["set-1"] * 3
        assert [one.meter.name for one in hes.meters.commands] == ["M2"]


async def test_acknowledged_sets_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ami_hes.jobs.late_orders.MOST", 1)
    cis, stand_in = Cis(), StandIn()
    stand_in.open.clear()
    async with cis.serving(), north(tmp_path, stand_in) as hes:
        assert texts((await hes.post(later(cis, control(DISCONNECT, "M1")), GENERIC)).content, "code") == ["0.3"]
        refused = (await hes.post(later(cis, control(CONNECT, "M2"), message_id="set-2"), GENERIC)).content
        assert (texts(refused, "Result"), texts(refused, "code")) == (["FAILED"], ["3.2"])
        stand_in.open.set()
        await cis.taken.get()
    assert [one.meter.name for one in stand_in.commands] == ["M1"]


async def test_a_set_of_which_nothing_is_done_is_not_acknowledged(tmp_path: Path) -> None:
    cis = Cis()
    async with cis.serving(), north(tmp_path) as hes:
        answer = (await hes.post(later(cis), GENERIC)).content
        assert (texts(answer, "Result"), texts(answer, "code")) == (["FAILED"], ["1.7"])
        assert cis.requests == []


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (a_set(), "1.7"),
        (a_set(*[get(1)] * 101), "3.1"),
        (a_set(get(1), get(1)).replace(b"<m:operationId>2<", b"<m:operationId>1<"), "1.6"),
        (a_set(get(1)).replace(b">execute<", b">create<"), "2.9"),
    ],
)
async def test_sets_of_which_nothing_is_done(tmp_path: Path, octets: bytes, code: str) -> None:
    async with north(tmp_path, reads(1, 1)) as hes:
        answer = (await hes.post(octets, GENERIC)).content
        assert (texts(answer, "Result"), texts(answer, "code")) == (["FAILED"], [code])
        assert hes.meters.commands == []


@pytest.mark.parametrize(
    ("operation", "code"),
    [(config("OperationSet"), "2.5"), (("created", *get(1)[1:]), "2.9"), (("create", *get(1)[1:]), "2.9")],
)
async def test_an_operation_that_is_none_fails_alone(
    tmp_path: Path, operation: tuple[str, str, str], code: str
) -> None:
    async with north(tmp_path, reads(1, 1)) as hes:
        answer = (await hes.post(a_set(operation, get(1)), GENERIC)).content
        assert said(answer) == ("PARTIAL", [(1, code), (1, code), (2, "0.0")])


async def test_a_payload_in_an_operation_is_validated_like_any_other(tmp_path: Path) -> None:
    octets = a_set(control(DISCONNECT, "M1")).replace(b"<EndDevices>", b"<Ends/><EndDevices>")
    async with north(tmp_path) as hes:
        answer = await hes.post(octets, GENERIC)
        assert (answer.status_code, texts(answer.content, "code")) == (500, ["1.8"])
        assert hes.meters.commands == []


async def test_the_set_of_an_erp_in_its_dialect(tmp_path: Path) -> None:
    """Its own namespace, its element more, Names first, and 0.0 as the only code of success, also for what is read."""
    extra = "<m:timesliceOperation>false</m:timesliceOperation>"
    partner = PartnerSettings(name="erp", source="C4E", dialect="sap-c4e")
    async with north(tmp_path, reads(2, 1), partners=(partner,)) as hes:
        octets = a_set(control(DISCONNECT, "M1", namespace=C4E), get(1, 2, namespace=C4E), extra=extra)
        answer = (await hes.post(octets, GENERIC)).content
        assert (texts(answer, "Result"), set(texts(answer, "code"))) == (["OK"], {"0.0"})
        assert texts(answer, "operationId") == ["1", "2", "2"]
        (payload,) = etree.fromstring(answer).iter(f"{{{C4E}}}MeterReadings")
        assert [etree.QName(one).localname for one in next(payload.iter(f"{{{C4E}}}Meter"))] == ["Names", "mRID"]
        assert texts(answer, "value") == ["0", "0"]
        nouns = "UsagePointLocationConfig", "UsagePointConfig", "MeterConfig", "MasterDataLinkageConfig"
        master_data = a_set(*map(config, nouns), flags=INTEGRITY, extra=extra, message_id="set-2")
        refused = (await hes.post(master_data, GENERIC)).content
        assert (texts(refused, "Result"), texts(refused, "code")) == (["FAILED"], ["2.5", "5.9", "5.9", "5.9"])
        assert texts(refused, "operationId") == ["1", "2", "3", "4"]


def test_the_process_that_reads_hands_a_set_on() -> None:
    octets = a_set(control(DISCONNECT, "M1"), get(1), config("MeterConfig"), flags=SEQUENCE)
    order = transfer.write_order(transfer.TransferOrder(kind="request", limits=UNKNOWN_PEER))
    assert transfer.read_request(reading.read(order, octets)) == wire.read_request(octets, SCHEMAS)

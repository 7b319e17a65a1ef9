"""What meters push has a trace: over TCP and UDP, ciphered and deciphered, with the events that came of it; and so it is in captures."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from north_bench import Cis, North
from patience import PATIENCE_S
from scheduled import reported
from test_traces import listed, trace_of
from told_events import FRAUD, events_of, head_end
from typer.testing import CliRunner

from ami_cli.__main__ import app
from ami_cli.decode.captures.files import records
from ami_cli.decode.captures.streams import messages
from ami_dlms import data
from ami_dlms.explain import is_sound
from ami_hes.traces import keeping
from ami_hes.traces import pushes as kept_pushes
from ami_trace.explained import explained, frame_of
from ami_trace.form import Kind, Outcome, Trace
from ami_trace.pcapng import EXPORTED_PDU, ExportedPdu


async def pushes(hes: North, number: int, **query: Any) -> list[str]:
    """As soon as there are so many."""
    async with asyncio.timeout(PATIENCE_S):
        while len(found := await listed(hes, pushes="true", **query)) < number:
            await asyncio.sleep(0)
    return found


def verdicts(trace: Trace) -> list[str]:
    return [f"{span.name}: {span.text}" for span in trace.spans if span.kind is Kind.VERDICT]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_the_trace_of_an_event_is_that_of_the_push_that_brought_it(
    tmp_path: Path, events: list[Any], transport: str
) -> None:
    async with Cis().serving() as oms, head_end(tmp_path, oms.url, events) as (hes, meter):
        alarm, entry = meter.alarms(FRAUD, 0), meter.notified(1, "0-0:96.11.1", data.unsigned(44))
        meter.send(alarm, entry, transport=transport)
        came = events_of(await oms.taken.get())
        while len(came) < 2:
            came += events_of(await oms.taken.get())
        [fraud] = [event.mrid or "" for event in came if event.event_type == "0.12.0.257"]
        [second, first] = await pushes(hes, 2)
        assert await pushes(hes, 2, meter="M1") == [second, first] == await pushes(hes, 2, meter=meter.entry["mrid"])
        assert await listed(hes, pushes="true", limit=1, before=second) == [first]
        assert await listed(hes, pushes="true", meter="M2") == [] == await listed(hes, pushes="true", failed="true")
        trace, of_event = await trace_of(hes, first), await trace_of(hes, fraud)
        other = await trace_of(hes, second)
        struck = await trace_of(hes, first, redacted="true")
        capture = await hes.client.get(f"{hes.url}/api/v1/traces/{first}", params={"as": "pcapng"})
    assert trace == of_event and (trace.verb, trace.noun, trace.source) == ("push", "DataNotification", "M1")
    assert other.noun == "EventNotification" and verdicts(other)[0].startswith("event 0.12.141.212: ")
    assert verdicts(trace) == [f"event 0.12.0.257: fraud attempt ({fraud})"] and trace.outcome is Outcome.OK
    [connection] = [span for span in trace.spans if span.kind is Kind.CONNECTION]
    assert connection.transport == transport and connection.peer is not None
    [(_, record)] = trace.apdus()
    assert (record.octets, record.source, record.destination) == (alarm.hex(), 1, 102) and record.clear is not None
    trees = explained(record)
    assert trees.frame is not None and trees.clear is not None and is_sound(trees.frame) and is_sound(trees.clear)
    [message] = list(messages(BytesIO(capture.content)))
    assert message.octets == frame_of(record) and message.destination.endswith(":4059")
    [clear] = [one for one in records(BytesIO(capture.content)) if one.link == EXPORTED_PDU]
    assert ExportedPdu.decode(clear.octets).octets.hex() == record.clear
    assert not next(iter(struck.apdus()))[1].octets and verdicts(struck) == ["event 0.12.0.257: "]


async def test_a_confirmation_stands_behind_its_push_and_what_was_dropped_has_its_reason(
    tmp_path: Path, events: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_pushes, "PER_SECOND_UNSECURED", 100.0)
    async with Cis().serving() as oms, head_end(tmp_path, oms.url, events) as (hes, meter):
        asks = dataclasses.replace(meter, plain=True).confirmed_last_gasp()
        meter.send(asks, transport="tcp")
        await reported(events, "notification_confirmed", 1)
        used = meter.last_gasp()
        meter.send(used, used)
        await reported(events, "dropped", 1)
        *_, first = await pushes(hes, 3)
        [dropped] = await pushes(hes, 1, failed="true")
        trace, refused = await trace_of(hes, first), await trace_of(hes, dropped)
    [came, went] = [record for _, record in trace.apdus()]
    assert came.octets == asks.hex() and (went.source, went.destination) == (102, 1)
    assert refused.outcome is Outcome.FAILED and refused.source is None
    assert verdicts(refused)[0].startswith("dropped: ") and "counter" in verdicts(refused)[0]


async def test_strangers_fill_no_store(tmp_path: Path, events: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "real_time", lambda: 1.0)  # all within one second
    async with Cis().serving() as oms, head_end(tmp_path, oms.url, events) as (hes, meter):
        plain = dataclasses.replace(meter, plain=True)
        plain.send(*(plain.last_gasp() for _ in range(50)))
        await reported(events, "notification", 50)
        meter.send(meter.last_gasp())
        await reported(events, "notification", 51)
        found = await pushes(hes, 2)
        traces = [await trace_of(hes, one) for one in found]
    assert [trace.source for trace in traces] == ["M1", None]


async def test_pushes_are_listed_in_words_with_what_came_of_them_or_why_not(
    tmp_path: Path, events: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_pushes, "PER_SECOND_UNSECURED", 100.0)
    async with Cis().serving() as oms, head_end(tmp_path, oms.url, events) as (hes, meter):
        meter.send(meter.alarms(FRAUD, 0), transport="tcp")
        await pushes(hes, 1)
        used = meter.notified(1, "0-0:96.11.1", data.unsigned(44))
        meter.send(used)
        await pushes(hes, 2)
        meter.send(used)
        await pushes(hes, 3)
        plain = dataclasses.replace(meter, plain=True)
        plain.send(plain.last_gasp())
        await pushes(hes, 4)
        address = f"{hes.url}/api/v1/pushes"
        whole = (await hes.client.get(address)).json()
        failed = (await hes.client.get(address, params={"failed": "true"})).json()
        of_mrid = (await hes.client.get(address, params={"meter": meter.entry["mrid"], "limit": 1})).json()
        behind = (await hes.client.get(address, params={"meter": "M1", "before": of_mrid["next"]})).json()
        wrong = [await hes.client.get(address, params=one) for one in ({"limit": "0"}, {"x": "1"}, {"meter": ""})]
        traces = [await trace_of(hes, one["push_id"]) for one in whole["pushes"]]
    assert whole["next"] is None and len(whole["pushes"]) == 4
    first, second, third, fourth = reversed(whole["pushes"])
    assert (first["meter"], first["service"], first["transport"]) == ("M1", "DataNotification", "tcp")
    assert first["words"] == [
        'octet-string "1"',
        "octet-string 0-4:25.9.0*255, push setup, channel 4",
        f"double-long-unsigned {FRAUD}",
        "double-long-unsigned 0",
    ]
    assert [(one["type"], one["reason"]) for one in first["events"]] == [("0.12.0.257", "fraud attempt")]
    assert second["words"] == ["data 0-0:96.11.1*255 value (class 1, attribute 2)", "unsigned 44"]
    assert second["taken"] and second["reason"] is None and third["taken"] is False
    assert "counter" in third["reason"] and third["meter"] is None and failed["pushes"] == [third]
    assert third["words"] == ["general-glo-ciphering"], "whose keys don't vouch for it is not deciphered"
    assert (fourth["meter"], fourth["taken"], fourth["events"]) == (None, True, [])
    assert of_mrid["pushes"][0]["meter"] == "M1" and of_mrid["next"] == of_mrid["pushes"][0]["push_id"]
    assert of_mrid["pushes"] + behind["pushes"] == [one for one in whole["pushes"] if one["meter"] == "M1"]
    assert [one.status_code for one in wrong] == [422, 422, 422]
    assert [trace.outcome is Outcome.OK for trace in traces] == [one["taken"] for one in whole["pushes"]]


async def ami(*arguments: str) -> Result:
    """The command line, as a person has it."""
    return await asyncio.to_thread(CliRunner().invoke, app, ["trace", *arguments])


async def test_the_command_line_lists_pushes_shows_one_and_writes_captures_of_it_for_either_reader(
    tmp_path: Path, events: list[Any]
) -> None:
    async with Cis().serving() as oms, head_end(tmp_path, oms.url, events) as (hes, meter):
        meter.send(meter.alarms(FRAUD, 0), transport="tcp")
        [first] = await pushes(hes, 1)
        used = meter.last_gasp()
        meter.send(used)
        await pushes(hes, 2)
        meter.send(used)
        *_, dropped = reversed(await pushes(hes, 3))
        at = ("--url", hes.url)
        whole, of_meter = await ami("--pushes", *at), await ami("--pushes", "--meter", meter.entry["mrid"], *at)
        nobody, failed = await ami("--pushes", "--meter", "M2", *at), await ami("--pushes", "--failed", "--json", *at)
        one, last = await ami(first, *at), await ami("--last", "--pushes", "--failed", *at)
        both, noun = await ami(first, "--pushes", *at), await ami("--pushes", "--noun", "EndDeviceEvents", *at)
        files = {reader: tmp_path / f"{reader}.clear.pcapng" for reader in ("stock", "plugin")}
        written = [await ami(first, "--pcapng", str(path), "--companion", name, *at) for name, path in files.items()]
        unknown = await ami(first, "--pcapng", str(tmp_path / "x.pcapng"), "--companion", "word", *at)
    assert whole.exit_code == of_meter.exit_code == 0
    assert first in whole.output and dropped in whole.output and whole.output.count("push-") == 3
    assert first in of_meter.output and dropped not in of_meter.output
    assert "push-" not in nobody.output
    assert [line["message_id"] for line in json.loads(failed.stdout)["traces"]] == [dropped]
    assert one.exit_code == last.exit_code == 0
    assert "data-notification" in one.output and "fraud attempt" in one.output and "deciphered" in one.output
    assert "used before" in last.output and "dropped" in last.output
    assert (both.exit_code, noun.exit_code, unknown.exit_code) == (2, 2, 2)
    assert [result.exit_code for result in written] == [0, 0]
    for reader, dissector in (("stock", "dlms"), ("plugin", "amidlms")):
        clear = [one for one in records(BytesIO(files[reader].read_bytes())) if one.link == EXPORTED_PDU]
        assert [ExportedPdu.decode(one.octets).dissector for one in clear] == [dissector]

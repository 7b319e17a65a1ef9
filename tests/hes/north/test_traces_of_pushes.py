"""What meters push has a trace: over TCP and UDP, ciphered and deciphered, with the events that came of it; and so it is in captures."""

from __future__ import annotations

import asyncio
import dataclasses
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from north_bench import Cis, North
from patience import PATIENCE_S
from scheduled import reported
from test_traces import listed, trace_of
from told_events import FRAUD, events_of, head_end

from ami_cli.decode.captures.files import records
from ami_cli.decode.captures.streams import messages
from ami_dlms import data
from ami_dlms.explain import is_sound
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


async def test_strangers_fill_no_store(tmp_path: Path, events: list[Any]) -> None:
    async with Cis().serving() as oms, head_end(tmp_path, oms.url, events) as (hes, meter):
        plain = dataclasses.replace(meter, plain=True)
        plain.send(*(plain.last_gasp() for _ in range(50)))
        await reported(events, "notification", 50)
        meter.send(meter.last_gasp())
        await reported(events, "notification", 51)
        found = await pushes(hes, 2)
        traces = [await trace_of(hes, one) for one in found]
    assert traces[0].source == "M1" and len(found) < 10
    assert {trace.source for trace in traces[1:]} == {None}

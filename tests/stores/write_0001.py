"""Run with the packages of b1b9f9c (`hes`, `cis`): a store of each, as `make.py` asks for them."""

# mypy: ignore-errors
from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cis.store import SentRequest, State, Store, TakenEvent, TakenReply
from hes.store import Database, SqlCounters, SqlResults, StoredCommand, StoredRequest, StoredResult

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOBODY = "http://127.0.0.1:9/cim"
ACKNOWLEDGEMENT = (
    b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
    b'<ResponseMessage xmlns="http://iec.ch/TC57/2011/schema/message"/>'
    b"</s:Body></s:Envelope>"
)


def request(name: str, second: int, reply_address: str | None) -> StoredRequest:
    at = NOW + timedelta(seconds=second)
    return StoredRequest(
        request_id=name,
        digest=f"digest of {name}",
        noun="EndDeviceControls",
        correlation_id=f"{name}-correlation",
        reply_address=reply_address,
        accepted_at=at,
        deadline_at=at + timedelta(seconds=30),
        errors="[]",
        acknowledgement=None if reply_address is None else ACKNOWLEDGEMENT,
    )


def command(name: str, meter: str) -> StoredCommand:
    mrid = f"00000000-0000-4000-8000-00000000{meter[1:]}"
    return StoredCommand(request_id=name, meter_name=meter, mrid=mrid, control_code="3.31.0.23")


def result(name: str, meter: str) -> StoredResult:
    return StoredResult(
        request_id=name,
        meter_name=meter,
        ok=True,
        reply_code=None,
        level=None,
        reason="disconnected",
        attempted=True,
        took_ms=12.5,
        detail='{"before": "connected"}',
        finished_at=NOW,
    )


async def write_hes(path: Path) -> None:
    async with Database(path) as database:
        results, counters = SqlResults(database), SqlCounters(database)
        for second, (name, address) in enumerate((("answered", None), ("owed", NOBODY), ("open", NOBODY))):
            await results.accept(request(name, second, address), [command(name, "M1001"), command(name, "M1002")])
        for name in ("answered", "owed"):
            await results.save([result(name, "M1001"), result(name, "M1002")])
            await results.answer(name, f"<answer of='{name}'/>".encode(), NOW)
        await results.save([result("open", "M1002")])
        await counters.reserve_counters("M1001", "key of two meters", 0, 100)
        await counters.reserve_counters("M1002", "key of two meters", 0, 300)
        await counters.reserve_counters("M1003", "another key", 7, 1)


def sent(name: str, second: int, state: State = State.SENT, reason: str | None = None) -> SentRequest:
    at = NOW + timedelta(seconds=second)
    return SentRequest(
        message_id=name,
        correlation_id=f"{name}-correlation",
        verb="create",
        noun="EndDeviceControls",
        code="3.31.0.23",
        meters=("M1001",),
        asynchronous=True,
        sent_at=at,
        state=state,
        reason=reason,
    )


async def write_cis(path: Path) -> None:
    async with Store.opened(path) as store:
        for second, name in enumerate(("answered", "acknowledged", "failed", "sent")):
            await store.add_request(sent(name, second))
        await store.add_reply("answered", TakenReply("digest", True, "OK", (), NOW))
        await store.move("acknowledged", State.ACKNOWLEDGED)
        await store.move("failed", State.FAILED, "no answer within 10 s")
        await store.add_event(TakenEvent("event", "created", "EndDeviceEvents", b"<event/>", NOW))


directory = Path(sys.argv[1])
asyncio.run(write_hes(directory / "hes-0001.sqlite"))
asyncio.run(write_cis(directory / "cis-0001.sqlite"))

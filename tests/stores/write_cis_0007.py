"""Run with the packages of the version that brought schema 0007: a store of the CIS, as `make.py` asks for it."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ami_cis.store import KeptDeviceEvent, KeptPlace, KeptReading, SentRequest, State, Store, TakenEvent, TakenReply

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
IMPORT = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"
READING = KeptReading("M1001", IMPORT, NOW, None, "1234.5670", ("1.0.0", "1.4.16"), "meter", NOW, "answered")

HAPPENED = KeptDeviceEvent(
    "an-event", "M1001", "0.12.0.257", NOW, "fraud attempt", None, (("bit", "13"),), None, NOW, "event"
)


def sent(name: str, second: int) -> SentRequest:
    at = NOW + timedelta(seconds=second)
    return SentRequest(name, f"{name}-correlation", "create", "EndDeviceControls", "3.31.0.23", ("M1001",), True, at)


async def write_cis(path: Path) -> None:
    async with Store.opened(path) as store:
        for second, name in enumerate(("answered", "acknowledged", "failed", "unknown", "sent")):
            await store.add_request(sent(name, second), f"<request of='{name}'/>".encode())
        await store.add_reply("answered", TakenReply("digest", True, "OK", (), NOW), [READING])
        await store.move("acknowledged", State.ACKNOWLEDGED)
        await store.move("failed", State.FAILED, "connection refused")
        await store.move("unknown", State.UNKNOWN, "no answer within 10 s")
        await store.add_event(TakenEvent("event", "created", "EndDeviceEvents", b"<event/>", NOW), (), [HAPPENED])
        assert await store.acknowledge_device_events(["an-event"], NOW, "olga") == 1
        await store.keep_places([KeptPlace("UP-1001", 0.003144, -0.000162, "1 Alder Street, S1-F1", NOW)])
        await store.check()


directory, suffix = Path(sys.argv[1]), sys.argv[2]
asyncio.run(write_cis(directory / f"cis-{suffix}.sqlite"))

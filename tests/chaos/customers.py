"""The load: customers who switch and read meters by way of the CIS and past it, at once and later, and operators who roll keys, collect and set off alarms.

Each meter has one customer who switches it, one control after the other, so that what its switch has to show is known. A customer whose
connection breaks asks again under the same MessageID, as the standard wants; who has an acknowledgement only waits.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import httpx
from lxml import etree

from ami_cim import envelope, wire
from ami_cim.identity import EndDevice, Identified
from ami_cim.message import Header, RequestMessage
from ami_cim.payloads.end_device_controls import EndDeviceControl, EndDeviceControls
from ami_cim.payloads.get_meter_readings import GetMeterReadings
from ami_cim.schema import Schemas
from chaos.ledger import Entry, Final, Ledger

DISCONNECT, CONNECT = "3.31.0.23", "3.31.0.18"
IMPORT = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"
DIRECT, DIRECT_LATER, BY_CIS, BY_CIS_LATER = "direct", "direct, later", "CIS", "CIS, later"
WAYS = (DIRECT, DIRECT_LATER, BY_CIS, BY_CIS_LATER)
ACKNOWLEDGED = "0.3"
NOTHING_ACCEPTED = "othing was accepted"
"""In the words of a refusal when the store takes nothing."""
PAUSE_S = 0.1
AGAIN = 0.2
"""How often a customer asks once more for an answer that it has."""
SCHEMAS = Schemas()


def texts(body: bytes, name: str) -> list[str]:
    return [element.text or "" for element in etree.fromstring(body).iter(f"{{*}}{name}")]


@dataclass
class Town:
    """Where everything is, and who watches."""

    hes: str
    cis: str
    meter_sim: str
    reply_address: str
    meters: dict[str, str]
    """Names and mRIDs."""
    ledger: Ledger
    client: httpx.AsyncClient
    step: Callable[[], int] = lambda: 0


@dataclass
class Customers:
    """All of them, at work from `begin` to `end`; `done` counts what came to its end."""

    town: Town
    dice: random.Random
    campaigns: int = 0
    _going: bool = True
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def begin(self) -> None:
        works: list[Callable[[], Awaitable[None]]] = [
            *(lambda meter=meter: self._switches(meter) for meter in self.town.meters),  # type: ignore[misc]
            self._reads,
            self._reads,
            self._rolls_keys,
            self._sets_off_alarms,
            self._collects,
        ]
        self._tasks = [asyncio.ensure_future(work()) for work in works]  # type: ignore[arg-type]

    def check(self) -> None:
        """Raise what one of them has raised."""
        for one in self._tasks:
            if one.done():
                one.result()

    async def end(self) -> None:
        """Nobody begins anything more; returns when all have what they wait for."""
        self._going = False
        await asyncio.gather(*self._tasks)

    def cancel(self) -> None:
        for one in self._tasks:
            one.cancel()

    async def _switches(self, meter: str) -> None:
        connects = False
        while self._going:
            entry = self._new("control", meter, connects)
            await self.ask(entry, self.control(entry))
            connects = not connects
            await asyncio.sleep(self.dice.uniform(0, PAUSE_S))

    async def _reads(self) -> None:
        while self._going:
            entry = self._new("reading", self.dice.choice(list(self.town.meters)))
            await self.ask(entry, self._reading(entry))
            await asyncio.sleep(self.dice.uniform(0, 3 * PAUSE_S))

    def _new(self, what: str, meter: str, connects: bool | None = None) -> Entry:
        identifier = str(uuid.UUID(int=self.dice.getrandbits(128), version=4))
        way = self.dice.choice(WAYS)
        return self.town.ledger.open(Entry(identifier, what, way, meter, self.town.step(), connects))

    def _header(self, entry: Entry, verb: str, noun: str) -> Header:
        later = entry.way == DIRECT_LATER
        return Header(
            verb=verb,
            noun=noun,
            message_id=entry.message_id,
            correlation_id=entry.message_id,
            timestamp=datetime.now(UTC),
            source="customer",
            async_reply_flag=True if later else None,
            reply_address=self.town.reply_address if later else None,
        )

    def control(self, entry: Entry) -> RequestMessage:
        device = EndDevice(mrid=self.town.meters[entry.meter])
        control = EndDeviceControl(control_type=CONNECT if entry.connects else DISCONNECT, end_devices=(device,))
        header = self._header(entry, "create", "EndDeviceControls")
        return RequestMessage(header=header, payload=EndDeviceControls((control,)))

    def _reading(self, entry: Entry) -> RequestMessage:
        device = EndDevice(mrid=self.town.meters[entry.meter])
        query = GetMeterReadings(end_devices=(device,), reading_types=(Identified(mrid=IMPORT),))
        return RequestMessage(header=self._header(entry, "get", "MeterReadings"), query=query)

    async def ask(self, entry: Entry, message: RequestMessage) -> None:
        """See one through to its end."""
        if entry.way in (BY_CIS, BY_CIS_LATER):
            await self._ask_cis(entry)
        else:
            await self._ask_hes(entry, wire.write_request(message, envelope.REQUEST_MESSAGE, SCHEMAS))
        await entry.ended.wait()

    async def _ask_hes(self, entry: Entry, body: bytes) -> None:
        again = entry.way == DIRECT and self.dice.random() < AGAIN
        while not (entry.ended.is_set() or entry.accepted):
            await self._post(entry, body)
        if again and not entry.refused:
            known = len(entry.finals)
            while len(entry.finals) == known:
                await self._post(entry, body)

    async def _post(self, entry: Entry, body: bytes) -> None:
        """Once; what can't be had now is asked for again."""
        try:
            answer = await self.town.client.post(f"{self.town.hes}/cim", content=body, headers=XML)
        except httpx.TransportError:
            await asyncio.sleep(PAUSE_S)
            return
        codes, results = texts(answer.content, "code"), texts(answer.content, "Result")
        if codes == [ACKNOWLEDGED]:
            entry.accepted = True
        elif NOTHING_ACCEPTED in answer.text and not entry.finals:
            entry.refuse(f"{texts(answer.content, 'reason')}")
        elif answer.status_code == HTTPStatus.OK and results and NOTHING_ACCEPTED not in answer.text:
            (message_id,) = texts(answer.content, "MessageID")
            entry.reply(Final.of(message_id, results[0], answer.content))
        else:
            await asyncio.sleep(PAUSE_S)

    async def _ask_cis(self, entry: Entry) -> None:
        path, order = ("controls", {"code": CONNECT if entry.connects else DISCONNECT})
        if entry.connects is None:
            path, order = ("readings", {"reading_types": [IMPORT]})
        order |= {"meters": [entry.meter], "message_id": entry.message_id, "asynchronous": entry.way == BY_CIS_LATER}
        with suppress(httpx.TransportError):
            await self.town.client.post(f"{self.town.cis}/api/v1/{path}", json=order)
        while not entry.ended.is_set():
            await self._look_at_cis(entry)

    async def _look_at_cis(self, entry: Entry) -> None:
        """What the CIS knows of it, whether it has answered the order or not."""
        try:
            answer = await self.town.client.get(f"{self.town.cis}/api/v1/requests/{entry.message_id}")
        except httpx.TransportError:
            await asyncio.sleep(PAUSE_S)
            return
        if answer.status_code == HTTPStatus.NOT_FOUND:
            entry.refuse("the CIS has kept nothing of it")
            return
        known = answer.json()["request"] if answer.status_code == HTTPStatus.OK else {"state": "sent"}
        if known["state"] == "failed":
            entry.refuse(known["reason"])
        elif known["state"] == "answered":
            entry.reply(Final("", known["result"], ""))
        else:
            entry.accepted |= known["state"] == "acknowledged"
            await asyncio.sleep(PAUSE_S)

    async def _rolls_keys(self) -> None:
        """Authentication keys: the other ones cipher what the wires are read by."""
        while self._going:
            order = {"meters": list(self.town.meters), "key": "authentication"}
            ordered = await self._json("POST", f"{self.town.hes}/api/v1/campaigns/keys", order)
            while ordered is not None and self._going:
                found = await self._json("GET", f"{self.town.hes}/api/v1/campaigns/{ordered['id']}")
                if found is not None and found["state"] == "ended":
                    self.campaigns += 1
                    break
                await asyncio.sleep(5 * PAUSE_S)
            await asyncio.sleep(5 * PAUSE_S)

    async def _sets_off_alarms(self) -> None:
        """Each of which is a push, so a cover that is open is closed before it is opened again."""
        while self._going:
            path = f"{self.town.meter_sim}/api/v1/meters/{self.dice.choice(list(self.town.meters))}/conditions"
            for there in (False, True):
                await self._json("POST", path, {"condition": "terminal_cover", "there": there})
            await asyncio.sleep(self.dice.uniform(0, 3 * PAUSE_S))

    async def _collects(self) -> None:
        """By an hourly schedule that is put anew to be due within the next minute."""
        while self._going:
            at = datetime.now(UTC) + timedelta(minutes=1)
            order = {
                "reading_types": [IMPORT],
                "meters": list(self.town.meters),
                "every": "hour",
                "at": f"{at:%H:%M}",
                "time_zone": "UTC",
                "deadline_s": 30.0,
            }
            put = await self._json("PUT", f"{self.town.hes}/api/v1/schedules/chaos", order)
            for _ in range(600 if put is not None else 1):
                if self._going:
                    await asyncio.sleep(PAUSE_S)

    async def _json(self, method: str, url: str, body: Any = None) -> Any:
        """None where nothing answers, or not now."""
        with suppress(httpx.TransportError):
            answer = await self.town.client.request(method, url, json=body)
            if answer.is_success:
                return answer.json()
        return None


XML = {"Content-Type": "text/xml; charset=utf-8"}

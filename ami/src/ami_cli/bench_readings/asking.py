"""Requests of the bench: controls, and readings of registers or of a day. Each counts only if every meter has given everything."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter

import httpx
from lxml import etree

from ami_cim import wire
from ami_cim.envelope import typed_wrapper
from ami_cim.identity import EndDevice, Identified
from ami_cim.message import Header, RequestMessage
from ami_cim.payloads.end_device_controls import EndDeviceControl, EndDeviceControls
from ami_cim.payloads.get_meter_readings import AskedReading, GetMeterReadings
from ami_cim.periods import Period
from ami_cim.schema import Schemas
from ami_cli.bench import CONNECT, DISCONNECT, BenchError

REGISTERS = (
    "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0",
    "0.0.0.1.19.1.12.0.0.0.0.0.0.0.0.3.72.0",
    "0.0.0.12.1.1.37.0.0.0.0.0.0.0.0.0.38.0",
    "0.0.0.12.0.1.54.0.0.0.0.0.0.0.129.0.29.0",
)
"""Energy both ways, power, voltage."""
PROFILE = ("0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0", "0.0.2.1.19.1.12.0.0.0.0.0.0.0.0.3.72.0")
"""The registers of each quarter; with its time and its status a row has four columns."""
DAY = timedelta(days=1)
QUARTERS = 96
SCHEMAS = Schemas()
Answer = tuple[float, etree._Element]


@dataclass(frozen=True, slots=True)
class Asking:
    """An HES that is asked."""

    client: httpx.AsyncClient
    url: str

    async def switch(self, meters: Sequence[str], run: int) -> float:
        """Disconnect and connect in turn; the seconds until the one reply."""
        control = EndDeviceControl(
            control_type=CONNECT if run % 2 else DISCONNECT,
            end_devices=tuple(EndDevice(mrid=one) for one in meters),
        )
        message = RequestMessage(header=_header("create", "EndDeviceControls"), payload=EndDeviceControls((control,)))
        seconds, _ = await self._ask(message, "ExecuteEndDeviceControls")
        return seconds

    async def read(self, meters: Sequence[str], types: Sequence[str], day: datetime | None = None) -> float:
        """Registers as they are now, or the profile of a day; the seconds until the one reply."""
        period = () if day is None else (AskedReading(source="meter", period=Period(start=day, end=day + DAY)),)
        query = GetMeterReadings(
            end_devices=tuple(EndDevice(mrid=one) for one in meters),
            reading_types=tuple(Identified(mrid=one) for one in types),
            readings=period,
        )
        message = RequestMessage(header=_header("get", "MeterReadings"), query=query)
        seconds, answer = await self._ask(message, "GetMeterReadings")
        expected = len(meters) * len(types) * (QUARTERS if day else 1)
        values = sum(1 for _ in answer.iter("{*}value"))
        if values != expected:
            raise BenchError(f"{values} values came, and {expected} were asked for")
        return seconds

    async def _ask(self, message: RequestMessage, path: str) -> Answer:
        octets = wire.write_request(message, typed_wrapper(message.header.verb, message.header.noun), SCHEMAS)
        began = perf_counter()
        answer = await self.client.post(
            f"{self.url}/cim/{path}", content=octets, headers={"Content-Type": "text/xml; charset=utf-8"}
        )
        seconds = perf_counter() - began
        root = etree.fromstring(answer.content, etree.XMLParser(resolve_entities=False, huge_tree=True))
        result = root.findtext(".//{*}Reply/{*}Result")
        if result != "OK":
            reasons = [one.text or "" for one in root.iterfind(".//{*}Error/{*}reason")]
            raise BenchError(f"the reply is {result}: {'; '.join(reasons[:3]) or answer.text[:300]}")
        return seconds, root


def a_day(now: datetime) -> datetime:
    """The last one that is over, in UTC."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - DAY


def _header(verb: str, noun: str) -> Header:
    message_id = str(uuid.uuid4())
    return Header(
        verb=verb,
        noun=noun,
        timestamp=datetime.now(UTC),
        source="bench",
        message_id=message_id,
        correlation_id=message_id,
    )

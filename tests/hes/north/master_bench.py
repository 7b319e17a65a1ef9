"""Master data asked of a head-end in CIM over real sockets: messages, and what the registry has afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from north_bench import (
    DISCONNECT,
    GENERIC,
    North,
    control,
    mrid,
    north,
    octets,
    request,
)

from ami_cim.identity import Identified, Name
from ami_cim.message import Header, Property, RequestMessage, ResponseMessage
from ami_cim.payloads import Payload
from ami_cim.payloads.device_assets import DeviceAsset
from ami_cim.payloads.master_data_linkage_config import MasterDataLinkageConfig
from ami_cim.payloads.meter_config import MeterConfig

NOW = datetime(2026, 1, 15, tzinfo=UTC)


KEY, OTHER = "00112233445566778899aabbccddeeff", "ff" * 16


NEW = DeviceAsset(
    mrid=mrid(77),
    serial_number="77",
    lan="127.0.0.1:77",
    names=(Name(name="M77"), Name(name="LDN77", name_type="logicalDeviceName")),
)


def row(number: int, **more: Any) -> dict[str, Any]:
    """Of a shipment, with keys."""
    columns = {
        "name": f"M{number}",
        "mrid": mrid(number),
        "address": f"127.0.0.1:{number}",
        "logical_device_name": f"LDN{number}",
        "device_id": str(number),
        "encryption_key": KEY,
        "authentication_key": OTHER,
        "system_title": f"414d4900000000{number:02x}",
    }
    return {"place": f"row {number}", "columns": columns | more}


def group(tag: str, value: str) -> Name:
    return Name(name=value, name_type=tag, authority="EndDeviceGroup")


@pytest.fixture
async def hes(tmp_path: Path) -> AsyncIterator[North]:
    """With M1 to M3 of the configuration, and M11 and M12 of a shipment."""
    async with north(tmp_path) as site:
        answer = await site.client.post(f"{site.url}/api/v1/meters", json={"rows": [row(11), row(12)]})
        assert answer.status_code == 200, answer.text
        yield site


class Numbers:
    """MessageIDs, each another one."""

    count = 0

    @classmethod
    def next(cls) -> str:
        cls.count += 1
        return f"master-{cls.count}"


def message(verb: str, content: Payload, *options: Property, message_id: str = "") -> RequestMessage:
    """A payload, or a query profile."""
    noun = type(content).__name__.removeprefix("Get")
    number = message_id or Numbers.next()
    header = Header(verb=verb, noun=noun, timestamp=NOW, source="CIS", message_id=number, correlation_id=number)
    if verb == "get":
        return RequestMessage(header=header, query=content, options=options)
    return RequestMessage(header=header, payload=content)


async def ask(hes: North, verb: str, content: Payload, *options: Property) -> ResponseMessage:
    return await hes.ask(message(verb, content, *options), GENERIC)


def said(answer: ResponseMessage) -> tuple[str, list[str]]:
    return answer.reply.result, [one.code for one in answer.reply.errors]


def reason(answer: ResponseMessage) -> str:
    return " ".join(one.reason or "" for one in answer.reply.errors)


def meters(*assets: DeviceAsset) -> MeterConfig:
    return MeterConfig(devices=assets)


async def entry(hes: North, name: str) -> dict[str, Any] | None:
    answer = await hes.client.get(f"{hes.url}/api/v1/meters/{name}")
    found: dict[str, Any] = answer.json()
    return found if answer.status_code == 200 else None


def link(meter: str, *point: str, **more: Any) -> MasterDataLinkageConfig:
    names = tuple(Name(name=one) for one in point[1:])
    usage_point = Identified(mrid=point[0] or None, names=names)
    return MasterDataLinkageConfig(meters=(Identified(names=(Name(name=meter),)),), usage_points=(usage_point,), **more)


async def switched(hes: North, *points: str) -> list[str]:
    """The meters that a control of these usage points is for."""
    before = len(hes.meters.commands)
    answer = await hes.post(octets(request(control(DISCONNECT, points=points)), GENERIC), GENERIC)
    assert answer.status_code == 200
    return [one.meter.name for one in hes.meters.commands[before:]]

"""UsagePointConfig, and changes of master data told to subscribers: over real sockets (docs/adr/0032)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from free_ports import free_port
from lxml import etree
from master_bench import KEY, ask, hes, link, message, reason, row, said
from north_bench import SCHEMAS, TYPED, Cis, North, mrid, north, texts

from ami_cim import envelope, wire
from ami_cim.identity import Identified, Name
from ami_cim.message import Property
from ami_cim.payloads.device_assets import DeviceAsset
from ami_cim.payloads.meter_config import MeterConfig
from ami_cim.payloads.usage_point_config import GetUsagePointConfig, UsagePointAsset, UsagePointConfig

__all__ = ["hes"]

POINT = mrid(500)
HOUSE = UsagePointAsset(
    mrid=POINT, names=(Name(name="House 5"),), is_sdp=True, read_route="R7", phase_code="ABC", service="electricity"
)


def points(*assets: UsagePointAsset) -> UsagePointConfig:
    return UsagePointConfig(usage_points=assets)


def named(*names: str) -> UsagePointAsset:
    return UsagePointAsset(names=tuple(Name(name=one) for one in names))


async def got(hes: North, *pointers: Identified, **query: object) -> tuple[UsagePointAsset, ...]:
    answer = await ask(hes, "get", GetUsagePointConfig(usage_points=pointers, **query))  # type: ignore[arg-type]
    return answer.payload.usage_points if isinstance(answer.payload, UsagePointConfig) else ()


async def meter_at(hes: North, name: str) -> list[str]:
    found = (await hes.client.get(f"{hes.url}/api/v1/meters/{name}")).json()
    return found["entry"].get("usage_points", [])


async def test_a_usage_point_without_a_meter_is_made_known_changed_asked_for_and_deleted(hes: North) -> None:
    for _ in range(2):
        answer = await ask(hes, "create", points(HOUSE))
        assert said(answer) == ("OK", []) and answer.reply.identifiers[0].value == POINT
    assert await got(hes, Identified(names=(Name(name="house 5"),))) == (HOUSE,), "names as mRIDs are compared"
    answer = await ask(hes, "create", points(replace(HOUSE, read_route="R8")))
    assert said(answer) == ("FAILED", ["2.12"]) and "the verb change is for that" in reason(answer)
    change = UsagePointAsset(mrid=POINT, read_route="R8", names=(Name(name="House 5a"),))
    for _ in range(2):
        assert said(await ask(hes, "change", points(change))) == ("OK", [])
    assert await got(hes, Identified(mrid=POINT)) == (replace(HOUSE, read_route="R8", names=change.names),)
    assert said(await ask(hes, "delete", points(UsagePointAsset(mrid=POINT)))) == ("OK", [])
    assert said(await ask(hes, "delete", points(UsagePointAsset(mrid=POINT)))) == ("FAILED", ["2.12"])
    assert said(await ask(hes, "change", points(HOUSE))) == ("FAILED", ["2.12"])


async def test_its_meter_is_found_by_all_of_its_names_whenever_they_came(hes: North) -> None:
    assert said(await ask(hes, "create", points(HOUSE))) == ("OK", [])
    assert said(await ask(hes, "create", link("M11", "", "House 5"))) == ("OK", [])
    assert await meter_at(hes, "M11") == ["House 5", POINT]
    more = replace(HOUSE, names=(Name(name="House 5"), Name(name="Mill lane 5")))
    assert said(await ask(hes, "change", points(more))) == ("OK", [])
    assert await meter_at(hes, "M11") == [POINT, "House 5", "Mill lane 5"]
    meters = (Identified(names=(Name(name="M11"),)),)
    assert await got(hes, meters=meters) == (more,)
    assert said(await ask(hes, "delete", points(HOUSE))) == ("FAILED", ["2.29"])
    assert said(await ask(hes, "delete", link("M11", POINT))) == ("OK", [])
    assert said(await ask(hes, "delete", points(HOUSE))) == ("OK", [])


async def test_one_that_a_meter_alone_has_named_is_known_and_kept_from_then_on(hes: North) -> None:
    assert said(await ask(hes, "create", link("M11", "", "House 6"))) == ("OK", [])
    assert await got(hes, Identified(names=(Name(name="House 6"),))) == (named("House 6"),)
    assert said(await ask(hes, "change", points(replace(named("House 6"), remark="dog")))) == ("OK", [])
    assert await got(hes, Identified(names=(Name(name="House 6"),))) == (replace(named("House 6"), remark="dog"),)
    answer = await ask(hes, "change", points(replace(named("UP-1", "another"), remark="of the configuration")))
    assert said(answer) == ("FAILED", ["5.2"]) and "change it there" in reason(answer)


async def test_all_of_them_come_in_pages_the_kept_ones_first(hes: North) -> None:
    await ask(hes, "create", points(named("b"), named("a")))
    seen: list[str] = []
    for offset in range(0, 5, 2):
        page = (Property(name="limit", value="2"), Property(name="offset", value=str(offset)))
        answer = await ask(hes, "get", GetUsagePointConfig(), *page)
        assert isinstance(answer.payload, UsagePointConfig)
        seen += [one.names[0].name for one in answer.payload.usage_points]
    assert seen == ["a", "b", "UP-1", "UP-2", "UP-3"]


async def test_what_can_not_be_one_usage_point_is_refused_and_the_others_are_done(hes: North) -> None:
    await ask(hes, "create", points(HOUSE, named("House 7")))
    asked = points(named("House 8"), named("House 5", "House 7"), UsagePointAsset(), named("UP-1", "UP-2"))
    answer = await ask(hes, "create", asked)
    assert said(answer) == ("PARTIAL", ["2.12", "2.12", "2.12"]), reason(answer)
    unknown = await ask(hes, "get", GetUsagePointConfig(usage_points=(Identified(mrid=mrid(501)),)))
    assert said(unknown) == ("FAILED", ["2.12"])
    at_none = await ask(hes, "get", GetUsagePointConfig(meters=(Identified(names=(Name(name="M12"),)),)))
    assert said(at_none) == ("FAILED", ["2.13"])
    assert said(await ask(hes, "close", points(HOUSE))) == ("FAILED", ["2.9"])


async def test_a_typed_message_of_it_is_taken(hes: North) -> None:
    asked = message("create", points(HOUSE))
    octets = wire.write_request(asked, envelope.typed_wrapper("create", "UsagePointConfig"), SCHEMAS)
    answer = await hes.post(octets, TYPED.replace("EndDeviceControls", "UsagePointConfig"))
    assert texts(answer.content, "Result") == ["OK"]


NOUNS = ["MeterConfig", "UsagePointConfig", "MasterDataLinkageConfig"]


def told(octets: bytes) -> tuple[str, str, str]:
    """Verb, noun, and the first name in it."""
    return texts(octets, "Verb")[0], texts(octets, "Noun")[0], texts(octets, "name")[0]


@pytest.mark.parametrize("event", ["generic", "typed"])
async def test_a_second_system_learns_what_a_first_one_has_changed(tmp_path: Path, event: str) -> None:
    mdm = Cis()
    async with mdm.serving():
        subscribers = [{"name": "mdm", "url": mdm.url, "nouns": NOUNS, "event": event}]
        async with north(tmp_path, subscribers=subscribers) as hes:
            assert (await hes.client.post(f"{hes.url}/api/v1/meters", json={"rows": [row(11)]})).status_code == 200
            for _ in range(2):  # what comes twice is told once
                await ask(hes, "create", points(HOUSE))
                await ask(hes, "create", link("M11", "", "House 5"))
            renamed = DeviceAsset(mrid=mrid(11), names=(Name(name="M11b"),))
            await ask(hes, "change", MeterConfig(devices=(renamed,)))
            await ask(hes, "delete", link("M11b", POINT))
            await ask(hes, "delete", MeterConfig(devices=(DeviceAsset(mrid=mrid(11)),)))
            await ask(hes, "delete", points(HOUSE))
            came = [await mdm.taken.get() for _ in range(7)]
    assert sorted(map(told, came)) == sorted(
        [
            ("created", "MeterConfig", "M11"),
            ("created", "UsagePointConfig", "House 5"),
            ("created", "MasterDataLinkageConfig", "M11"),
            ("changed", "MeterConfig", "M11b"),
            ("closed", "MasterDataLinkageConfig", "M11b"),
            ("deleted", "MeterConfig", "M11b"),
            ("deleted", "UsagePointConfig", "House 5"),
        ]
    )
    roots = {etree.QName(next(iter(etree.fromstring(one)[-1]))).localname for one in came}
    assert roots == {"EventMessage"} if event == "generic" else "CreatedUsagePointConfig" in roots
    everything = b"".join(came)
    assert KEY.encode() not in everything and len({texts(one, "MessageID")[0] for one in came}) == 7


async def test_changes_wait_for_a_subscriber_that_is_away_and_for_the_next_life(tmp_path: Path) -> None:
    mdm, port = Cis(), free_port()
    url = f"http://127.0.0.1:{port}/cim"
    subscribers = [{"name": "mdm", "url": url, "nouns": ["EndDeviceConfig"], "groups": ["feeder=F1"]}]
    async with north(tmp_path, subscribers=subscribers) as hes:
        rows = [row(11, tag_feeder="F1"), row(12, tag_feeder="F2")]
        assert (await hes.client.post(f"{hes.url}/api/v1/meters", json={"rows": rows})).status_code == 200
    async with mdm.serving(port=port), north(tmp_path, subscribers=subscribers):
        came = await mdm.taken.get()
    assert told(came) == ("created", "EndDeviceConfig", "M11") and mdm.taken.empty()


async def test_nothing_is_noted_where_nobody_is_told(tmp_path: Path) -> None:
    async with north(tmp_path, subscribers=[{"name": "mdm", "url": "http://127.0.0.1:1/"}]) as hes:
        assert (await hes.client.post(f"{hes.url}/api/v1/meters", json={"rows": [row(11)]})).status_code == 200
        assert said(await ask(hes, "create", points(HOUSE))) == ("OK", [])
    with closing(sqlite3.connect(tmp_path / "hes.sqlite")) as store:
        assert store.execute("SELECT count(*) FROM master_data_changes").fetchone() == (0,)

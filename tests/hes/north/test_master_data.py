"""MeterConfig, EndDeviceConfig and MasterDataLinkageConfig over real sockets: what the registry then has, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from master_bench import (
    NEW,
    NOW,
    Numbers,
    ask,
    entry,
    group,
    hes,
    link,
    message,
    meters,
    reason,
    row,
    said,
    switched,
)
from north_bench import (
    CONNECT,
    DISCONNECT,
    GENERIC,
    SCHEMAS,
    Cis,
    North,
    StandIn,
    control,
    mrid,
    north,
    octets,
    request,
    texts,
)

from ami_cim import envelope, soap, wire
from ami_cim.identity import Identified, Name, UsagePoint
from ami_cim.message import Header, Property, RequestMessage
from ami_cim.payloads import Payload
from ami_cim.payloads.device_assets import DeviceAsset
from ami_cim.payloads.end_device_config import EndDeviceConfig, GetEndDeviceConfig
from ami_cim.payloads.master_data_linkage_config import GetMasterDataLinkageConfig, MasterDataLinkageConfig
from ami_cim.payloads.meter_config import GetMeterConfig, MeterConfig
from ami_cim.payloads.operation_set import Operation, OperationSet
from ami_hes.master_data import finding

__all__ = ["hes"]


async def test_a_meter_that_a_shipment_has_brought_is_made_known_and_keeps_its_keys(hes: North) -> None:
    asset = DeviceAsset(mrid=mrid(11), serial_number="11", names=(Name(name="M11"), group("feeder", "F12")))
    answer = await ask(hes, "create", meters(asset))
    assert said(answer) == ("OK", [])
    assert [(one.value, one.object_type) for one in answer.reply.identifiers] == [(mrid(11), "Meter")]
    found = await entry(hes, "M11")
    assert found is not None and found["entry"]["tags"] == {"feeder": "F12"}
    assert set(found["secrets"]) == {"encryption_key", "authentication_key"}
    kept = await hes.client.post(f"{hes.url}/api/v1/meters", json={"rows": [row(11, tag_feeder="F12")], "check": True})
    assert [one["outcome"] for one in kept.json()["rows"]] == ["unchanged"], "with the keys of the shipment"


async def test_a_create_says_what_is_there_or_what_is_not_said_yet_and_contradicts_nothing(hes: North) -> None:
    whole = DeviceAsset(mrid=mrid(11), lan="127.0.0.1:11", model="residential", names=(Name(name="M11"),))
    for _ in range(2):
        assert said(await ask(hes, "create", meters(whole))) == ("OK", [])
    for other in (
        replace(whole, names=(Name(name="M99"),)),
        replace(whole, lan="127.0.0.1:99"),
        replace(whole, model="industrial"),
        replace(whole, serial_number="99"),
    ):
        answer = await ask(hes, "create", meters(other))
        assert said(answer) == ("FAILED", ["2.4"])
        assert "the verb change is for that" in reason(answer)
    found = await entry(hes, "M11")
    assert found is not None and found["entry"]["tags"] == {"model": "residential"}


async def test_a_meter_of_no_shipment_is_made_known_by_its_address_and_has_no_keys(hes: North) -> None:
    answer = await ask(hes, "create", meters(replace(NEW, lan=None)))
    assert said(answer) == ("FAILED", ["2.4"]) and "electronicAddress/lan" in reason(answer)
    assert "hes meters import" in reason(answer) and await entry(hes, "M77") is None
    assert said(await ask(hes, "create", meters(NEW))) == ("OK", [])
    found = await entry(hes, "M77")
    assert found is not None
    assert (found["secrets"], found["entry"]["authentication"], found["source"]) == ([], "none", "import")
    got = await ask(hes, "get", GetMeterConfig(devices=(Identified(mrid=mrid(77)),)))
    assert got.payload == meters(NEW)
    with_keys = await hes.client.post(f"{hes.url}/api/v1/meters", json={"rows": [row(77)]})
    assert [one["outcome"] for one in with_keys.json()["rows"]] == ["changed"], "the shipment comes later"


async def test_a_change_replaces_what_it_says_and_leaves_the_rest(hes: North) -> None:
    first = DeviceAsset(mrid=mrid(11), names=(group("feeder", "F12"), group("phase", "L1")))
    second = DeviceAsset(
        mrid=mrid(11), lan="127.0.0.1:9011", names=(Name(name="M11b"), group("feeder", "F13"), group("phase", ""))
    )
    assert said(await ask(hes, "change", meters(first))) == ("OK", [])
    assert said(await ask(hes, "change", meters(second))) == ("OK", [])
    found = await entry(hes, "M11b")
    assert found is not None and await entry(hes, "M11") is None
    assert (found["mrid"], found["entry"]["address"]) == (mrid(11), "127.0.0.1:9011")
    assert found["entry"]["tags"] == {"feeder": "F13"} and len(found["secrets"]) == 2
    taken = DeviceAsset(mrid=mrid(12), names=(Name(name="M11b"),))
    answer = await ask(hes, "change", meters(taken))
    assert said(answer) == ("FAILED", ["2.4"]) and "already belongs" in reason(answer)
    other_meter = DeviceAsset(mrid=mrid(12), serial_number="13")
    assert said(await ask(hes, "change", meters(other_meter))) == ("FAILED", ["2.4"])


async def test_each_device_of_a_message_is_for_itself(hes: North) -> None:
    assets = (
        DeviceAsset(mrid=mrid(11), names=(group("feeder", "F1"),)),
        DeviceAsset(mrid=mrid(99), names=(Name(name="M99"),)),
        replace(NEW, mrid=mrid(78), lan="nowhere"),
        DeviceAsset(mrid=mrid(1), names=(group("feeder", "F1"),)),
        DeviceAsset(),
        NEW,
    )
    answer = await ask(hes, "create", meters(*assets))
    assert said(answer) == ("PARTIAL", ["2.4", "2.4", "5.2", "2.4"])
    assert [one.value for one in answer.reply.identifiers] == [mrid(11), mrid(77)]
    named = [one.identifier.value if one.identifier else None for one in answer.reply.errors]
    assert named == [mrid(99), mrid(78), mrid(1), None]
    assert "change it there" in reason(answer) and "host:port" in reason(answer)


async def test_what_has_no_place_here_is_said_beside_the_ok(hes: North) -> None:
    asset = DeviceAsset(mrid=mrid(11), kind="3-phase", installed_on="2026-01-15")
    answer = await ask(hes, "create", meters(asset))
    assert said(answer) == ("OK", ["0.0"]) and reason(answer).endswith("without an effect here: lifecycle, type.")


async def test_a_meter_is_deleted_when_it_is_nowhere_and_idle(tmp_path: Path) -> None:
    stand_in = StandIn()
    stand_in.open.clear()
    async with Cis().serving() as cis, north(tmp_path, stand_in) as hes:
        await hes.client.post(
            f"{hes.url}/api/v1/meters", json={"rows": [row(11, mrid=mrid(11).upper(), usage_points=["UP-11"])]}
        )
        delete = meters(DeviceAsset(mrid=mrid(11)))
        answer = await ask(hes, "delete", delete)
        assert said(answer) == ("FAILED", ["2.29"]) and "UP-11" in reason(answer)
        assert said(await ask(hes, "delete", link("M11", "", "UP-11"))) == ("OK", [])
        late = request(control(CONNECT, "M11"), async_reply_flag=True, reply_address=cis.url)
        assert texts((await hes.post(octets(late, GENERIC), GENERIC)).content, "code") == ["0.3"]
        answer = await ask(hes, "delete", delete)
        assert said(answer) == ("FAILED", ["5.2"]) and "1 commands" in reason(answer)
        stand_in.open.set()
        await cis.taken.get()
        assert said(await ask(hes, "delete", delete)) == ("OK", [])
        assert await entry(hes, "M11") is None
        assert said(await ask(hes, "delete", delete)) == ("FAILED", ["2.4"])
        assert said(await ask(hes, "delete", meters(DeviceAsset(mrid=mrid(1))))) == ("FAILED", ["2.29"])


async def test_meters_are_asked_for_by_whatever_points_at_them(hes: North) -> None:
    for number in (11, 12):
        await ask(hes, "change", meters(DeviceAsset(mrid=mrid(number), names=(group("feeder", "F12"),))))

    async def names(query: Payload, *options: Property) -> tuple[list[str], tuple[str, list[str]]]:
        answer = await ask(hes, "get", query, *options)
        assert answer.payload is None or isinstance(answer.payload, MeterConfig | EndDeviceConfig)
        found = [] if answer.payload is None else [one.names[0].name for one in answer.payload.devices]
        return found, said(answer)

    feeder = (Identified(names=(Name(name="F12"),)),)
    point = (UsagePoint(names=(Name(name="UP-2"),)),)
    unknown = (Identified(names=(Name(name="M9"),)),)
    assert await names(GetMeterConfig(end_device_groups=feeder)) == (["M11", "M12"], ("OK", []))
    assert await names(GetEndDeviceConfig(end_device_groups=feeder)) == (["M11", "M12"], ("OK", []))
    assert await names(GetMeterConfig(usage_points=point)) == (["M2"], ("OK", []))
    assert await names(GetMeterConfig(usage_points=point, devices=unknown)) == (["M2"], ("PARTIAL", ["2.4"]))
    assert await names(GetMeterConfig()) == (["M1", "M11", "M12", "M2", "M3"], ("OK", []))
    page = Property(name="limit", value="2"), Property(name="offset", value="1")
    assert await names(GetMeterConfig(), *page) == (["M11", "M12"], ("OK", []))


async def test_a_question_is_answered_in_pages_and_bounded(hes: North, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "MOST_SHOWN", 2)
    answer = await ask(hes, "get", GetMeterConfig())
    assert said(answer) == ("PARTIAL", ["0.2"]) and "offset 2" in reason(answer)
    monkeypatch.setattr(finding, "MOST_NAMED", 2)
    many = tuple(Identified(mrid=mrid(number)) for number in (1, 2, 3))
    assert said(await ask(hes, "get", GetMeterConfig(devices=many))) == ("FAILED", ["3.1"])


async def test_a_link_says_which_meter_a_usage_point_has(hes: North) -> None:
    assert said(await ask(hes, "create", link("M11", mrid(500), "UP-500"))) == ("OK", [])
    assert await switched(hes, "UP-500") == ["M11"]
    for again in (link("M11", mrid(500), "UP-500"), link("M11", mrid(500)), link("M11", "", "UP-500")):
        assert said(await ask(hes, "create", again)) == ("OK", [])
    for taken in (
        link("M12", mrid(500)),
        link("M12", "", "UP-500"),
        link("M11", "", "UP-501"),
        link("M12", "", "UP-1"),
    ):
        assert said(await ask(hes, "create", taken)) == ("FAILED", ["2.13"])
    got = await ask(hes, "get", GetMasterDataLinkageConfig(usage_points=(Identified(mrid=mrid(500)),)))
    assert isinstance(got.payload, MasterDataLinkageConfig)
    assert [one.mrid for one in got.payload.meters] == [mrid(11)]
    assert got.payload.usage_points == (Identified(mrid=mrid(500), names=(Name(name="UP-500"),)),)


async def test_an_exchange_is_the_end_of_one_link_and_the_begin_of_another(hes: North) -> None:
    """In one set whose second operation is begun when the first one is done; no name of the usage point stays behind."""
    await ask(hes, "create", link("M11", mrid(500), "UP-500"))
    operations = (
        Operation(operation_id=1, noun="MasterDataLinkageConfig", verb="close", payload=link("M11", "", "UP-500")),
        Operation(
            operation_id=2, noun="MasterDataLinkageConfig", verb="create", payload=link("M12", mrid(500), "UP-500")
        ),
    )
    for content, result in (
        (tuple(reversed(operations)), "FAILED"),
        (operations, "OK"),
    ):
        whole = OperationSet(enforce_sequence=True, operations=content)
        number = Numbers.next()
        header = Header(
            verb="execute", noun="OperationSet", timestamp=NOW, message_id=number, correlation_id=number, source="CIS"
        )
        answer = await hes.ask(RequestMessage(header=header, payload=whole), GENERIC)
        assert answer.reply.result == result, answer.reply
    assert await switched(hes, "UP-500") == ["M12"]
    old = await entry(hes, "M11")
    assert old is not None and "usage_points" not in old["entry"]
    assert said(await ask(hes, "close", link("M11", "", "UP-500"))) == ("FAILED", ["2.13"])
    assert said(await ask(hes, "get", GetMasterDataLinkageConfig(meters=(Identified(mrid=mrid(11)),)))) == (
        "FAILED",
        ["2.13"],
    )


async def test_a_link_that_is_no_pair_or_not_yet_due_is_refused(hes: North) -> None:
    pair = link("M11", "", "UP-500")
    both = replace(pair, end_devices=(Identified(mrid=mrid(12)),))
    assert said(await ask(hes, "create", both)) == ("FAILED", ["1.7"])
    later = replace(pair, effective_at=datetime.now(UTC) + timedelta(days=1))
    answer = await ask(hes, "create", later)
    assert said(answer) == ("FAILED", ["5.2"]) and "effectiveDateTime" in reason(answer)
    unknown = link("M99", "", "UP-500")
    assert said(await ask(hes, "create", unknown)) == ("FAILED", ["2.4"])
    assert said(await ask(hes, "change", pair)) == ("FAILED", ["2.9"])
    assert await switched(hes, "UP-500") == []


async def test_what_is_linked_with_others_than_meters_is_said(hes: North) -> None:
    asked = message("create", link("M11", "", "UP-500"))
    with_others = octets(asked, GENERIC).replace(
        b"<Meter>", b"<CustomerAgreement><mRID>a</mRID></CustomerAgreement><Meter>"
    )
    answer = (await hes.post(with_others, GENERIC)).content
    assert (texts(answer, "Result"), texts(answer, "code")) == (["PARTIAL"], ["5.2"])
    assert "CustomerAgreement" in texts(answer, "reason")[0] and await switched(hes, "UP-500") == ["M11"]


@pytest.mark.parametrize("number", [1, 3])
async def test_meters_of_the_configuration_are_changed_there(hes: North, number: int) -> None:
    change = meters(DeviceAsset(mrid=mrid(number), lan="127.0.0.1:9"))
    answer = await ask(hes, "change", change)
    assert said(answer) == ("FAILED", ["5.2"]) and "[[meters]]" in reason(answer)
    assert said(await ask(hes, "delete", link(f"M{number}", "", f"UP-{number}"))) == ("FAILED", ["5.2"])
    same = meters(DeviceAsset(mrid=mrid(number), names=(Name(name=f"M{number}"),)))
    assert said(await ask(hes, "create", same)) == ("OK", []), "it is there, and nothing is changed"


async def test_it_is_all_there_after_a_restart(tmp_path: Path) -> None:
    for life in range(2):
        async with north(tmp_path) as hes:
            if life == 0:
                assert said(await ask(hes, "create", meters(NEW))) == ("OK", [])
                assert said(await ask(hes, "create", link("M77", "", "UP-77"))) == ("OK", [])
            got = await ask(hes, "get", GetMeterConfig(usage_points=(UsagePoint(names=(Name(name="UP-77"),)),)))
            assert got.payload == meters(NEW)


@pytest.mark.parametrize("verb", ["cancel", "close"])
async def test_verbs_that_have_no_meaning_for_a_meter(hes: North, verb: str) -> None:
    assert said(await ask(hes, verb, meters(DeviceAsset(mrid=mrid(11))))) == ("FAILED", ["2.9"])


async def test_a_typed_message_is_answered_in_its_own_words(hes: North) -> None:
    asked = wire.write_request(message("create", meters(NEW)), envelope.typed_wrapper("create", "MeterConfig"), SCHEMAS)
    answer = await hes.post(asked, "/cim/ExecuteMeterConfig")
    assert texts(answer.content, "Result") == ["OK"]
    assert soap.unwrap(answer.content).tag == "{http://iec.ch/TC57/2011/MeterConfigMessage}MeterConfigResponseMessage"


async def test_no_message_takes_away_that_a_meter_is_protected(tmp_path: Path) -> None:
    """Who may order master data and may switch would need no second person any more."""
    async with north(tmp_path) as hes:
        rows = {"rows": [row(11, tag_protected="yes")]}
        answer = await hes.client.post(f"{hes.url}/api/v1/meters", json=rows)
        assert answer.status_code == 200, answer.text
        held_back = await ask(hes, "change", meters(DeviceAsset(mrid=mrid(11), names=(group("protected", "no"),))))
        assert said(held_back) == ("FAILED", ["5.2"]) and "protected by protected=yes" in reason(held_back)
        removed = await ask(hes, "delete", meters(DeviceAsset(mrid=mrid(11))))
        assert said(removed) == ("FAILED", ["5.2"])
        moved = await ask(hes, "change", meters(DeviceAsset(mrid=mrid(11), names=(group("feeder", "F2"),))))
        assert moved.reply.result == "OK"
        refused = (await hes.ask(request(control(DISCONNECT, "M11")))).reply
        assert refused.result == "FAILED" and "a second person" in str(refused.errors[0].reason)

"""A meter is exchanged from the CIS on: CIS, head-end and simulated meters in one process, over real sockets, and what each of them has afterwards."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomli_w
from free_ports import free_port
from patience import PATIENCE_S
from reported import ignore

from ami_cim import envelope, wire
from ami_cim.identity import Name
from ami_cim.message import Header, RequestMessage, ResponseMessage
from ami_cim.payloads.meter_readings import Reading
from ami_cim.payloads.meter_service_requests import (
    MeterServiceRequests,
    MeterServiceWork,
    ServicedMeter,
    ServicedReadings,
)
from ami_cim.reading_type_names import reading_type_of
from ami_cim.schema import Schemas
from ami_cis.__main__ import main
from ami_cis.app import running as running_cis
from ami_cis.settings import Cis
from ami_cis.settings import Settings as CisSettings
from ami_hes.app import running as running_hes
from ami_hes.settings import Settings as HesSettings
from ami_meter_sim.app import start
from ami_meter_sim.settings import Settings as SimulatorSettings
from ami_process.environment import Environment

POINT, POINT_MRID = "UP-500", str(uuid.UUID(int=500))
SCHEMAS = Schemas()
IMPORT_WH = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0"
OLD, NEW, OTHER = "M1001", "M1002", "M1003"


def entry(name: str, *points: str) -> dict[str, Any]:
    number = int(name[1:])
    return {
        "name": name,
        "mrid": str(uuid.UUID(int=number)),
        "usage_points": list(points),
        "address": f"127.0.0.1:{free_port()}",
        "encryption_key": "00" * 16,
        "authentication_key": "11" * 16,
        "system_title": f"414D49000000{number:04x}",
        "logical_device_name": f"AMI000000000{number}",
        "device_id": str(number),
    }


@dataclass
class Whole:
    """All three, asked over their APIs."""

    cis: str
    hes: str
    client: httpx.AsyncClient
    simulated: Any

    async def command(
        self, capsys: pytest.CaptureFixture[str], *arguments: str, noun: str = "meters"
    ) -> tuple[int, Any]:
        capsys.readouterr()
        code = await asyncio.to_thread(main, [noun, *arguments, "--url", self.cis, "--json"])
        return code, json.loads(capsys.readouterr().out)

    async def words(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
        """As a person gets it."""
        capsys.readouterr()
        assert await asyncio.to_thread(main, ["meters", *arguments, "--url", self.cis]) == 0
        return capsys.readouterr().out

    async def points(self, name: str) -> list[str]:
        found = (await self.client.get(f"{self.hes}/api/v1/meters/{name}")).json()
        points: list[str] = found["entry"].get("usage_points", [])
        return points


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[Whole]:
    entries = [entry(OLD, POINT_MRID, POINT), entry(NEW), entry(OTHER, "UP-600")]
    simulated_ones = [one | {"simulated": {"model": "single-phase"}} for one in entries]
    path = tmp_path / "meters.toml"
    path.write_text(tomli_w.dumps({"meter_sim": {"state": str(tmp_path / "state")}, "meters": simulated_ones}))
    simulator = SimulatorSettings.load(path)
    async with AsyncExitStack() as stack:
        environment = Environment(emit=ignore)
        simulated = await start(simulator, simulator.meters, environment)
        stack.push_async_callback(simulated.stop)
        hes = HesSettings(
            hes={"port": 0, "dlms_port": 0, "store": tmp_path / "hes.sqlite", "reply_hosts": ("127.0.0.1",)}
        )
        hes_at, *_ = await stack.enter_async_context(running_hes(hes, environment))
        cis = CisSettings(cis=Cis(port=0, store=tmp_path / "cis.sqlite", hes_url=f"http://{hes_at}"))
        system = await stack.enter_async_context(running_cis(cis, environment, 0))
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=3 * PATIENCE_S, trust_env=False))
        rows = [{"place": one["name"], "columns": one} for one in entries]
        shipped = await client.post(f"http://{hes_at}/api/v1/meters", json={"rows": rows})
        assert {one["outcome"] for one in shipped.json()["rows"]} == {"accepted"}, shipped.text
        yield Whole(f"http://{system.listen}", f"http://{hes_at}", client, simulated)


async def test_a_meter_is_exchanged_with_its_last_and_first_readings(
    whole: Whole, capsys: pytest.CaptureFixture[str]
) -> None:
    code, listed = await whole.command(capsys, "list")
    assert (code, [one["name"] for one in listed["meters"]]) == (0, [OLD, NEW, OTHER])
    assert [one["name"] for one in (await whole.command(capsys, "list", "--limit", "1"))[1]["meters"]] == [OLD]
    order = ("exchange", "--usage-point", POINT, "--new", NEW, "--type", "import")
    code, done = await whole.command(capsys, *order)
    assert (code, done["exchanged"], done["old"], done["reason"]) == (0, True, OLD, ""), done
    kinds = [[(one["meter"], one["reading_type"]) for one in done[which]] for which in ("final", "first")]
    assert kinds == [[(OLD, reading_type_of("import"))], [(NEW, reading_type_of("import"))]]
    assert (await whole.points(OLD), await whole.points(NEW)) == ([], [POINT_MRID, POINT])
    code, shown = await whole.command(capsys, "show", NEW)
    assert (code, shown["usage_points"], shown["meter"]["serial_number"]) == (0, [POINT_MRID, POINT], "1002")
    code, again = await whole.command(capsys, *order)
    assert (code, again["exchanged"], again["final"], len(again["first"])) == (0, True, [], 1), "it was done already"
    assert [one["step"] for one in again["steps"]] == ["look", "first readings"]
    shown_words = await whole.words(capsys, *order)
    assert f"at {POINT}: {NEW} is there" in shown_words and "first readings" in shown_words and "import" in shown_words
    code, points = await whole.command(capsys, "list", noun="usage-points")
    assert (code, sorted(one["name"] for one in points["usage_points"])) == (0, [POINT, "UP-600"])
    code, point = await whole.command(capsys, "show", POINT, noun="usage-points")
    assert (code, point["usage_point"]["mrid"], point["meter"]) == (0, POINT_MRID, NEW)
    code, unknown = await whole.command(capsys, "show", "UP-9", noun="usage-points")
    assert (code, [one["code"] for one in unknown["errors"]]) == (1, ["2.12"])
    assert NEW in await whole.words(capsys, "list") and "usage point: none" in await whole.words(capsys, "show", OLD)


async def test_nothing_is_changed_where_it_could_not_come_to_its_end(
    whole: Whole, capsys: pytest.CaptureFixture[str]
) -> None:
    for new, old, reason in (
        (OTHER, None, "M1003 is at the usage point UP-600"),
        ("M9999", None, "does not know the meter M9999"),
        (NEW, OTHER, "at UP-500 is M1001, and not M1003"),
        (OLD, OLD, "M1001 and M1001 are the same meter"),
        (OLD, str(uuid.UUID(int=1001)), "M1001 are the same meter"),
    ):
        more = () if old is None else ("--old", old)
        code, done = await whole.command(capsys, "exchange", "--usage-point", POINT, "--new", new, *more)
        assert (code, done["exchanged"]) == (1, False) and reason in done["reason"], done
    code, done = await whole.command(capsys, "exchange", "--usage-point", "UP-700", "--new", NEW, "--old", OLD)
    assert (code, done["exchanged"]) == (1, False) and f"M1001 is at the usage point {POINT}" in done["reason"]
    assert await whole.points(OLD) == [POINT_MRID, POINT] and await whole.points(NEW) == []


async def test_a_meter_that_can_not_be_read_any_more_is_exchanged_when_that_is_said(
    whole: Whole, capsys: pytest.CaptureFixture[str]
) -> None:
    """It keeps no usage point; what of it is known stays under its own name."""
    moved = {"place": OLD, "columns": entry(OLD, POINT_MRID, POINT)}  # where nothing listens
    await whole.client.post(f"{whole.hes}/api/v1/meters", json={"rows": [moved]})
    order = ("exchange", "--usage-point", POINT_MRID, "--new", NEW, "--type", "import")
    code, done = await whole.command(capsys, *order)
    assert (code, done["exchanged"]) == (1, False) and done["reason"].endswith("nothing was changed"), done
    assert await whole.points(OLD) == [POINT_MRID, POINT]
    code, done = await whole.command(capsys, *order, "--without-final")
    assert (code, done["exchanged"], done["final"], len(done["first"])) == (0, True, [], 1), done
    assert (await whole.points(OLD), await whole.points(NEW)) == ([], [POINT_MRID, POINT])


def order(
    new: str, old: str | None, message_id: str, readings: tuple[ServicedReadings, ...] = (), **more: Any
) -> bytes:
    """MeterServiceRequests, as any client writes it."""
    address = more.pop("reply_address", None)
    former = None if old is None else ServicedMeter(names=(Name(name=old),), meter_readings=readings)
    work = MeterServiceWork(
        **{"kind": "meter", "meter": ServicedMeter(names=(Name(name=new),)), "old_meter": former} | more
    )
    header = Header(
        verb="create",
        noun="MeterServiceRequests",
        async_reply_flag=True if address else None,
        reply_address=address,
        timestamp=datetime.now(UTC),
        source="WM",
        message_id=message_id,
        correlation_id=message_id,
    )
    message = RequestMessage(header=header, payload=MeterServiceRequests(works=(work,)))
    return wire.write_request(message, envelope.typed_wrapper("create", "MeterServiceRequests"), SCHEMAS)


async def ordered(whole: Whole, octets: bytes) -> ResponseMessage:
    answer = await whole.client.post(
        f"{whole.hes}/cim/ExecuteMeterServiceRequests", content=octets, headers={"Content-Type": "text/xml"}
    )
    assert answer.status_code == 200, answer.text
    return wire.read_response(answer.content, SCHEMAS)


def read(meter: ServicedMeter | None) -> set[tuple[str, str | None]]:
    assert meter is not None
    return {(one.reading_type, one.reason) for group in meter.meter_readings for one in group.readings}


async def test_one_order_of_another_system_exchanges_a_meter(whole: Whole) -> None:
    octets = order(NEW, OLD, "order-1")
    for _ in range(2):  # the same message again gets the same answer
        answer = await ordered(whole, octets)
        assert (answer.reply.result, [one.value for one in answer.reply.identifiers]) == (
            "OK",
            [str(uuid.UUID(int=1002)), POINT_MRID],
        ), answer.reply
        assert isinstance(answer.payload, MeterServiceRequests)
        (work,) = answer.payload.works
        assert (IMPORT_WH, "removal") in read(work.old_meter) and (IMPORT_WH, "installation") in read(work.meter)
        assert (await whole.points(OLD), await whole.points(NEW)) == ([], [POINT_MRID, POINT])
    again = (await ordered(whole, order(NEW, OLD, "order-2"))).reply
    assert (again.result, again.errors[0].code) == ("OK", "0.0") and "no link was changed" in str(
        again.errors[0].reason
    )


async def test_a_meter_that_never_was_at_the_usage_point_is_not_said_to_be_removed_from_it(whole: Whole) -> None:
    for octets in (order(OTHER, NEW, "wrong-1"), order(OTHER, NEW, "wrong-2")):  # a refusal is no exchange that is kept
        answer = await ordered(whole, octets)
        reply = answer.reply
        assert (reply.result, reply.errors[0].code, answer.payload) == ("FAILED", "2.13", None), reply
        assert "M1002 is at no usage point, and no exchange of it for M1003" in str(reply.errors[0].reason)
    assert (await whole.points(NEW), await whole.points(OTHER)) == ([], ["UP-600"])


async def test_of_two_orders_at_once_for_one_new_meter_one_is_carried_out(whole: Whole) -> None:
    """Whichever comes first: the other one changes nothing."""
    answers = await asyncio.gather(
        ordered(whole, order(NEW, OLD, "order-1")), ordered(whole, order(NEW, OTHER, "order-2"))
    )
    assert sorted(str(one.reply.result) for one in answers) == ["FAILED", "OK"], [one.reply for one in answers]
    (refused,) = (one.reply.errors[0] for one in answers if one.reply.result == "FAILED")
    assert refused.code in ("5.2", "2.13") and NEW in str(refused.reason)
    points = [await whole.points(one) for one in (OLD, NEW, OTHER)]
    assert sorted(filter(None, points)) == [[POINT_MRID, POINT], ["UP-600"]], "no usage point has lost its meter"


async def test_an_order_with_a_reply_address_is_acknowledged_and_carried_out(whole: Whole) -> None:
    reply = (await ordered(whole, order(NEW, OLD, "late-1", reply_address=f"{whole.cis}/cim"))).reply
    assert (reply.result, [one.code for one in reply.errors]) == ("OK", ["0.3"])
    async with asyncio.timeout(3 * PATIENCE_S):
        while await whole.points(NEW) != [POINT_MRID, POINT]:
            await asyncio.sleep(0)
    assert await whole.points(OLD) == []


async def test_an_order_that_could_not_come_to_its_end_changes_nothing(whole: Whole) -> None:
    wrong = (
        (order(OTHER, OLD, "1"), "2.13", "UP-600"),
        (order("M9999", OLD, "2"), "2.4", "Meter: "),
        (order(NEW, "M9999", "3"), "2.4", "OldMeter: "),
        (order(NEW, None, "4"), "5.2", "no other work"),
        (order(NEW, OLD, "5", kind="disconnect"), "5.2", "no other work"),
        (order(OLD, OLD, "6"), "5.2", "the same meter"),
    )
    for octets, code, reason in wrong:
        reply = (await ordered(whole, octets)).reply
        assert (reply.result, reply.errors[0].code) == ("FAILED", code) and reason in str(reply.errors[0].reason)
    moved = {"place": OLD, "columns": entry(OLD, POINT_MRID, POINT)}  # where nothing listens
    await whole.client.post(f"{whole.hes}/api/v1/meters", json={"rows": [moved]})
    reply = (await ordered(whole, order(NEW, OLD, "7"))).reply
    assert reply.result == "FAILED" and str(reply.errors[0].reason).startswith("Nothing was changed: the last readings")
    assert (await whole.points(OLD), await whole.points(NEW)) == ([POINT_MRID, POINT], [])
    by_hand = Reading(reading_type=reading_type_of("import"), value="4711.000", taken_at=datetime.now(UTC))
    answer = await ordered(whole, order(NEW, OLD, "8", (ServicedReadings(readings=(by_hand,)),)))
    assert answer.reply.result == "OK" and isinstance(answer.payload, MeterServiceRequests), answer.reply
    assert read(answer.payload.works[0].old_meter) == {(reading_type_of("import"), None)}
    assert (await whole.points(OLD), await whole.points(NEW)) == ([], [POINT_MRID, POINT])

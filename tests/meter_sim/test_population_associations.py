"""Associations of a population's meters, opened with nothing but what the shipment file says."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from bench import CLIENT_TITLE, DEVICE_ID, Caller, attribute, method
from free_ports import free_port
from served import FIRST, Served, load, table

from ami_dlms import data
from ami_dlms.association import Action, ClientConnection, ClientSettings, Get, Open, Opened, Security
from ami_dlms.association.vocabulary import parse_mechanism
from ami_dlms.enums import ActionResult
from ami_dlms.security import GlobalKeys, PrivateKey, SendCounter
from ami_meter_sim.objects.memory import RecordKind
from ami_meter_sim.populating import prepare
from ami_meter_sim.population.shipment import Form, for_the_cis, write
from ami_meter_sim.settings import Settings
from ami_packs.event_list import Occurrence
from ami_process.settings import SettingsError
from ami_process.shipment_files import parse_rows
from ami_registry import client_settings, parse_meter, parse_shipment

INDEX = 7
CHALLENGE = bytes(range(1, 33))
INITIATE = Action(
    method((18, "0-0:44.0.0"), 1), data.structure(data.octet_string(b"image"), data.double_long_unsigned(1))
)


def shipped(settings: Settings) -> tuple[dict[str, Any], str]:
    """The row of one meter, and the file."""
    (one,) = prepare(settings.populations)
    out = io.StringIO()
    write(one.shipment().rows([INDEX]), Form.JSON, out)
    return json.loads(out.getvalue())["meters"][0], out.getvalue()


def as_client(row: dict[str, Any], name: str, counter: int = 1, **changed: str) -> ClientConnection:
    """The client of an association beside the management one, with the row's keys."""
    its = {key: row[f"{name}.{key}"] for key in ("client_wport", "authentication")}
    keys = {key: row[f"{name}.{key}"] for key in ("encryption_key", "authentication_key")} | changed
    settings = ClientSettings(
        client_wport=its["client_wport"],
        server_wport=row["server_wport"],
        mechanism=parse_mechanism(its["authentication"]),
        security=Security(
            keys=GlobalKeys(*(bytes.fromhex(one) for one in keys.values())),
            system_title=CLIENT_TITLE,
            peer_system_title=bytes.fromhex(row["system_title"]),
        ),
    )
    return ClientConnection(settings, challenge=CHALLENGE[:16], send_counter=SendCounter(counter))


async def called(row: dict[str, Any], connection: ClientConnection) -> Caller:
    host, _, port = row["address"].rpartition(":")
    return Caller(connection, *await asyncio.open_connection(host, int(port)))


async def test_reader_and_firmware_open_with_the_keys_of_the_shipment(tmp_path: Path) -> None:
    async with Served(load(tmp_path, table(port=free_port(), model="single-phase"))) as one:
        row, _ = shipped(one.settings)
        assert row["reader.encryption_key"] != row["encryption_key"] == row["firmware.encryption_key"]
        reader = await called(row, as_client(row, "reader"))
        assert isinstance(await reader.ask(Open()), Opened)
        assert (await reader.ask(Get(attribute(DEVICE_ID, 2)))).value.value == b"%010d" % (FIRST + INDEX)
        assert (await reader.ask(INITIATE)).result is not ActionResult.SUCCESS, "a reader changes no firmware"
        firmware = await called(row, as_client(row, "firmware"))
        assert isinstance(await firmware.ask(Open()), Opened)
        assert (await firmware.ask(INITIATE)).result is ActionResult.SUCCESS
        for caller in (reader, firmware):
            await caller.close()


async def test_the_reader_s_keys_are_no_key_of_another_client(tmp_path: Path) -> None:
    async with Served(load(tmp_path, table(port=free_port(), model="single-phase"))) as one:
        row, _ = shipped(one.settings)
        stranger = await called(row, as_client(row, "reader", encryption_key=row["encryption_key"]))
        assert not isinstance(await stranger.ask(Open()), Opened)
        await stranger.close()


def test_a_head_end_takes_a_file_with_further_associations_as_any_other(tmp_path: Path) -> None:
    settings = load(tmp_path, table(model="single-phase"))
    row, text = shipped(settings)
    meter = parse_meter(1, parse_shipment(parse_rows(text))[0], lambda scheme, rest: "")
    assert meter.problem() is None
    assert meter.encryption_key == bytes.fromhex(row["encryption_key"])
    (shown,) = for_the_cis([row])
    assert not [name for name in shown if "key" in name or "reader" in name]
    assert row["push.client_wport"] == 102 and row["push.authentication"] == "none"


def test_a_population_without_keys_offers_no_association_that_needs_some(tmp_path: Path) -> None:
    settings = load(tmp_path, table(model="single-phase", authentication="none", ciphering="none"))
    row, _ = shipped(settings)
    assert not [name for name in row if "key" in name or "." in name]
    (one,) = prepare(settings.populations)
    assert list(one.population.setup(INDEX).further) == []


@pytest.mark.parametrize("suite", [1, 2])
async def test_hls_7_with_the_key_pairs_of_the_shipment(tmp_path: Path, suite: int) -> None:
    """The head-end's pair and the meter's both follow from the seed."""
    changed = {"authentication": "hls-ecdsa", "suite": suite}
    async with Served(load(tmp_path, table(port=free_port(), model="single-phase", **changed))) as one:
        row, text = shipped(one.settings)
        meter = parse_meter(1, parse_shipment(parse_rows(text))[0], lambda scheme, rest: "")
        assert meter.problem() is None
        connection = ClientConnection(
            client_settings(meter, CLIENT_TITLE), challenge=CHALLENGE, send_counter=SendCounter(1)
        )
        caller = await called(row, connection)
        assert isinstance(await caller.ask(Open()), Opened)
        assert (await caller.ask(Get(attribute(DEVICE_ID, 2)))).value.value == b"%010d" % (FIRST + INDEX)
        await caller.close()


def test_a_head_end_s_own_pair_is_in_no_file(tmp_path: Path) -> None:
    own = PrivateKey(bytes(31) + b"\x07").public_key.octets.hex()
    row, _ = shipped(load(tmp_path, table(authentication="hls-ecdsa", suite=1, client_signing_key=own)))
    assert "signing_key" not in row and len(row["meter_signing_key"]) == 128


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"authentication": "hls-ecdsa"}, "needs suite 1 or 2"),
        ({"authentication": "hls-ecdsa", "suite": 1, "client_signing_key": "00" * 64}, "not a point of the curve"),
        (
            {
                "authentication": "hls-ecdsa",
                "suite": 2,
                "client_signing_key": PrivateKey(bytes(31) + b"\x07").public_key.octets.hex(),
            },
            "a key of suite 1",
        ),
        ({"client_system_title": "00"}, "client_system_title"),
        ({"lock_out_after": 0}, "lock_out_after"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        prepare(load(tmp_path, table(**change)).populations)


async def test_wrong_keys_lock_a_meter_of_a_population_out_with_an_event(tmp_path: Path) -> None:
    settings = load(tmp_path, table(port=free_port(), model="single-phase", lock_out_after=2, lock_out_s=60))
    async with Served(settings) as one:
        row, _ = shipped(one.settings)
        for _ in range(2):
            stranger = await called(row, as_client(row, "firmware", encryption_key="00" * 16))
            assert not isinstance(await stranger.ask(Open()), Opened)
            await stranger.close()
        right = await called(row, as_client(row, "firmware"))
        assert await right.ask(Open()) is None, "the port is closed, whoever calls"
        await right.close()
        assert [event["meter"] for event in one.reported.seen("locked_out")] == [row["name"]]
        meter = one.running.fleet.live(INDEX)
        (locked,) = meter.setup.model.events.of(Occurrence.PORT_LOCKED)
        logged = [entry.number for entry in meter.device.history.records(RecordKind.EVENT, source=locked.log)]
        assert logged.count(locked.number) == 1, "in the meter's own log, once"


async def test_a_meter_with_one_session_at_a_time_turns_a_second_client_away(tmp_path: Path) -> None:
    settings = load(tmp_path, table(port=free_port(), model="single-phase", connections_per_meter=1))
    async with Served(settings) as one:
        row, _ = shipped(one.settings)
        first = await called(row, as_client(row, "firmware"))
        assert isinstance(await first.ask(Open()), Opened)
        second = await called(row, as_client(row, "reader"))
        with contextlib.suppress(ConnectionError):
            assert await second.ask(Open()) is None
        assert (await first.ask(INITIATE)).result is ActionResult.SUCCESS
        for caller in (first, second):
            with contextlib.suppress(ConnectionError):
                await caller.close()


@pytest.mark.parametrize("fast_path", [True, False])
async def test_the_fast_path_can_be_turned_off_for_all_associations(tmp_path: Path, fast_path: bool) -> None:
    settings = load(tmp_path, table(port=free_port(), model="single-phase"))
    section = settings.meter_sim.model_copy(update={"fast_path": fast_path})
    async with Served(settings.model_copy(update={"meter_sim": section})) as one:
        profiles = one.running.fleet.live(INDEX).profiles
    assert len(profiles) > 3
    assert {profile.fast_path for profile in profiles} == {fast_path}

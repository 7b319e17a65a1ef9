"""Key pairs and certificates of populations in suites 1 and 2: the meter shows what the shipment file says, and key agreement works with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench import CLIENT_TITLE, Caller, attribute, method
from cryptography import x509
from free_ports import free_port
from served import Served, load, table
from test_population_associations import CHALLENGE, INDEX, called, shipped

from ami_dlms import data
from ami_dlms.association import Action, ClientConnection, Get, Open, Opened
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult
from ami_dlms.security import (
    PrivateKey,
    PublicKey,
    SendCounter,
    agree_ephemeral_unified,
    algorithm_of,
    open_ephemeral_key,
    signed_ephemeral_key,
)
from ami_dlms.security.suites import suite_of
from ami_meter_sim.populating import prepare
from ami_process.shipment_files import parse_rows
from ami_registry import client_settings, parse_meter, parse_shipment

SETUP = (64, "0-0:43.0.0")
SIGNATURE, AGREEMENT = 0, 1
IN_ANOTHER_PROCESS = """
import sys
from pathlib import Path
from ami_meter_sim.populating import prepare
from ami_meter_sim.settings import Settings
(one,) = prepare(Settings.load(Path(sys.argv[1])).populations)
row = one.shipment().row(int(sys.argv[2]))
print(row["meter_signing_certificate"], row["meter_agreement_certificate"], row["issuer_certificate"])
"""


def certificate(row: dict[str, Any], name: str) -> x509.Certificate:
    return x509.load_der_x509_certificate(bytes.fromhex(row[name]))


async def managing(row: dict[str, Any], text: str, counter: int = 1) -> Caller:
    """The head-end, with nothing but what the file says."""
    meter = parse_meter(1, parse_shipment(parse_rows(text))[0], lambda scheme, rest: "")
    assert meter.problem() is None
    connection = ClientConnection(
        client_settings(meter, CLIENT_TITLE), challenge=CHALLENGE, send_counter=SendCounter(counter)
    )
    caller = await called(row, connection)
    assert isinstance(await caller.ask(Open()), Opened)
    return caller


def by_entity(purpose: int, title: str) -> Data:
    wanted = data.structure(data.enum(0), data.enum(purpose), data.octet_string(bytes.fromhex(title)))
    return data.structure(data.enum(0), wanted)


@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize("authentication", ["hls-gmac", "hls-ecdsa"])
async def test_a_meter_shows_and_exports_what_the_file_says(tmp_path: Path, suite: int, authentication: str) -> None:
    wanted = table(port=free_port(), model="three-phase", suite=suite, authentication=authentication)
    async with Served(load(tmp_path, wanted)) as one:
        row, text = shipped(one.settings)
        caller = await managing(row, text)
        listed = (await caller.ask(Get(attribute(SETUP, 6)))).value.value
        assert [(each.value[0].value, each.value[1].value) for each in listed] == [(0, SIGNATURE), (0, AGREEMENT)]
        for purpose, name in ((SIGNATURE, "meter_signing_certificate"), (AGREEMENT, "meter_agreement_certificate")):
            exported = await caller.ask(Action(method(SETUP, 7), by_entity(purpose, row["system_title"])))
            assert exported.value.value.hex().upper() == row[name]
        await caller.close()


@pytest.mark.parametrize("suite", [1, 2])
def test_certificates_are_the_authority_s_and_hold_the_keys_of_the_meter(tmp_path: Path, suite: int) -> None:
    row, _ = shipped(load(tmp_path, table(model="three-phase", suite=suite)))
    issuer = certificate(row, "issuer_certificate")
    issuer.verify_directly_issued_by(issuer)
    names = ("meter_signing_certificate", "meter_agreement_certificate")
    for one in (certificate(row, name) for name in names):
        one.verify_directly_issued_by(issuer)
        assert one.subject.rfc4514_string() == f"CN={row['system_title']}"
    numbers = certificate(row, names[0]).public_key().public_numbers()  # type: ignore[union-attr]
    key = PublicKey(bytes.fromhex(row["meter_signing_key"]))
    assert numbers == key.point.public_numbers()
    serials = {certificate(row, name).serial_number for name in (*names, "issuer_certificate")}
    assert len(serials) == 3


def test_the_same_seed_gives_the_same_certificates_in_two_processes(tmp_path: Path) -> None:
    settings = load(tmp_path, table(model="three-phase", suite=1))
    row, _ = shipped(settings)
    (path,) = tmp_path.glob("*.toml")
    said = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS, str(path), str(INDEX)], capture_output=True, text=True, check=True
    )
    names = ("meter_signing_certificate", "meter_agreement_certificate", "issuer_certificate")
    assert said.stdout.split() == [row[name] for name in names]


@pytest.mark.parametrize("suite", [1, 2])
async def test_a_key_is_agreed_with_the_pairs_of_the_file(tmp_path: Path, suite: int) -> None:
    async with Served(load(tmp_path, table(port=free_port(), model="three-phase", suite=suite))) as one:
        row, text = shipped(one.settings)
        caller = await managing(row, text)
        length = suite_of(suite).coordinate_length
        ephemeral, signing = PrivateKey(bytes(length - 1) + b"\x09"), PrivateKey(bytes.fromhex(row["signing_key"]))
        half = data.structure(data.enum(0), data.octet_string(signed_ephemeral_key(ephemeral, signing, 0)))
        answer = await caller.ask(Action(method(SETUP, 3), data.array(half)))
        assert answer.result is ActionResult.SUCCESS
        theirs = answer.value.value[0].value[1].value
        public = open_ephemeral_key(theirs, PublicKey(bytes.fromhex(row["meter_signing_key"])), 0)
        title = bytes.fromhex(row["system_title"])
        agreed = agree_ephemeral_unified(
            ephemeral, public, CLIENT_TITLE, title, algorithm_of(suite_of(suite), wraps=False)
        )
        await caller.close()
        changed = text.replace(f'"encryption_key": "{row["encryption_key"]}"', f'"encryption_key": "{agreed.hex()}"', 1)
        again = await managing(row, changed, counter=100)
        await again.close()


def test_suite_0_has_neither_pairs_nor_certificates(tmp_path: Path) -> None:
    settings = load(tmp_path, table(model="three-phase"))
    row, _ = shipped(settings)
    assert not [name for name in row if "certificate" in name or "signing" in name]
    (one,) = prepare(settings.populations)
    assert list(one.population.setup(INDEX).certificates()) == []

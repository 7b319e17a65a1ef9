"""Associations beside the public and the management one: each with the mechanism, the policy and the rights that its model says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench import (
    CLIENT_TITLE,
    IMPORT,
    KEYS,
    METER_TITLE,
    POWER,
    RESIDENTIAL,
    WRONG_KEYS,
    Bench,
    Dialogue,
    client_security,
    gmac,
    gmac_client,
    session,
    setup,
)

from ami_dlms.association import ClientConnection, ClientSettings, Opened, OpenRefused
from ami_dlms.association.settings import PreEstablished
from ami_dlms.enums import DataAccessResult, Mechanism
from ami_dlms.errors import LocalError
from ami_dlms.obis import Obis
from ami_dlms.security import GlobalKeys, SendCounter
from ami_meter_sim.entries import make_setup
from ami_meter_sim.meter.further import AssociationSecrets, further_association
from ami_meter_sim.meter.setup import MeterSetup
from ami_meter_sim.settings import MeterSettings, Numbered
from ami_packs.model import Model, ObjectAccess, Offered
from ami_process.settings import SettingsError

READER = Offered("reader", 2, Mechanism.GMAC, authenticated=True, encrypted=True, security_setup=2)
FIELD = Offered("field", 5, Mechanism.LOW)
PUSH = Offered("push", 102, authenticated=True, encrypted=True, pre_established=True)
OPERATOR = Offered("operator", 6, Mechanism.GMAC, authenticated=True, encrypted=True, security_setup=2)
READER_KEYS = GlobalKeys(bytes(range(32, 48)), bytes(range(48, 64)))
PASSWORD = b"12345678"
MODEL = Model(
    tuple(
        replace(
            one,
            access={
                **one.access,
                "reader": ObjectAccess(read=frozenset({1, 2})),
                "push": ObjectAccess(read=frozenset({2})),
            },
        )
        if (one.class_id, one.obis) == (3, Obis.parse("1-0:1.8.0"))
        else one
        for one in RESIDENTIAL.objects.values()
    ),
    (*RESIDENTIAL.associations, READER, FIELD, PUSH, OPERATOR),
    RESIDENTIAL.load,
)


def offering(**given: AssociationSecrets) -> MeterSetup:
    offered = {one.name: one for one in MODEL.associations}
    management = gmac()
    further = {
        name: further_association(offered[name], METER_TITLE, one, management.security) for name, one in given.items()
    }
    return setup(model=MODEL, management=management, further=further)


def client(wport: int, mechanism: Mechanism, keys: GlobalKeys | None = None, **more: object) -> ClientConnection:
    security = None if keys is None else client_security(keys)
    settings = ClientSettings(client_wport=wport, server_wport=1, mechanism=mechanism, security=security, **more)  # type: ignore[arg-type]
    counter = None if keys is None else SendCounter(1)
    return ClientConnection(settings, challenge=b"client's words 1", send_counter=counter)


def test_a_reader_with_keys_of_its_own_sees_what_the_model_shows_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.start(offering(reader=AssociationSecrets(READER_KEYS)))
    asked = Dialogue(session(meter), client(2, Mechanism.GMAC, READER_KEYS))
    assert isinstance(asked.open(), Opened)
    assert asked.get(IMPORT).value is not None
    assert asked.get(POWER).result is DataAccessResult.OBJECT_UNDEFINED
    rows = asked.get((15, "0-0:40.0.0")).result
    assert rows is DataAccessResult.OBJECT_UNDEFINED
    assert len(MODEL.object_lists["reader"].value) == 1


@pytest.mark.parametrize("keys", [KEYS, WRONG_KEYS])
def test_the_keys_of_another_client_open_nothing(tmp_path: Path, keys: GlobalKeys) -> None:
    meter = Bench(tmp_path).start(offering(reader=AssociationSecrets(READER_KEYS)))
    asked = Dialogue(session(meter), client(2, Mechanism.GMAC, keys))
    assert not isinstance(asked.open(), Opened)


def test_an_association_without_keys_here_is_not_offered(tmp_path: Path) -> None:
    meter = Bench(tmp_path).start(offering())
    assert {client for client in range(256) if meter.association(client) is not None} == {16, 1}
    refused = Dialogue(session(meter), client(5, Mechanism.LOW, secret=PASSWORD)).open()
    assert refused is None or isinstance(refused, OpenRefused)


def test_a_password_opens_the_one_that_has_a_password(tmp_path: Path) -> None:
    meter = Bench(tmp_path).start(offering(field=AssociationSecrets(secret=PASSWORD)))
    assert isinstance(Dialogue(session(meter), client(5, Mechanism.LOW, secret=PASSWORD)).open(), Opened)
    wrong = Dialogue(session(meter), client(5, Mechanism.LOW, secret=b"87654321")).open()
    assert isinstance(wrong, OpenRefused)
    assert meter.open_clients == {16}


def test_a_pre_established_association_is_there_without_being_opened(tmp_path: Path) -> None:
    meter = Bench(tmp_path).start(offering(push=AssociationSecrets(KEYS, client_title=CLIENT_TITLE)))
    asked = Dialogue(session(meter), client(102, Mechanism.LOWEST, KEYS, pre_established=PreEstablished()))
    assert asked.get(IMPORT).value is not None


def test_clients_of_one_security_setup_share_its_counters(tmp_path: Path) -> None:
    """A value of the send counter is never used twice under one key, whoever was answered with it."""
    meter = Bench(tmp_path).start(offering(push=AssociationSecrets(KEYS, client_title=CLIENT_TITLE)))
    before = meter.counters.send.next_value
    pushed = Dialogue(session(meter), client(102, Mechanism.LOWEST, KEYS, pre_established=PreEstablished()))
    assert pushed.get(IMPORT).value is not None
    between = meter.counters.send.next_value
    assert between > before
    managed = Dialogue(session(meter), gmac_client(100))
    assert isinstance(managed.open(), Opened) and meter.counters.send.next_value > between


def test_the_other_security_setup_has_counters_of_its_own_which_outlive_the_process(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.start(offering(reader=AssociationSecrets(READER_KEYS)))
    first = meter.counters.receive.lowest_acceptable
    read = Dialogue(session(meter), client(2, Mechanism.GMAC, READER_KEYS))
    assert isinstance(read.open(), Opened) and read.get(IMPORT).value is not None
    sent, lowest = meter.second_counters.send.next_value, meter.second_counters.receive.lowest_acceptable
    assert sent > 1 and lowest > 1 and meter.counters.receive.lowest_acceptable == first
    again = bench.start(offering(reader=AssociationSecrets(READER_KEYS)))
    assert again.second_counters.send.next_value >= sent
    assert again.second_counters.receive.lowest_acceptable >= lowest
    replayed = Dialogue(session(again), client(2, Mechanism.GMAC, READER_KEYS))
    assert not isinstance(replayed.open(), Opened)


@pytest.mark.parametrize(
    ("offered", "given", "what"),
    [
        (READER, AssociationSecrets(), "encryption_key"),
        (FIELD, AssociationSecrets(KEYS), "needs a secret"),
        (PUSH, AssociationSecrets(KEYS), "client_system_title"),
        (PUSH, AssociationSecrets(KEYS, client_title=METER_TITLE), "same system title"),
        (READER, AssociationSecrets(GlobalKeys(bytes(32), bytes(32))), "wants keys of 16 octets"),
    ],
)
def test_what_an_association_lacks_is_named(offered: Offered, given: AssociationSecrets, what: str) -> None:
    with pytest.raises(LocalError, match=what):
        further_association(offered, METER_TITLE, given, None)


ENTRY = {
    "name": "M1",
    "address": "127.0.0.1:4059",
    "logical_device_name": "AMIM1",
    "device_id": "1",
    "system_title": METER_TITLE.hex(),
    "encryption_key": bytes(16).hex(),
    "authentication_key": bytes(16).hex(),
}


def made(*associations: dict[str, str]) -> MeterSetup:
    numbered = Numbered(1, ENTRY | {"simulated": {"associations": list(associations)}})
    return make_setup(MeterSettings.model_validate(numbered), MODEL, ())


def test_settings_name_associations_and_their_keys() -> None:
    found = made({"name": "reader", "encryption_key": "22" * 16}, {"name": "field", "secret": "text:12345678"})
    reader, field = found.further["reader"], found.further["field"]
    assert reader.security is not None and reader.security.keys == GlobalKeys(b"\x22" * 16, bytes(16))
    assert (field.secret, field.security) == (PASSWORD, None)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (
            {"name": "readers"},
            "simulated.associations readers: the model has no association of this name with keys; it has",
        ),
        ({"name": "public"}, "no association of this name with keys"),
        ({"name": "reader", "encryption_key": "22"}, "reader: .*1 octets, wanted 16 or 32"),
        ({"name": "field"}, "field: .*needs a secret"),
    ],
)
def test_settings_that_do_not_fit_the_model_are_refused_by_name(given: dict[str, str], what: str) -> None:
    with pytest.raises(SettingsError, match=what):
        made(given)


TITLE = {"client_system_title": METER_TITLE[:7].hex() + "7f"}
SECOND, THIRD = "22" * 16, "33" * 16


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (
            ({"name": "reader", "encryption_key": SECOND}, {"name": "operator", "encryption_key": THIRD}),
            "operator: its encryption_key is not that of reader, and both use security setup 2",
        ),
        (
            ({"name": "reader", "authentication_key": SECOND}, {"name": "operator"}),
            "operator: its authentication_key is not that of reader, and both use security setup 2",
        ),
        (
            ({"name": "push", "encryption_key": SECOND} | TITLE,),
            "push: its encryption_key is not that of management, and both use security setup 1",
        ),
    ],
)
def test_associations_of_one_security_setup_have_one_set_of_keys(given: tuple[dict[str, str], ...], what: str) -> None:
    with pytest.raises(SettingsError, match=what) as refused:
        made(*given)
    assert SECOND not in str(refused.value) and THIRD not in str(refused.value)


def test_associations_that_share_a_security_setup_may_name_the_same_keys() -> None:
    found = made(
        *({"name": name, "encryption_key": SECOND} for name in ("reader", "operator")), {"name": "push"} | TITLE
    )
    assert list(found.further) == ["reader", "operator", "push"]

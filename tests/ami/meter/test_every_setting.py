"""Everything that the protocol core can be set to has an option of `ami meter`, or a reason here why it has none."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
from fake_meter import FakeMeter
from meter_bench import AK, EK, Ami
from plain_objects import objects
from served_meter import Meter, profile, served

from ami_cli.meter import cli
from ami_cli.meter.errors import ExitCode, MeterError
from ami_cli.meter.framings import line_of
from ami_cli.meter.options import MeterTarget
from ami_cli.meter.target import target_of
from ami_cli.meter.target_options import TargetOptions
from ami_dlms import data
from ami_dlms.association import ClientConnection, ClientSettings, MessageKeys, PreEstablished, Security
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.enums import Conformance, Mechanism
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_dlms.framing.hdlc_framing import HdlcClientFraming
from ami_dlms.framing.hdlc_parameters import LinkParameters
from ami_dlms.obis import Obis
from ami_dlms.security import (
    AsymmetricKeys,
    GlobalKeys,
    PrivateKey,
    ProtectionFlags,
    ReceiveCounter,
    SecurityPolicy,
    SendCounter,
)

OURS, THEIRS = PrivateKey(bytes(31) + b"\x07"), PrivateKey(bytes(31) + b"\x09")
PRIVATE, PUBLIC = OURS.octets.hex(), THEIRS.public_key.octets.hex()
SECURED = ("--client", 1, "--authentication", "hls-gmac", "--ek", EK, "--ak", AK, "--title", "4142430000000001")
CURVES = (*SECURED, "--suite", 1)
LINK = ("--transport", "hdlc", "--physical", 17)

SETTINGS: dict[tuple[type, str], tuple[tuple[object, ...], tuple[object, ...]] | str] = {
    (ClientSettings, "client_wport"): ((), ("--client", 32)),
    (ClientSettings, "server_wport"): ((), ("--server", 2)),
    (ClientSettings, "mechanism"): ((), ("--authentication", "lls", "--secret", "text:x")),
    (ClientSettings, "secret"): ((), ("--secret", "text:x")),
    (ClientSettings, "manufacturer_proof"): "a function of each manufacturer's, which no option can give",
    (ClientSettings, "security"): ((), SECURED),
    (ClientSettings, "conformance"): ((), ("--conformance", "+access")),
    (ClientSettings, "max_receive_pdu_size"): ((), ("--max-pdu", 128)),
    (ClientSettings, "max_result_octets"): ((), ("--max-result", 4096)),
    (ClientSettings, "block_window"): ((), ("--block-window", 1)),
    (ClientSettings, "short_names"): ((), ("--short-names",)),
    (ClientSettings, "pre_established"): ((), ("--pre-established", 0)),
    (ClientSettings, "high_priority"): ((), ("--priority", "normal")),
    (ClientSettings, "any_invoke_id"): ((), ("--any-invoke-id",)),
    (ClientSettings, "any_address"): ((), ("--any-address",)),
    (ClientSettings, "fast_path"): ((), ("--no-fast-path",)),
    (PreEstablished, "peer_max_receive_pdu_size"): (("--pre-established", 0), ("--pre-established", 128)),
    (Security, "keys"): (SECURED, ("--ek", AK)),
    (Security, "system_title"): (SECURED, ("--title", "4142430000000002")),
    (Security, "suite"): (SECURED, ("--suite", 1)),
    (Security, "authenticated"): "policy says it for each direction: --protection, --response-protection",
    (Security, "encrypted"): "policy says it for each direction: --protection, --response-protection",
    (Security, "policy"): (SECURED, ("--response-protection", "authenticated")),
    (Security, "peer_system_title"): (SECURED, ("--meter-title", "4142430000000003")),
    (Security, "ciphering"): (SECURED, ("--ciphering", "service-specific")),
    (Security, "message_keys"): (SECURED, ("--message-key", "wrapped", "--kek", AK)),
    (Security, "asymmetric"): (CURVES, ("--signing-key", PRIVATE)),
    (Security, "certificate"): (SECURED, ("--certificate", "certificate.der")),
    (Security, "trust"): "a person names the meter's key with --meter-signing-key, by cert:PATH too",
    (GlobalKeys, "encryption_key"): (SECURED, ("--ek", AK)),
    (GlobalKeys, "authentication_key"): (SECURED, ("--ak", EK)),
    (GlobalKeys, "broadcast_encryption_key"): "what is broadcast goes to meters, a client takes none",
    (GlobalKeys, "master_key"): (SECURED, ("--kek", AK)),
    (GlobalKeys, "cipher"): "made of the encryption key",
    (GlobalKeys, "broadcast_cipher"): "made of the broadcast key",
    (AsymmetricKeys, "signing"): (CURVES, ("--signing-key", PRIVATE)),
    (AsymmetricKeys, "peer_signing"): (CURVES, ("--meter-signing-key", PUBLIC)),
    (AsymmetricKeys, "agreement"): (CURVES, ("--agreement-key", PRIVATE)),
    (AsymmetricKeys, "peer_agreement"): (CURVES, ("--meter-agreement-key", PUBLIC)),
    (MessageKeys, "own"): (SECURED, ("--message-key", "wrapped", "--kek", AK)),
    (MessageKeys, "taken"): (SECURED, ("--message-key", "wrapped", "--kek", AK)),
    (MessageKeys, "random_bytes"): "the machine's",
    (HdlcAddress, "upper"): (LINK, ("--server", 2)),
    (HdlcAddress, "lower"): (LINK, ("--physical", 18)),
    (HdlcAddress, "wide"): (LINK, ("--address-size", 4)),
    (LinkParameters, "max_information_transmit"): (LINK, ("--max-info-transmit", 64)),
    (LinkParameters, "max_information_receive"): (LINK, ("--max-info-receive", 512)),
    (LinkParameters, "window_transmit"): (LINK, ("--window-transmit", 2)),
    (LinkParameters, "window_receive"): (LINK, ("--window-receive", 7)),
}
PARAMETERS: dict[tuple[Callable[..., Any], str], str] = {
    (ClientConnection, "settings"): "SETTINGS",
    (ClientConnection, "challenge"): "--challenge-length",
    (ClientConnection, "send_counter"): "--invocation-counter",
    (ClientConnection, "receive_counter"): "no option: a command is one association, whose freshness HLS proves",
    (ClientConnection, "dedicated_key"): "--dedicated-key",
    (ClientConnection, "framing"): "--transport",
    (ClientConnection, "clear"): "no option: it is for whoever records what was deciphered",
    (HdlcClientFraming, "client"): "--client",
    (HdlcClientFraming, "server"): "--server",
    (HdlcClientFraming, "parameters"): "SETTINGS",
    (HdlcClientFraming, "max_retries"): "--retries",
    (HdlcClientFraming, "max_apdu"): "no option: the longest APDU of the standard",
    (HdlcClientFraming, "any_address"): "--any-address",
}


@dataclass
class Caught:
    """The options of the last command."""

    options: TargetOptions | None = None

    def target(self) -> MeterTarget:
        assert self.options is not None
        return target_of(self.options, {})


@pytest.fixture
def caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Caught:
    """Commands end before anything is opened."""
    found = Caught()

    def session_with(options: TargetOptions) -> None:
        found.options = options
        raise MeterError(ExitCode.INTERRUPTED, "caught")

    monkeypatch.setattr(cli, "session_with", session_with)
    monkeypatch.chdir(tmp_path)
    Path("certificate.der").write_bytes(b"\x30\x00")
    return found


def made_of(kind: type, target: MeterTarget) -> object:
    """The part of the core's settings that the options make."""
    settings = target.identity.settings(target.identity.title, None, bytes)
    if kind is ClientSettings:
        return settings
    if kind is PreEstablished:
        return settings.pre_established
    if kind in (HdlcAddress, LinkParameters):
        framing = line_of(target.reach, settings).framing
        assert isinstance(framing, HdlcClientFraming)
        return framing.link.peer if kind is HdlcAddress else framing.link._offer
    security = settings.security
    assert security is not None
    parts = {
        Security: security,
        GlobalKeys: security.keys,
        AsymmetricKeys: security.asymmetric,
        MessageKeys: security.message_keys,
    }
    return parts[kind]


def test_every_setting_is_listed() -> None:
    kinds = {kind for kind, _ in SETTINGS}
    assert {(kind, one.name) for kind in kinds for one in fields(kind)} - set(SETTINGS) == set()
    for make in {make for make, _ in PARAMETERS}:
        assert {name for one, name in PARAMETERS if one is make} == set(inspect.signature(make).parameters)


@pytest.mark.parametrize(
    ("kind", "name", "before", "change"),
    [(kind, name, *found) for (kind, name), found in SETTINGS.items() if not isinstance(found, str)],
    ids=lambda one: getattr(one, "__name__", one) if isinstance(one, str | type) else "",
)
def test_the_option_reaches_the_setting(
    ami: Ami, caught: Caught, kind: type, name: str, before: tuple[object, ...], change: tuple[object, ...]
) -> None:
    seen = []
    for arguments in (before, (*before, *change)):
        result = ami.run("clock", "--host", "127.0.0.1", *arguments)
        assert result.code == 130, result.err
        seen.append(getattr(made_of(kind, caught.target()), name))
    assert seen[0] != seen[1]


def test_every_option_of_a_parameter_exists(ami: Ami) -> None:
    shown = ami.run("clock", "--help").ok().out
    assert all(option in shown for option in PARAMETERS.values() if option.startswith("--"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--conformance", "get,+set"), "either all bits or changes alone"),
        (("--conformance", "magic"), "magic is none of"),
        (("--transport", "hdlc", "--address-size", 4), "has a lower part"),
        (("--transport", "hdlc", "--physical", 300, "--address-size", 2), "takes 4 octets, not 2"),
        (("--max-info-receive", 16), "max-info-receive"),
        (("--dedicated-key",), "needs an association with ciphering"),
    ],
)
def test_options_that_can_not_be(ami: Ami, arguments: tuple[object, ...], said: str) -> None:
    with FakeMeter(objects()).running() as meter:
        wrong = ami.run("clock", "--host", "127.0.0.1", "--port", meter.port, *arguments)
    assert wrong.code == 2 and said in wrong.err


# --- as they go over the wire

READ = ("read", "1-0:1.8.0", 2, "--class", 3, "--timeout", 1)


def asked(ami: Ami, meter: FakeMeter, *arguments: object) -> list[bytes]:
    """What a meter heard of a read that went well."""
    how = ("--transport", "hdlc") if meter.transport == "hdlc" else ()
    with meter.running():
        shown = ami.run(*READ, "--host", "127.0.0.1", "--port", meter.port, *how, *arguments).ok().out
    assert "1234" in shown
    return meter.heard


def test_an_address_of_four_octets(ami: Ami) -> None:
    meter = FakeMeter(objects(), "hdlc")
    meter.quirks.takes = bytes.fromhex("00020023")
    asked(ami, meter, "--physical", 17, "--address-size", 4)
    with meter.running():
        silent = ami.run(*READ, "--host", "127.0.0.1", "--port", meter.port, "--transport", "hdlc", "--physical", 17)
    assert silent.code == 4


def test_parameters_of_the_data_link(ami: Ami) -> None:
    meter = FakeMeter(objects(), "hdlc")
    more = ("--max-info-transmit", 64, "--max-info-receive", 512, "--window-receive", 3, "--window-transmit", 2)
    asked(ami, meter, *more)
    assert bytes.fromhex("050140 06020200 070400000002 080400000003") in meter.frames[0]


def test_repetitions_of_the_data_link(ami: Ami) -> None:
    meter = FakeMeter(objects(), "hdlc")
    meter.quirks.takes = b"\xff"
    with meter.running():
        where = ("--host", "127.0.0.1", "--port", meter.port, "--transport", "hdlc", "--timeout", 0.2)
        assert ami.run(*READ[:-2], *where, "--retries", 1).code == 4
    assert len(meter.frames) == 2


def test_conformance_and_priority(ami: Ami) -> None:
    opening, get, *_ = asked(ami, FakeMeter(objects()), "--conformance", "get,action", "--priority", "normal")
    assert (Conformance.GET | Conformance.ACTION).to_bytes(3, "big") in opening and get[2] == 0x41


def test_an_association_that_is_not_opened(ami: Ami) -> None:
    for transport in ("wrapper", "hdlc"):
        heard = asked(ami, FakeMeter(objects(), transport), "--pre-established", 0)
        assert {apdu[0] for apdu in heard} == {0xC0}


def test_the_length_of_a_challenge(ami: Ami) -> None:
    meter = FakeMeter(objects())
    with meter.running():
        arguments = ("--authentication", "hls-md5", "--secret", "text:x", "--challenge-length", 8)
        ami.run(*READ, "--host", "127.0.0.1", "--port", meter.port, *arguments)
    assert b"\xac\x0a\x80\x08" in meter.heard[0]


# --- keys, with a meter of the protocol core

VALUES = {AttributeDescriptor(1, Obis.parse("0-0:96.1.0"), 2): data.unsigned(42)}


def secured(change: dict[str, object] | None = None) -> dict[str, object]:
    keys = GlobalKeys(bytes.fromhex(EK), bytes.fromhex(AK))
    security = Security(keys=keys, system_title=b"METER\0\0\1", suite=1, **(change or {}))  # type: ignore[arg-type]
    counters = {"send_counter": SendCounter(1), "receive_counter": ReceiveCounter()}
    return {"security": security, "mechanism": Mechanism.GMAC, **counters}


def read_secured(ami: Ami, meter: Meter, change: dict[str, object] | None, *arguments: object) -> int:
    with served(meter, profile(meter, **secured(change))) as port:
        where = ("--host", "127.0.0.1", "--port", port, *CURVES, "--invocation-counter", 5, "-v")
        result = ami.run("read", "0-0:96.1.0", 2, "--class", 1, *where, *arguments)
    assert (result.code == 0) is ("42" in result.out), result.err
    return result.code


def test_a_dedicated_key(ami: Ami) -> None:
    assert read_secured(ami, Meter(dict(VALUES)), None, "--dedicated-key") == 0


def test_signed_requests_and_answers(ami: Ami) -> None:
    wanted = ProtectionFlags.AUTHENTICATED | ProtectionFlags.ENCRYPTED | ProtectionFlags.SIGNED
    policy = SecurityPolicy(wanted, wanted)
    held: dict[str, object] = {"asymmetric": AsymmetricKeys(THEIRS, OURS.public_key), "policy": policy}
    given = ("--signed", "--signing-key", PRIVATE, "--meter-signing-key", PUBLIC)
    assert read_secured(ami, Meter(dict(VALUES)), held, *given) == 0
    assert read_secured(ami, Meter(dict(VALUES)), held, *given[1:]) != 0
    assert read_secured(ami, Meter(dict(VALUES)), None, *given) != 0


@pytest.mark.parametrize("asked_for", ["authenticated", "encrypted", "both"])
def test_a_protection_of_answers_of_its_own(ami: Ami, asked_for: str) -> None:
    given = ("--protection", "both", "--response-protection", asked_for)
    assert read_secured(ami, Meter(dict(VALUES)), None, *given) == 0


def test_requests_that_are_not_answered(ami: Ami) -> None:
    place = AttributeDescriptor(1, Obis.parse("0-0:96.1.0"), 2)
    method = MethodDescriptor(9, Obis.parse("0-0:10.0.100"), 1)
    meter = Meter({place: data.unsigned(42)}, methods=frozenset({method}))
    with served(meter) as port:
        where = ("--host", "127.0.0.1", "--port", port, "--client", 1, "--unconfirmed")
        written = ami.run("write", "0-0:96.1.0", 2, 43, "--class", 1, *where).ok()
        called = ami.run("invoke", "0-0:10.0.100", 1, "--class", 9, *where).ok()
    assert "after    43" in written.out and "has no answer" in called.err

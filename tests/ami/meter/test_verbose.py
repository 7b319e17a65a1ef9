"""`-v` shows everything that passes, but no password and no key: not in words, not deciphered, not as sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from meter_bench import PASSWORD, Ami

from ami_cli.meter.trace import Trace
from ami_dlms import apdu, data
from ami_dlms.apdu.ciphered import ServiceCiphering
from ami_dlms.apdu.get import GetResponseNormal
from ami_dlms.apdu.set import SetRequestNormal
from ami_dlms.association import ClientSettings, Security
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.enums import ApduTag
from ami_dlms.framing.framing import WrapperPdu
from ami_dlms.obis import Obis
from ami_dlms.security import AUTHENTICATED, GlobalKeys, protect

NEW = "correct horse battery staple"
NEW_DIGITS = NEW.encode().hex().upper()
SECRET = ("0-0:40.0.0", "secret", f"text:{NEW}", "--class", 15, "--type", "octet-string")
CHANGE = ("0-0:40.0.0", "change_hls_secret", f"text:{NEW}", "--class", 15, "--type", "octet-string")
TRANSFER = ("0-0:43.0.0", 2, f"text:{NEW}", "--class", 64, "--type", "octet-string")


def hides(traced: str) -> bool:
    joined = "".join(traced.split())
    return NEW_DIGITS not in joined and NEW not in traced and "**" in traced


@pytest.mark.parametrize("kind", ["CLEAR", "LLS", "GMAC", "SPECIFIC"])
@pytest.mark.parametrize("given", [("write", *SECRET), ("invoke", *CHANGE), ("invoke", *TRANSFER)])
def test_a_new_secret_is_hidden(ami: Ami, kind: str, given: tuple[object, ...]) -> None:
    result = ami.on(kind, *given, "-v")
    assert hides(result.err) and NEW not in result.out and NEW_DIGITS not in result.out
    assert "secret" in result.err or "transfer" in result.err
    assert "(class 15, attribute 7), not shown" in result.err or "method 2), not shown" in result.err


def test_octets_that_are_authenticated_only() -> None:
    lines: list[str] = []
    trace, keys, title = Trace(lines.append), GlobalKeys(bytes(16), bytes(16)), b"AMI\0\0\0\0\1"
    security = Security(keys=keys, system_title=title, encrypted=False)
    trace.association(ClientSettings(client_wport=1, server_wport=1, security=security))
    value = data.octet_string(NEW.encode())
    clear = apdu.encode(SetRequestNormal(0xC1, AttributeDescriptor(15, Obis.parse("0-0:40.0.0"), 7), None, value))
    octets = apdu.encode(ServiceCiphering(ApduTag.GLO_SET_REQUEST, protect(AUTHENTICATED, keys, title, 1, clear)))
    trace.exchange(about_a_secret=True)
    trace.apdu("→", WrapperPdu(1, 1, octets))
    trace.octets("→", octets)
    assert NEW_DIGITS in octets.hex().upper() and hides("\n".join(lines)) and "sent" in "".join(lines)


def test_over_hdlc(ami: Ami) -> None:
    where = ("--transport", "hdlc", "--port", ami.fleet.port("CLEAR-HDLC"), "--host", "127.0.0.1", "--client", 1)
    long = ("0-0:40.0.0", 7, f"text:{NEW * 8}", "--class", 15, "--type", "octet-string")
    for given in (SECRET, long):
        traced = ami.run("write", *given, "-v", *where).err
        assert hides(traced) and "sent     7EA0" in traced
    assert "not shown: a secret is among them" in traced  # frames have cut the long one


@pytest.mark.parametrize("kind", ["LLS", "LLS-CIPHERED"])
def test_the_password_of_the_association(ami: Ami, kind: str) -> None:
    traced = ami.on(kind, "read", "0-0:96.3.10", 2, "-v").ok().err
    assert PASSWORD.encode().hex().upper() not in "".join(traced.split()) and "*" * 16 in traced
    assert "sent     0001" in traced and "received 0001" in traced


def test_the_answer_to_a_question_about_a_secret() -> None:
    lines: list[str] = []
    trace = Trace(lines.append)
    trace.association(ClientSettings(client_wport=1, server_wport=1))
    trace.exchange(about_a_secret=True)
    answer = apdu.encode(GetResponseNormal(0xC1, data.octet_string(NEW.encode())))
    for octets in (answer, answer[:-1]):
        trace.octets("←", octets)
        trace.apdu("←", WrapperPdu(1, 1, octets))
    assert hides("\n".join(lines)) and any("not shown: a secret is among them" in line for line in lines)
    trace.exchange(about_a_secret=False)
    trace.octets("←", answer)
    assert NEW_DIGITS in "".join("".join(lines[-2:]).split()).replace("received", "")


def test_what_can_not_be_read_says_why() -> None:
    lines: list[str] = []
    trace = Trace(lines.append)
    trace.association(ClientSettings(client_wport=1, server_wport=1))
    for octets in (b"\xc4\x01\xc1\x00\x63", b"\xc4", b"\x99\x01", bytes.fromhex("D80102FF")):
        trace.apdu("←", WrapperPdu(1, 1, octets))
    told = [line for line in lines if line.startswith("←")]
    assert ["can't be read: expected" in line for line in told] == [True, True, True, False]
    assert "expected the end" in told[3], told


def test_a_secret_that_is_mistyped_or_kept_elsewhere(ami: Ami, tmp_path: Path) -> None:
    place = ("write", "0-0:40.0.0", "secret")
    more = ("--class", 15, "--type", "octet-string")
    wrong = ami.on("CLEAR", *place, "swordfish", *more)
    assert wrong.code == 2 and "swordfish" not in wrong.err and "env:NAME" in wrong.err
    (tmp_path / "new").write_text(NEW_DIGITS)
    kept = ami.on("CLEAR", *place, f"file:{tmp_path / 'new'}", *more, "-v")
    assert hides(kept.err) and "read-write-denied" in kept.err
    assert "can't be read" in ami.on("CLEAR", *place, "file:none", *more).err


def test_reading_a_secret_says_that_there_is_one(ami: Ami) -> None:
    [shown] = [one for one in ami.on("CLEAR", "read", "0-0:40.0.0", "--json").ok().json if one["attribute_id"] == 7]
    assert shown["value"] is None and shown["a_xdr"] is None and shown["access"] == "–" and shown["text"] == ""
    given = ami.on("CLEAR", "read", "0-0:40.0.0", 7)
    assert given.code == 1 and "read-write-denied" in given.out

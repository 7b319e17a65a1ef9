"""Attacks on a head-end that takes signed messages and UsernameTokens alone. Each message would switch a meter if it were believed.

What came back is the HTTP status with `OK`, a reply code, or the faultcode.
"""

from __future__ import annotations

import re
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import xmlsec
from hostile import controls, post, soap
from lxml import etree
from siege import Battlefield
from signers import PASSWORD, Signing, sealed

sys.path.append(str(Path(__file__).resolve().parents[1] / "cim"))

from wsse_attacks import ATTACKS

VARIANTS = len(ATTACKS)
AS_ITS_ROW = "500, the fault of its row"
ROUNDS = 4
"""How often each variant is sent with full force."""
_OF_PASSWORDS = re.compile(rb"<wsse:Security.*</wsse:Security>", re.DOTALL)


def disconnect(site: Battlefield) -> bytes:
    """A message that is right but for its Security header; of a meter that is not there, so that legitimate work is not in its way."""
    return soap(controls(f"<c:EndDevices><c:mRID>{site.meters[2]['mrid']}</c:mRID></c:EndDevices>"))


def connect(site: Battlefield) -> bytes:
    """The same of a meter that is there: who may, has it done."""
    return soap(controls(f"<c:EndDevices><c:mRID>{site.meters[0]['mrid']}</c:mRID></c:EndDevices>", "3.31.0.18"))


def said(answer: bytes) -> str:
    """In a word."""
    status = answer[9:12].decode("ascii", "replace") if answer.startswith(b"HTTP/1.1 ") else "hung up"
    fault = re.search(rb"<faultcode[^>]*>([^<]+)<", answer)
    codes = re.findall(rb"code>([0-9.]+)<", answer)
    if fault is not None and b"7.5" in codes:
        return f"{status} 7.5"
    if fault is not None:
        return f"{status} {fault[1].decode()}"
    return f"{status} {codes[0].decode() if codes and b'>OK<' not in answer else 'OK'}"


def _rounds(force: float, most: int = ROUNDS) -> range:
    return range(max(1, round(most * force)))


def variants(site: Battlefield, force: float) -> Counter[str]:
    """Each of `tests/cim/wsse_attacks.py`, done to a message that is right."""
    came: Counter[str] = Counter()
    for _ in _rounds(force):
        for name, (change, words, fault) in ATTACKS.items():
            root = etree.fromstring(sealed(site.directory, disconnect(site)))
            change(root)
            answer = post(site.hes, etree.tostring(root))
            code = f"faultcode>{fault}<" if ":" in fault else f":{fault}<"
            is_so = answer.startswith(b"HTTP/1.1 500") and code.encode() in answer and words.encode() in answer
            came[AS_ITS_ROW if is_so else f"{name}: {said(answer)}"] += 1
    return came


def replayed(site: Battlefield, force: float) -> Counter[str]:
    """A message of the CIS that somebody has seen, again and again, at once with what it was."""
    once = sealed(site.directory, connect(site))
    first = said(post(site.hes, once))
    came = Counter({"200 OK" if first.startswith("200 ") else first: 1})
    for _ in range(max(3, round(200 * force))):
        came[said(post(site.hes, once))] += 1
    return came


def _other_bodies(octets: bytes) -> Iterator[bytes]:
    """Another verb, another meter, another MessageID, another control, white space."""
    yield octets.replace(b">create<", b">cancel<", 1)
    yield re.sub(rb"(mRID>)[^<]+<", rb"\g<1>00000000-0000-0000-0000-000000000001<", octets, count=1)
    yield re.sub(rb"(MessageID>)[^<]+<", rb"\g<1>evil<", octets, count=1)
    yield octets.replace(b"3.31.0.23", b"3.31.0.18", 1)
    yield octets.replace(b"</m:Header>", b" </m:Header>", 1)


def other_bodies(site: Battlefield, force: float) -> Counter[str]:
    """Behind a signature that is right for what was there."""
    came: Counter[str] = Counter()
    for _ in _rounds(force, 20):
        octets = sealed(site.directory, disconnect(site))
        for changed in _other_bodies(octets):
            came["nothing was changed" if changed == octets else said(post(site.hes, changed))] += 1
    return came


def other_times(site: Battlefield, force: float) -> Counter[str]:
    """Signed by who may, of a time that is over or still to come."""
    now = datetime.now(UTC)
    times = (now - timedelta(days=365), now - timedelta(seconds=301), now + timedelta(seconds=120))
    bodies = [sealed(site.directory, disconnect(site), now=one) for one in times for _ in _rounds(force, 20)]
    ended = now - timedelta(seconds=1)
    bodies.append(sealed(site.directory, disconnect(site), now=now, expires_at=ended))
    return Counter(said(post(site.hes, one)) for one in bodies)


def with_sha_1(site: Battlefield, force: float) -> Counter[str]:
    """Signed with the right key, and SHA-1 for the digests, the signature, or both."""
    kinds = (
        (xmlsec.Transform.ECDSA_SHA1, xmlsec.Transform.SHA1),
        (xmlsec.Transform.ECDSA_SHA1, xmlsec.Transform.SHA256),
        (xmlsec.Transform.ECDSA_SHA256, xmlsec.Transform.SHA1),
    )
    came: Counter[str] = Counter()
    for method, digest in kinds * len(_rounds(force, 20)):
        envelope, _ = Signing(site.directory, method, digest).apply(etree.fromstring(disconnect(site)), {})
        came[said(post(site.hes, etree.tostring(envelope)))] += 1
    return came


def of_another_role(site: Battlefield, force: float) -> Counter[str]:
    """A reader's own proof of a control, two proofs that don't agree, and a token of who may, taken from a message of theirs."""
    came: Counter[str] = Counter()
    for _ in _rounds(force, 20):
        body = disconnect(site)
        seen = sealed(site.directory, connect(site), None, username="switching", password=PASSWORD)
        came[said(post(site.hes, sealed(site.directory, body, "mdm")))] += 1
        came[said(post(site.hes, sealed(site.directory, body, None, username="billing", password=PASSWORD)))] += 1
        mixed = sealed(site.directory, body, "mdm", username="switching", password=PASSWORD)
        came[said(post(site.hes, mixed))] += 1
        post(site.hes, seen)
        token = _OF_PASSWORDS.search(seen)
        assert token is not None
        taken = _OF_PASSWORDS.sub(lambda _, token=token: token[0], _sealed_by_billing(site))
        came[said(post(site.hes, taken))] += 1
    return came


def _sealed_by_billing(site: Battlefield) -> bytes:
    body = disconnect(site).replace(b"MessageID>", b"MessageID>" + uuid.uuid4().hex.encode(), 1)
    return sealed(site.directory, body, None, username="billing", password=PASSWORD)


def passwords_as_text(site: Battlefield, force: float) -> Counter[str]:
    """The right one."""
    token = {"username": "switching", "password": PASSWORD, "password_as_text": True}
    bodies = [sealed(site.directory, disconnect(site), None, **token) for _ in _rounds(force, 20)]
    return Counter(said(post(site.hes, one)) for one in bodies)

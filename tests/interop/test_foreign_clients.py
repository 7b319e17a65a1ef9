"""Two foreign clients, each in its own process, work through a session with our server: agreement beyond our own two halves."""

from __future__ import annotations

from typing import Any

import pytest
from loopback import CLOCK, ROWS, Rights, loopback, peer_python, run_peer

from dlms import data
from dlms.association import AssociationOpened, AssociationProfile, AssociationRefused, AssociationReleased, Security
from dlms.enums import ApduTag, Mechanism
from dlms.security import GlobalKeys, ReceiveCounter, SendCounter

KEYS = GlobalKeys(bytes(range(16)), bytes(range(0xD0, 0xE0)))
SERVER_TITLE = b"AMI\0\0\0\3\xe9"
CLIENT_TITLE = b"AMI\0\0\0\0\1"
PASSWORD = b"12345678"
NEW_CLOCK = data.octet_string(bytes.fromhex("07EA0B1801010203FF800000"))
MECHANISMS = {"none": Mechanism.LOWEST, "lls": Mechanism.LOW, "gmac": Mechanism.GMAC}
POLICIES = {"none": (False, False), "authenticated": (True, False), "encrypted": (False, True), "both": (True, True)}
ACSE = {ApduTag.AARQ, ApduTag.RLRQ}
REQUEST_TAGS = {
    ("plain", False): {ApduTag.GET_REQUEST, ApduTag.SET_REQUEST, ApduTag.ACTION_REQUEST},
    ("service-specific", False): {ApduTag.GLO_GET_REQUEST, ApduTag.GLO_SET_REQUEST, ApduTag.GLO_ACTION_REQUEST},
    ("service-specific", True): {ApduTag.DED_GET_REQUEST, ApduTag.DED_SET_REQUEST, ApduTag.DED_ACTION_REQUEST},
    ("general-glo", False): {ApduTag.GENERAL_GLO_CIPHERING},
    ("general-glo", True): {ApduTag.GENERAL_DED_CIPHERING},
}


def profile(mechanism: str, policy: str | None, **changes: Any) -> AssociationProfile:
    security = None
    if policy is not None:
        authenticated, encrypted = POLICIES[policy]
        security = Security(keys=KEYS, system_title=SERVER_TITLE, authenticated=authenticated, encrypted=encrypted)
    given: dict[str, Any] = {
        "client_wport": 1,
        "server_wport": 1,
        "access": Rights(),
        "mechanism": MECHANISMS[mechanism],
        "secret": PASSWORD,
        "security": security,
        "send_counter": SendCounter(5000),
        "receive_counter": ReceiveCounter(100),
    }
    return AssociationProfile(**(given | changes))


def given(port: int, mechanism: str, policy: str | None, **changes: Any) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "port": port,
        "client_wport": 1,
        "server_wport": 1,
        "mechanism": mechanism,
        "secret": PASSWORD.hex(),
        "max_pdu_size": 200,
        "clock": data.encode(NEW_CLOCK).hex(),
        "ciphering": "service-specific",
    }
    if policy is not None:
        wanted |= {
            "policy": policy,
            "encryption_key": KEYS.encryption_key.hex(),
            "authentication_key": KEYS.authentication_key.hex(),
            "system_title": CLIENT_TITLE.hex(),
            "invocation_counter": 100,
        }
    return wanted | changes


needs_dlms_cosem = pytest.mark.skipif(
    not peer_python("dlms-cosem").exists(), reason="run: python tests/interop/prepare.py"
)
needs_gurux = pytest.mark.skipif(not peer_python("gurux").exists(), reason="run: python tests/interop/prepare.py")


@needs_dlms_cosem
@pytest.mark.parametrize(
    ("mechanism", "policy"), [("none", None), ("lls", None), ("none", "both"), ("lls", "both"), ("gmac", "both")]
)
async def test_dlms_cosem(mechanism: str, policy: str | None) -> None:
    async with loopback(profile(mechanism, policy)) as server:
        found = await run_peer("dlms-cosem", "dlms_cosem_client.py", given(server.port, mechanism, policy))
    assert found == {
        "name": data.encode(data.octet_string(b"AMI0000000001001")).hex(),
        "long": data.encode(
            data.array(*(data.structure(data.long_unsigned(a), data.double_long_unsigned(b)) for a, b in ROWS))
        ).hex(),
        "set": 0,
        "clock": data.encode(NEW_CLOCK).hex(),
        "action": "",
    }, server.seen
    assert isinstance(server.seen[0], AssociationOpened)
    assert isinstance(server.seen[-1], AssociationReleased)
    assert server.values[CLOCK] == NEW_CLOCK
    assert server.tags - ACSE == REQUEST_TAGS["plain" if policy is None else "general-glo", False]


@needs_dlms_cosem
async def test_dlms_cosem_with_a_wrong_key_burns_no_counter() -> None:
    ours = profile("gmac", "both")
    async with loopback(ours) as server:
        wrong = given(server.port, "gmac", "both", encryption_key=bytes(16).hex())
        found = await run_peer("dlms-cosem", "dlms_cosem_client.py", wrong)
    assert "error" in found
    assert [type(event) for event in server.seen] == [AssociationRefused]
    assert ours.receive_counter is not None
    assert ours.receive_counter.lowest_acceptable == 100


GURUX = [
    ("none", None, "service-specific", ""),
    ("lls", None, "service-specific", ""),
    ("gmac", "none", "service-specific", ""),
    *(
        (mechanism, policy, ciphering, "")
        for mechanism in ("none", "lls", "gmac")
        for policy in ("authenticated", "encrypted", "both")
        for ciphering in ("service-specific", "general-glo")
    ),
    ("gmac", "both", "service-specific", "000102030405060708090A0B0C0D0E0F"),
    ("gmac", "both", "general-glo", "000102030405060708090A0B0C0D0E0F"),
]


@needs_gurux
@pytest.mark.parametrize(("mechanism", "policy", "ciphering", "dedicated_key"), GURUX)
async def test_gurux(mechanism: str, policy: str | None, ciphering: str, dedicated_key: str) -> None:
    async with loopback(profile(mechanism, policy)) as server:
        wanted = given(server.port, mechanism, policy, ciphering=ciphering, dedicated_key=dedicated_key)
        found = await run_peer("gurux", "gurux_client.py", wanted)
    assert found == {
        "name": b"AMI0000000001001".hex(),
        "rows": ROWS,
        "clock": NEW_CLOCK.value.hex(),
        "action": None,
        "released": True,
    }, server.seen
    assert isinstance(server.seen[0], AssociationOpened)
    assert isinstance(server.seen[-1], AssociationReleased)
    wrapped = REQUEST_TAGS["plain" if policy in (None, "none") else ciphering, bool(dedicated_key)]
    proof = {ApduTag.GLO_ACTION_REQUEST} if mechanism == "gmac" and policy != "none" else set()
    assert server.tags - ACSE - proof == wrapped - proof, "gurux sends its proof as glo-action-request at all times"

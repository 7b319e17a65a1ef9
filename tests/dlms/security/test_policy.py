"""Both codings of security policies, and what each demands of requests and responses."""

from __future__ import annotations

import pytest

from ami_dlms.errors import LocalError
from ami_dlms.security import ProtectionFlags, SecurityPolicy

NOTHING, AUTHENTICATED, ENCRYPTED, SIGNED = (
    ProtectionFlags.NOTHING,
    ProtectionFlags.AUTHENTICATED,
    ProtectionFlags.ENCRYPTED,
    ProtectionFlags.SIGNED,
)


@pytest.mark.parametrize(
    ("number", "demand", "control"),
    [(0, NOTHING, 0x00), (1, AUTHENTICATED, 0x10), (2, ENCRYPTED, 0x20), (3, AUTHENTICATED | ENCRYPTED, 0x30)],
)
def test_version_0(number: int, demand: ProtectionFlags, control: int) -> None:
    policy = SecurityPolicy.from_version_0(number)
    assert policy == SecurityPolicy(demand, demand)
    assert policy.version_0 == number
    assert policy.request.control == control
    assert policy.protects == bool(number)
    assert SecurityPolicy.both_ways(authenticated=bool(number & 1), encrypted=bool(number & 2)) == policy


@pytest.mark.parametrize(
    ("octet", "request_", "response"),
    [
        (0x00, NOTHING, NOTHING),
        (0x04, AUTHENTICATED, NOTHING),
        (0x08, ENCRYPTED, NOTHING),
        (0x10, SIGNED, NOTHING),
        (0x20, NOTHING, AUTHENTICATED),
        (0x40, NOTHING, ENCRYPTED),
        (0x80, NOTHING, SIGNED),
        (0x6C, AUTHENTICATED | ENCRYPTED, AUTHENTICATED | ENCRYPTED),
        (0xFC, AUTHENTICATED | ENCRYPTED | SIGNED, AUTHENTICATED | ENCRYPTED | SIGNED),
    ],
)
def test_version_1(octet: int, request_: ProtectionFlags, response: ProtectionFlags) -> None:
    assert SecurityPolicy.from_version_1(octet) == SecurityPolicy(request_, response)


def test_version_1_round_trip_of_every_octet() -> None:
    for octet in range(256):
        if octet & 3:
            with pytest.raises(LocalError):
                SecurityPolicy.from_version_1(octet)
        else:
            assert SecurityPolicy.from_version_1(octet).version_1 == octet


@pytest.mark.parametrize("number", [-1, 4, 255])
def test_no_policy_of_version_0(number: int) -> None:
    with pytest.raises(LocalError):
        SecurityPolicy.from_version_0(number)


@pytest.mark.parametrize("octet", [-1, -4, 256, 0x104])
def test_no_policy_of_version_1(octet: int) -> None:
    with pytest.raises(LocalError):
        SecurityPolicy.from_version_1(octet)


@pytest.mark.parametrize("octet", [0x04, 0x80, 0x90, 0xFC])
def test_version_0_can_not_say_everything(octet: int) -> None:
    with pytest.raises(LocalError):
        _ = SecurityPolicy.from_version_1(octet).version_0


def test_a_signature_is_no_matter_of_the_security_control() -> None:
    assert SIGNED.control == 0
    assert (SIGNED | ENCRYPTED).control == 0x20

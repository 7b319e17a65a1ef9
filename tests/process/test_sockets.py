"""What of a peer's address counts as one where connections are limited by address."""

from __future__ import annotations

import pytest

from ami_process.sockets import counted_address


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2"),
        ("fe80::1%eth0", "fe80::2%eth1"),
        ("no address", "no address"),
    ],
)
def test_these_count_as_one(one: str, other: str) -> None:
    assert counted_address(one) == counted_address(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.0.2.1", "192.0.2.2"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2"),
        ("2001:db8:0:1::1", "2001:db8:0:2::1"),
        ("::1", "127.0.0.1"),
    ],
)
def test_these_count_as_two(one: str, other: str) -> None:
    assert counted_address(one) != counted_address(other)

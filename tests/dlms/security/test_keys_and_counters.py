"""Keys stay out of sight; counters never repeat and never accept twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami_dlms.errors import LocalError, SecurityError
from ami_dlms.security import (
    COUNTER_END,
    GlobalKeys,
    ReceiveCounter,
    ReplayError,
    SecurityControl,
    SecuritySuite,
    SendCounter,
)
from ami_dlms.security.suites import suite_of


def test_no_key_in_a_repr() -> None:
    keys = GlobalKeys(b"sixteen secrets!", b"more secrets!!!!")
    assert "secret" not in repr(keys)
    assert "secret" not in str(keys)


@pytest.mark.parametrize(("ek", "ak"), [(15, 16), (16, 15), (24, 24), (0, 0), (32, 16)])
def test_key_lengths(ek: int, ak: int) -> None:
    with pytest.raises(LocalError) as error:
        GlobalKeys(b"k" * ek, b"k" * ak)
    assert "kkk" not in str(error.value)


def test_a_dedicated_key_keeps_the_authentication_key() -> None:
    keys = GlobalKeys(bytes(16), bytes(range(16)))
    assert keys.with_encryption_key(b"d" * 16) == GlobalKeys(b"d" * 16, bytes(range(16)))


def test_send_counter_gives_each_value_once_and_stops_at_its_limit() -> None:
    counter = SendCounter(5, 8)
    assert counter.remaining == 3
    assert [counter.take() for _ in range(3)] == [5, 6, 7]
    assert counter.remaining == 0
    with pytest.raises(LocalError):
        counter.take()
    counter.extend(9)
    assert counter.take() == 8
    assert counter.next_value == counter.limit == 9


def test_send_counter_uses_the_last_value_and_never_wraps() -> None:
    counter = SendCounter(COUNTER_END - 1)
    assert counter.take() == 2**32 - 1
    with pytest.raises(LocalError):
        counter.take()
    with pytest.raises(LocalError):
        counter.extend(COUNTER_END + 1)


@pytest.mark.parametrize(("next_value", "limit"), [(-1, 5), (6, 5), (0, COUNTER_END + 1)])
def test_send_counter_checks_its_bounds(next_value: int, limit: int) -> None:
    with pytest.raises(LocalError):
        SendCounter(next_value, limit)


def test_a_reservation_does_not_shrink() -> None:
    with pytest.raises(LocalError):
        SendCounter(0, 10).extend(9)


def test_a_send_counter_goes_on_in_a_reservation_above_and_in_no_other() -> None:
    counter = SendCounter(5, 10)
    counter.go_on(10, 12)
    assert [counter.take(), counter.take(), counter.remaining] == [10, 11, 0]
    for first, limit in ((11, 20), (20, 19), (20, 2**32 + 1)):
        with pytest.raises(LocalError, match="no reservation"):
            counter.go_on(first, limit)
    assert (counter.next_value, counter.limit) == (12, 12)


def test_receive_counter_checks_without_moving_and_accepts_once() -> None:
    counter = ReceiveCounter(10)
    counter.check(10)
    counter.check(10)
    assert counter.lowest_acceptable == 10
    counter.accept(12)
    assert counter.lowest_acceptable == 13
    for value in (0, 12):
        with pytest.raises(ReplayError) as error:
            counter.accept(value)
        assert (error.value.value, error.value.lowest_acceptable) == (value, 13)
    assert issubclass(ReplayError, SecurityError)


def test_receive_counter_at_both_ends() -> None:
    counter = ReceiveCounter(0)
    counter.accept(0)
    counter.accept(2**32 - 1)
    with pytest.raises(ReplayError):
        counter.check(2**32 - 1)
    with pytest.raises(LocalError):
        ReceiveCounter(-1)


@given(st.lists(st.integers(0, 2**32 - 1), max_size=30))
def test_no_value_passes_twice(values: list[int]) -> None:
    counter = ReceiveCounter(0)
    passed = []
    for value in values:
        try:
            counter.accept(value)
        except ReplayError:
            continue
        passed.append(value)
    assert passed == sorted(set(passed))


@given(st.integers(0, 255))
def test_security_control_round_trip(octet: int) -> None:
    if octet & 0x0F > 2:
        with pytest.raises(SecurityError):
            SecurityControl.from_octet(octet)
    else:
        assert SecurityControl.from_octet(octet).octet == octet


def test_suites() -> None:
    assert [suite.key_length for suite in SecuritySuite] == [16, 16, 32]
    assert suite_of(1) is SecuritySuite.ECDH_ECDSA_AES_GCM_128_SHA_256
    with pytest.raises(LocalError):
        suite_of(3)


def test_counters_show_their_numbers() -> None:
    assert repr(SendCounter(1, 2)) == "SendCounter(next_value=1, limit=2)"
    assert repr(ReceiveCounter(3)) == "ReceiveCounter(lowest_acceptable=3)"

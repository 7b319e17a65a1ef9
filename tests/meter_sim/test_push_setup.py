"""Push setups: what is pushed, where to, when and how often; read back as written, and refused where it makes no sense."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from devices import CLOCK, Inside, date_time, described, event_log, log_of

from ami_dlms import data
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_dlms.obis import Obis
from ami_dlms.security import ProtectionFlags
from ami_meter_sim.objects.push_setup import Destination, OperationMethod, PushPlan, parse_destination

PUSH = (40, "0-0:25.9.0")
NAME = (1, "0-0:96.1.0")
LOG = log_of("standard")
NOTHING = data.integer(0)
NO_RESTRICTION = data.structure(data.enum(0), data.null())


def element(name: tuple[int, str], number: int = 2, index: int = 0, *more: Data) -> Data:
    source = CaptureObject(name[0], Obis.parse(name[1]), number, index).encode()
    return data.structure(*source.value, *more)


def listed(version: int, *elements: Data) -> Data:
    extra: tuple[Data, ...] = ((), (NO_RESTRICTION,), (NO_RESTRICTION, data.array()))[version]
    return data.array(*(data.structure(*one.value[:4], *(one.value[4:] or extra)) for one in elements))


def window(start: str, end: str) -> Data:
    """Of each day, from and to such a time."""
    hours = [datetime.fromisoformat(f"2026-01-01T{text}") for text in (start, end)]
    return data.structure(*(every_day(one.hour, one.minute) for one in hours))


def every_day(hour: int, minute: int) -> Data:
    return data.octet_string(CosemDateTime(hour=hour, minute=minute, second=0).encode())


def destination(where: bytes, transport: int = 0) -> Data:
    return data.structure(data.enum(transport), data.octet_string(where), data.enum(0))


def meter(version: int = 0, *more: Any, attributes: dict[int, Data] | None = None, **options: Any) -> Inside:
    setup = described(PUSH, attributes or {}, version=version, options=options)
    name = described(NAME, {2: data.octet_string(b"M1")}, static=True)
    return Inside(setup, name, *more)


def plan(one: Inside, draw: Callable[[], float] = lambda: 0.0) -> PushPlan:
    found: PushPlan = one.found(PUSH).plan(draw)
    return found


# --- attributes

WRITTEN: list[tuple[int, int, Data, Data]] = [
    (0, 2, listed(0, element(CLOCK)), listed(1, element(CLOCK))),
    (1, 2, listed(1, element(CLOCK)), listed(0, element(CLOCK))),
    (2, 2, listed(2, element(CLOCK)), listed(1, element(CLOCK))),
    (0, 2, data.array(), data.array(*[element(CLOCK)] * 65)),
    (0, 3, destination(b"127.0.0.1:4059"), destination(b"x" * 256)),
    (0, 3, destination(b"", 255), destination(b"", 11)),
    (0, 4, data.array(window("02:00", "04:00")), data.array(*[window("02:00", "04:00")] * 9)),
    (0, 4, data.array(), data.array(data.structure(data.octet_string(bytes(11)), data.octet_string(bytes(12))))),
    (0, 5, data.long_unsigned(65535), data.unsigned(1)),
    (0, 6, data.unsigned(255), data.long_unsigned(1)),
    (0, 7, data.long_unsigned(60), data.structure(data.long_unsigned(1))),
    (1, 8, data.octet_string(bytes(6)), data.octet_string(bytes(5))),
    (1, 9, data.integer(102), data.unsigned(102)),
    (1, 9, data.integer(102), data.integer(-1)),
    (2, 7, data.structure(*[data.long_unsigned(9)] * 3), data.long_unsigned(9)),
    (2, 11, data.enum(2), data.enum(3)),
    (
        2,
        12,
        data.structure(data.date_time(CosemDateTime()), data.double_long_unsigned(60)),
        data.structure(data.null(), data.double_long_unsigned(60)),
    ),
]


@pytest.mark.parametrize(("version", "number", "good", "bad"), WRITTEN)
def test_what_fits_is_kept_and_what_does_not_changes_nothing(version: int, number: int, good: Data, bad: Data) -> None:
    one = meter(version)
    assert one.write(PUSH, number, bad) is DataAccessResult.TYPE_UNMATCHED
    assert one.write(PUSH, number, good) is DataAccessResult.SUCCESS
    one.restart()
    assert one.found(PUSH).read(number) == good


def protection(kind: int, key: int = 0) -> Data:
    key_info = data.structure(data.enum(key), data.structure(data.enum(0)))
    options = data.structure(*[data.octet_string(b"")] * 4, key_info)
    return data.structure(data.enum(kind), options)


def test_a_protection_is_one_with_a_key_that_both_ends_hold() -> None:
    one = meter(1)
    assert one.write(PUSH, 10, data.array(protection(0, key=1))) is DataAccessResult.TYPE_UNMATCHED
    assert one.write(PUSH, 10, data.array(*[protection(0)] * 5)) is DataAccessResult.TYPE_UNMATCHED
    assert plan(one).protection is None
    assert one.write(PUSH, 10, data.array(protection(2), protection(3))) is DataAccessResult.SUCCESS
    everything = ProtectionFlags.AUTHENTICATED | ProtectionFlags.ENCRYPTED | ProtectionFlags.SIGNED
    assert plan(one).protection == everything


@pytest.mark.parametrize("number", [1, 13])
def test_what_only_the_meter_changes_can_t_be_written(number: int) -> None:
    one = meter(2)
    assert one.write(PUSH, number, one.found(PUSH).read(number)) is DataAccessResult.READ_WRITE_DENIED


# --- what is pushed


def test_the_values_are_those_of_the_instant_and_what_is_missing_is_null() -> None:
    one = meter(
        0, attributes={2: listed(0, element(NAME), element(CLOCK), element((3, "1-0:1.8.0")), element(NAME, 9))}
    )
    body = plan(one).body
    assert body.value[0] == data.octet_string(b"M1")
    assert CosemDateTime.decode(body.value[1].value).to_datetime() == one.device.clock.at
    assert body.value[2:] == (data.null(), data.null())
    one.later(minutes=1)
    assert plan(one).body.value[1] != body.value[1]


def test_one_element_of_an_attribute_is_pushed_by_its_number() -> None:
    pair = described((1, "0-0:96.2.0"), {2: data.structure(data.unsigned(5), data.unsigned(6))}, static=True)
    names = [element((1, "0-0:96.2.0"), 2, index) for index in (0, 1, 2, 3)]
    one = meter(0, pair, attributes={2: listed(0, *names)})
    whole, first, second, none = plan(one).body.value
    assert (len(whole.value), first, second, none) == (2, data.unsigned(5), data.unsigned(6), data.null())


# --- when, and how often


def test_the_first_attempt_is_spread_over_the_interval() -> None:
    one = meter(0, attributes={5: data.long_unsigned(600)})
    start = one.device.clock.at
    assert plan(one, lambda: 0.0).first_at == start
    assert plan(one, lambda: 0.5).first_at == start + timedelta(seconds=300)


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-03-02T01:59", "2026-03-02T02:00"),
        ("2026-03-02T02:00", "2026-03-02T02:00"),
        ("2026-03-02T03:59", "2026-03-02T03:59"),
        ("2026-03-02T04:00", "2026-03-02T22:00"),
        ("2026-03-02T23:30", "2026-03-02T23:30"),
        ("2026-03-03T00:30", "2026-03-03T00:30"),
        ("2026-03-03T01:00", "2026-03-03T02:00"),
    ],
)
def test_an_attempt_waits_for_a_window(now: str, opens: str) -> None:
    """Two windows a day, one of them over midnight."""
    one = meter(0, attributes={4: data.array(window("02:00", "04:00"), window("22:00", "01:00"))})
    one.device.clock.at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert plan(one).first_at == datetime.fromisoformat(opens).replace(tzinfo=UTC)


def test_windows_are_local_time() -> None:
    one = Inside(described(PUSH, {4: data.array(window("02:00", "04:00"))}), zone=-60)
    one.device.clock.at = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
    assert plan(one).first_at == one.device.clock.at


def test_a_window_that_is_over_never_opens() -> None:
    past = data.structure(date_time("2020-01-01T00:00:00"), date_time("2020-01-02T00:00:00"))
    one = meter(0, attributes={4: data.array(past), 6: data.unsigned(3)})
    assert plan(one).first_at is None
    assert one.found(PUSH).retry_at(1, one.device.clock.at) is None
    today = data.structure(date_time("2026-03-02T00:00:00"), date_time("2026-03-03T00:00:00"))
    assert one.write(PUSH, 4, data.array(today)) is DataAccessResult.SUCCESS
    assert plan(one).first_at == one.device.clock.at


def test_retries_come_at_equal_delays() -> None:
    one = meter(0, attributes={6: data.unsigned(2), 7: data.long_unsigned(30)})
    failed = one.device.clock.at
    assert plan(one).retries == 2
    assert [one.found(PUSH).retry_at(n, failed) for n in (1, 2)] == [failed + timedelta(seconds=30)] * 2


@pytest.mark.parametrize(
    ("delays", "wanted"),
    [
        ((10, 200, 60), [10, 20, 40, 60, 60]),
        ((10, 100, 0), [10] * 5),
        ((0, 200, 60), [0] * 5),
        ((20, 50, 60), [20, 10, 5, 2.5, 1.25]),
    ],
)
def test_delays_of_version_2_grow_up_to_a_limit(delays: tuple[int, int, int], wanted: list[float]) -> None:
    one = meter(2, attributes={6: data.unsigned(5), 7: data.structure(*map(data.long_unsigned, delays))})
    failed = one.device.clock.at
    assert one.found(PUSH).retry_at(6, failed) is None
    found = [one.found(PUSH).retry_at(n, failed) - failed for n in range(1, 6)]
    assert [delay.total_seconds() for delay in found] == wanted


def test_the_steepest_delays_stay_bounded() -> None:
    one = meter(
        2,
        attributes={
            6: data.unsigned(255),
            7: data.structure(data.long_unsigned(1), data.long_unsigned(65535), data.long_unsigned(0)),
        },
    )
    failed = one.device.clock.at
    assert one.found(PUSH).retry_at(255, failed) - failed == timedelta(seconds=65535)


# --- where to


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (b"127.0.0.1:4059", ("127.0.0.1", 4059)),
        (b"[::1]:4059", ("::1", 4059)),
        (b"hes.example:1", ("hes.example", 1)),
        (b"\xc0\xa8\x01\x02\x0f\xdb", ("192.168.1.2", 4059)),
        (bytes(15) + b"\x01\x8f\xdb", ("::1", 36827)),
        (b"\x7f\x00\x00\x01\x00\x50", ("127.0.0.1", 80)),
        (b"\x0a\x00\x00\x01\x00\x00", None),
        (b"", None),
        (b"hes", None),
        (b":4059", None),
        (b"hes:0", None),
        (b"hes:65536", None),
        (b"hes:x", None),
        (b"hes:xy", None),
        (b"h\xe9s:1", None),
    ],
)
def test_a_destination_is_text_or_octets(where: bytes, found: tuple[str, int] | None) -> None:
    assert parse_destination(1, where) == (None if found is None else Destination(1, *found))


def test_who_it_is_for_is_the_option_of_the_model_or_what_is_written() -> None:
    assert plan(meter(0)).client_wport is None
    assert plan(meter(1, client_wport=102)).client_wport == 102
    one = meter(1, client_wport=102, max_pdu_size=200)
    assert one.write(PUSH, 9, data.integer(16)) is DataAccessResult.SUCCESS
    assert (plan(one).client_wport, plan(one).max_pdu_size) == (16, 200)


def test_the_operation_method_of_version_2() -> None:
    one = meter(2)
    assert plan(one).operation is OperationMethod.UNCONFIRMED_RETRY_ON_FAILURE
    assert one.write(PUSH, 11, data.enum(2)) is DataAccessResult.SUCCESS
    assert plan(one).operation is OperationMethod.CONFIRMED
    one.found(PUSH).confirmed(one.device.clock.at)
    assert one.read(PUSH, 13).to_datetime() == one.device.clock.at
    assert one.act(PUSH, 2, NOTHING) is ActionResult.SUCCESS
    assert one.read(PUSH, 13) == CosemDateTime()


def test_a_push_is_wanted_once_until_somebody_sends_it() -> None:
    one = meter(2)
    assert one.act(PUSH, 1, NOTHING) is one.act(PUSH, 1, NOTHING) is ActionResult.SUCCESS
    wanted = one.device.communication.pushes_wanted
    assert list(wanted) == [Obis.parse(PUSH[1])]
    one.act(PUSH, 2, NOTHING)
    assert list(wanted) == []


# --- rows of a profile


def test_the_newest_rows_of_a_profile() -> None:
    one = meter(0, *event_log("standard"), attributes={2: listed(0, element(LOG, 2, 1))})
    assert plan(one).body.value[0].value == ()

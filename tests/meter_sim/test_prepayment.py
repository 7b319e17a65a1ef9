"""Prepayment: consumption is charged, the credit runs out, the switch opens; a token closes it again."""

from __future__ import annotations

from typing import Any

import pytest
from devices import SWITCH, Inside, described

from ami_dlms import data
from ami_dlms.association import Security
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_dlms.obis import Obis
from ami_dlms.security import GlobalKeys
from ami_meter_sim.objects.communication import SECURITY_SETUP, Communication
from ami_meter_sim.objects.token_gateway import make_token

ACCOUNT, TOKEN_CREDIT, EMERGENCY = (111, "0-0:19.0.0"), (112, "0-0:19.10.0"), (112, "0-0:19.10.1")
CHARGE, GATEWAY, ENERGY = (113, "0-0:19.20.0"), (115, "0-0:19.40.0"), (1, "0-0:96.1.9")
NOTHING = data.integer(0)
TITLE = b"AMI\0\0\0\0\1"
KEYS = GlobalKeys(bytes(16), bytes(range(16)))


def name(which: tuple[int, str]) -> Data:
    return data.octet_string(Obis.parse(which[1]))


def unit_charge(price: int, scale: int = 3) -> Data:
    """So much for each kWh of a register in Wh."""
    commodity = data.structure(data.long_unsigned(1), name(ENERGY), data.integer(2))
    table = data.array(data.structure(data.octet_string(b""), data.long(price)))
    return data.structure(data.structure(data.integer(scale), data.integer(0)), commodity, table)


def meter(active: bool = True, kind: int = 0, price: int = 30) -> Inside:
    one = Inside(
        described(ACCOUNT, {9: data.array(name(TOKEN_CREDIT), name(EMERGENCY)), 10: data.array(name(CHARGE))}),
        described(TOKEN_CREDIT, {4: data.unsigned(1)}),
        described(EMERGENCY, {4: data.unsigned(2), 3: data.enum(2)}),
        described(CHARGE, {3: data.enum(kind), 5: unit_charge(price), 8: data.double_long_unsigned(3600)}),
        described(GATEWAY),
        described(ENERGY, {2: data.double_long_unsigned(1000)}, static=True),
        described(SWITCH),
        mode=5,
    )
    one.device.communication = Communication(securities={SECURITY_SETUP: Security(keys=KEYS, system_title=TITLE)})
    if active:
        for credit in (TOKEN_CREDIT, EMERGENCY):
            one.act(credit, 2, data.double_long(100))
        assert one.act(ACCOUNT, 1, NOTHING) is ActionResult.SUCCESS
    return one


def shows(one: Inside, energy_wh: int) -> None:
    one.found(ENERGY).write(2, data.double_long_unsigned(energy_wh))


def token(number: int, amount: int) -> Data:
    return data.octet_string(make_token(KEYS.authentication_key, TITLE, number, amount))


def test_consumption_is_taken_from_the_credits_in_their_order() -> None:
    one = meter()
    one.later(hours=1)
    shows(one, 4999)
    one.later(hours=1)
    assert [one.read(credit, 2) for credit in (TOKEN_CREDIT, EMERGENCY)] == [10, 100]
    assert (one.read(CHARGE, 2), one.read(CHARGE, 11), one.read(ACCOUNT, 5)) == (90, 90, 110)
    shows(one, 5000)
    one.later(hours=1)
    assert [one.read(credit, 2) for credit in (TOKEN_CREDIT, EMERGENCY)] == [0, 80], "the rest of a kWh is not lost"
    assert (one.read(ACCOUNT, 3), one.read(TOKEN_CREDIT, 8), one.read(EMERGENCY, 8)) == (2, 4, 3)


def test_a_day_at_once_takes_what_the_hours_take() -> None:
    one, other = meter(kind=1, price=1), meter(kind=1, price=1)
    one.later(days=1)
    for _ in range(24 * 60):
        other.later(minutes=1)
    assert one.read(ACCOUNT, 5) == other.read(ACCOUNT, 5) == 200 - 24


def test_without_credit_the_switch_opens_and_a_token_closes_it() -> None:
    one = meter(kind=1, price=150)
    assert one.read(SWITCH, 3) == 1
    one.later(hours=2)
    assert (one.read(SWITCH, 3), one.read(ACCOUNT, 5)) == (2, 0)
    assert one.read(ACCOUNT, 4) == (False, False, False, False, False, False, True)
    assert one.read(ACCOUNT, 6) == -100
    assert one.act(GATEWAY, 1, token(1, 500)) is ActionResult.SUCCESS
    assert one.read(SWITCH, 3) == 1
    assert one.read(ACCOUNT, 4)[0]
    assert one.read(GATEWAY, 6)[0] == data.enum(3)


def test_before_activation_and_after_closure_nothing_is_taken() -> None:
    one = meter(active=False, kind=1)
    one.act(TOKEN_CREDIT, 2, data.double_long(100))
    one.later(days=1)
    assert one.read(ACCOUNT, 5) == 100
    assert one.act(ACCOUNT, 2, NOTHING) is one.act(ACCOUNT, 3, NOTHING) is ActionResult.OTHER_REASON
    for method, status in ((1, 2), (2, 3), (3, 1)):
        assert one.act(ACCOUNT, method, NOTHING) is ActionResult.SUCCESS
        assert one.read(ACCOUNT, 2)[1] == data.enum(status)
    assert CosemDateTime.decode(one.read(ACCOUNT, 13)).to_datetime() == one.device.clock.at


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (data.octet_string(b""), 4),
        (data.octet_string(b"1" * 19), 4),
        (data.octet_string(b"x" * 20), 4),
        (data.octet_string(b"1" * 20), 5),
        (data.octet_string(b"0" * 20), 5),
    ],
)
def test_a_token_that_is_none_changes_no_credit(given: Data, status: int) -> None:
    one = meter()
    assert one.act(GATEWAY, 1, given) is ActionResult.OTHER_REASON
    assert (one.read(GATEWAY, 6)[0], one.read(GATEWAY, 2)) == (data.enum(status), given.value)
    assert one.read(ACCOUNT, 5) == 200


def test_a_token_counts_once() -> None:
    one = meter()
    assert one.act(GATEWAY, 1, token(5, 10)) is ActionResult.SUCCESS
    one.restart()
    for number in (5, 4):
        assert one.act(GATEWAY, 1, token(number, 10)) is ActionResult.OTHER_REASON
        assert one.read(GATEWAY, 6)[0] == data.enum(6)
    assert one.read(ACCOUNT, 5) == 210
    assert one.act(GATEWAY, 1, None) is one.act(GATEWAY, 1, data.octet_string(b"1" * 65)) is ActionResult.TYPE_UNMATCHED


def test_without_an_active_account_a_token_is_not_executed() -> None:
    one = meter(active=False)
    assert one.act(GATEWAY, 1, token(1, 10)) is ActionResult.OTHER_REASON
    assert one.read(GATEWAY, 6)[0] == data.enum(7)
    assert one.act(ACCOUNT, 1, NOTHING) is ActionResult.SUCCESS
    assert one.act(GATEWAY, 1, token(1, 10)) is ActionResult.SUCCESS, "it was not used up"


@pytest.mark.parametrize(("number", "amount"), [(0, 1), (10000, 1), (1, 0), (1, 10**8)])
def test_a_token_has_bounds(number: int, amount: int) -> None:
    with pytest.raises(ValueError, match="digits"):
        make_token(KEYS.authentication_key, TITLE, number, amount)


def test_amounts_stay_what_the_type_can_hold() -> None:
    one = meter()
    assert one.act(TOKEN_CREDIT, 2, data.double_long(2**31 - 1)) is ActionResult.SUCCESS
    assert one.act(TOKEN_CREDIT, 1, data.double_long(1)) is ActionResult.OTHER_REASON
    assert one.act(TOKEN_CREDIT, 1, data.long(1)) is ActionResult.TYPE_UNMATCHED
    assert one.read(ACCOUNT, 5) == 2**31 - 1
    assert one.act(CHARGE, 5, data.double_long(2**31 - 1)) is ActionResult.SUCCESS
    assert one.act(CHARGE, 4, data.double_long(1)) is ActionResult.OTHER_REASON
    assert one.read(ACCOUNT, 8) == 2**31 - 1


def test_a_price_is_changed_in_the_passive_charge_and_activated() -> None:
    one = meter()
    assert one.act(CHARGE, 1, data.array(data.structure(data.octet_string(b""), data.long(60)))) is ActionResult.SUCCESS
    assert one.write(CHARGE, 6, unit_charge(45)) is DataAccessResult.SUCCESS
    assert one.read(CHARGE, 5) == unit_charge(30).value
    assert one.act(CHARGE, 2, NOTHING) is ActionResult.SUCCESS
    assert one.read(CHARGE, 5) == unit_charge(45).value
    assert one.act(CHARGE, 1, data.array(data.null())) is ActionResult.TYPE_UNMATCHED


WRITTEN: list[tuple[tuple[int, str], int, Data, Data]] = [
    (CHARGE, 3, data.enum(2), data.enum(3)),
    (CHARGE, 4, data.unsigned(9), data.long_unsigned(9)),
    (CHARGE, 6, unit_charge(1), data.structure(data.null())),
    (CHARGE, 6, unit_charge(1, 9), unit_charge(1, 10)),
    (CHARGE, 8, data.double_long_unsigned(3600), data.double_long_unsigned(3599)),
    (CHARGE, 8, data.double_long_unsigned(0), data.long_unsigned(0)),
    (TOKEN_CREDIT, 3, data.enum(4), data.enum(5)),
    (TOKEN_CREDIT, 6, data.double_long(-5), data.unsigned(5)),
    (TOKEN_CREDIT, 11, data.octet_string(CosemDateTime().encode()), data.octet_string(b"")),
    (ACCOUNT, 9, data.array(name(TOKEN_CREDIT)), data.array(*[name(TOKEN_CREDIT)] * 17)),
    (ACCOUNT, 12, data.array(data.structure(name(TOKEN_CREDIT), data.unsigned(100))), data.array(data.null())),
    (
        ACCOUNT,
        15,
        data.structure(data.utf8_string("GBP"), data.integer(-2), data.enum(2)),
        data.structure(data.utf8_string("x" * 17), data.integer(-2), data.enum(2)),
    ),
    (ACCOUNT, 16, data.double_long(50), data.null()),
]


@pytest.mark.parametrize(("which", "number", "good", "bad"), WRITTEN)
def test_what_fits_is_kept_and_what_does_not_changes_nothing(
    which: tuple[int, str], number: int, good: Data, bad: Data
) -> None:
    one = meter()
    assert one.write(which, number, bad) is DataAccessResult.TYPE_UNMATCHED
    assert one.write(which, number, good) is DataAccessResult.SUCCESS
    one.restart()
    assert one.found(which).read(number) == good


READ_ONLY: list[tuple[Any, int]] = [(ACCOUNT, 2), (ACCOUNT, 5), (ACCOUNT, 8), (TOKEN_CREDIT, 2), (TOKEN_CREDIT, 8)]
READ_ONLY += [(CHARGE, 2), (CHARGE, 5), (CHARGE, 12), (GATEWAY, 2), (GATEWAY, 6)]


@pytest.mark.parametrize(("which", "number"), READ_ONLY)
def test_what_only_methods_change_can_t_be_written(which: tuple[int, str], number: int) -> None:
    one = meter()
    assert one.write(which, number, one.found(which).read(number)) is DataAccessResult.READ_WRITE_DENIED


def test_a_credit_is_invoked_where_it_is_selectable() -> None:
    one = meter()
    assert one.act(EMERGENCY, 3, NOTHING) is ActionResult.OTHER_REASON
    one.found(EMERGENCY).change("credit_status", data.enum(1))
    assert one.read(ACCOUNT, 4)[3]
    assert one.act(EMERGENCY, 3, NOTHING) is ActionResult.SUCCESS
    assert one.read(EMERGENCY, 8) == 2

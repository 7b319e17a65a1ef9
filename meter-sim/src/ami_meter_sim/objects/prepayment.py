"""Prepayment: account (class 111), credit (112) and charge (113), as far as a demonstration goes.

A charge takes what was consumed, or what time costs, from the credits of its account at the end of each period; when no credit is
left above its limit the meter opens its switch itself, and a credit that is topped up closes it again. Amounts are whole numbers of the
currency's smallest unit.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import IntEnum, unique
from typing import ClassVar

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult, DataTag
from ami_dlms.obis import Obis
from ami_meter_sim.objects.cosem_object import AccessRefused, ActionRefused
from ami_meter_sim.objects.disconnect_control import DisconnectControl
from ami_meter_sim.objects.kept_object import KeptObject, parameter
from ami_meter_sim.objects.shapes import (
    INT8,
    LOGICAL_NAME,
    UINT8,
    UINT16,
    UINT32,
    VALUE_DEFINITION,
    Array,
    Bits,
    Number,
    Octets,
    Structure,
    date_time_octets,
)
from ami_meter_sim.objects.switch import Trigger
from ami_meter_sim.objects.timed import TimedObject

INT32, INT16 = Number(DataTag.DOUBLE_LONG), Number(DataTag.LONG)
INT32_RANGE = range(-(2**31), 2**31)
NEVER = data.octet_string(CosemDateTime().encode())
ZERO = data.double_long(0)
MOST_REFERENCES = 16
SHORTEST_PERIOD_S = 3600
NO_COMMODITY = data.structure(data.long_unsigned(0), data.octet_string(bytes(6)), data.integer(0))
NO_CHARGE = data.structure(data.structure(data.integer(0), data.integer(0)), NO_COMMODITY, data.array())
UNIT_CHARGE = Structure(
    Structure(Number(DataTag.INTEGER, range(10)), Number(DataTag.INTEGER, range(10))),
    VALUE_DEFINITION,
    Array(Structure(Octets(most=16), INT16), MOST_REFERENCES),
)
TABLE = Array(Structure(Octets(most=16), INT16), MOST_REFERENCES)
COUNTED = -1
"""What a charge keeps for itself: how much of what the register shows it has counted."""


def _bits(count: int) -> Data:
    return data.bit_string((False,) * count)


@unique
class CreditStatus(IntEnum):
    """credit_status."""

    ENABLED = 0
    SELECTABLE = 1
    INVOKED = 2
    IN_USE = 3
    EXHAUSTED = 4


@unique
class AccountStatus(IntEnum):
    """account_status."""

    NEW = 1
    ACTIVE = 2
    CLOSED = 3


CONSUMPTION, TIME, PAYMENT_EVENT = range(3)


class Credit(KeptObject):
    """What may be used up, down to `limit`."""

    __slots__ = ()

    class_id, version = 112, 0
    initial: ClassVar = {
        "current_credit_amount": ZERO,
        "credit_type": data.enum(0),
        "priority": data.unsigned(1),
        "warning_threshold": ZERO,
        "limit": ZERO,
        "credit_configuration": _bits(5),
        "credit_status": data.enum(CreditStatus.ENABLED),
        "preset_credit_amount": ZERO,
        "credit_available_threshold": ZERO,
        "period": NEVER,
    }
    writable: ClassVar = {
        "credit_type": Number(DataTag.ENUM, range(5)),
        "priority": UINT8,
        "warning_threshold": INT32,
        "limit": INT32,
        "credit_configuration": Bits(8),
        "preset_credit_amount": INT32,
        "credit_available_threshold": INT32,
        "period": date_time_octets,
    }
    methods: ClassVar = {
        "update_amount": lambda self, given: self.add(parameter(given, INT32).value),
        "set_amount_to_value": lambda self, given: self._set(parameter(given, INT32).value),
        "invoke_credit": lambda self, _: self._invoke_credit(),
    }

    @property
    def amount(self) -> int:
        """What is left."""
        amount: int = self.sound("current_credit_amount").value
        return amount

    @property
    def left(self) -> int:
        """How much may still be used."""
        return self.amount - int(self.sound("limit").value)

    def add(self, amount: int) -> None:
        """More, or less when it is negative; ActionRefused beyond what the type can hold."""
        self._set(self.amount + amount)

    def _set(self, amount: int) -> None:
        if amount not in INT32_RANGE:
            raise ActionRefused(ActionResult.OTHER_REASON)
        self.change("current_credit_amount", data.double_long(amount))
        status = CreditStatus.IN_USE if self.left > 0 else CreditStatus.EXHAUSTED
        self.change("credit_status", data.enum(status))
        for account in accounts_of(self):
            account.watch_switch()

    def _invoke_credit(self) -> None:
        """A selectable credit is invoked by the consumer."""
        if self.value("credit_status").value != CreditStatus.SELECTABLE:
            raise ActionRefused(ActionResult.OTHER_REASON)
        self.change("credit_status", data.enum(CreditStatus.INVOKED))


class Charge(TimedObject):
    """What is taken; the first element of its table counts. A period of 0 collects only when it is called for."""

    __slots__ = ()

    class_id, version = 113, 0
    initial: ClassVar = {
        "total_amount_paid": ZERO,
        "charge_type": data.enum(CONSUMPTION),
        "priority": data.unsigned(1),
        "unit_charge_active": NO_CHARGE,
        "unit_charge_passive": NO_CHARGE,
        "unit_charge_activation_time": NEVER,
        "period": data.double_long_unsigned(0),
        "charge_configuration": _bits(2),
        "last_collection_time": data.date_time(CosemDateTime()),
        "last_collection_amount": ZERO,
        "total_amount_remaining": ZERO,
        "proportion": data.long_unsigned(0),
    }
    writable: ClassVar = {
        "charge_type": Number(DataTag.ENUM, range(3)),
        "priority": UINT8,
        "unit_charge_passive": UNIT_CHARGE,
        "unit_charge_activation_time": date_time_octets,
        "period": lambda value: UINT32(value) and (value.value == 0 or value.value >= SHORTEST_PERIOD_S),
        "charge_configuration": Bits(8),
        "proportion": UINT16,
    }
    methods: ClassVar = {
        "update_unit_charge": lambda self, given: self._update(parameter(given, TABLE)),
        "activate_passive_unit_charge": lambda self, _: self.change(
            "unit_charge_active", self.value("unit_charge_passive")
        ),
        "collect": lambda self, _: self.collect(),
        "update_total_amount_remaining": lambda self, given: self._owe(
            self.value("total_amount_remaining").value + parameter(given, INT32).value
        ),
        "set_total_amount_remaining": lambda self, given: self._owe(parameter(given, INT32).value),
    }

    def _update(self, table: Data) -> None:
        """Another table in the passive unit charge."""
        scaling, commodity, _ = self.elements("unit_charge_passive")
        self.change("unit_charge_passive", data.structure(scaling, commodity, table))

    def _owe(self, amount: int) -> None:
        if amount not in INT32_RANGE:
            raise ActionRefused(ActionResult.OTHER_REASON)
        self.change("total_amount_remaining", data.double_long(amount))

    # --- in time

    def next_due(self, after: datetime) -> datetime | None:
        """The end of the period, counted from 1970; none without an account that is active."""
        period = self.sound("period").value
        if not period or not any(one.active for one in accounts_of(self)):
            return None
        return datetime.fromtimestamp((int(after.timestamp()) // period + 1) * period, UTC)

    def advance(self, at: datetime) -> bool:
        """Collect."""
        self.collect()
        return True

    def collect(self) -> None:
        """Take what is due from the credits of its accounts."""
        amount = self._due()
        now = CosemDateTime.from_datetime(self.device.clock.time, self.device.clock.status)
        self.change("last_collection_time", data.date_time(now))
        self.change("last_collection_amount", data.double_long(amount))
        paid = min(self.value("total_amount_paid").value + amount, INT32_RANGE[-1])
        self.change("total_amount_paid", data.double_long(paid))
        for account in accounts_of(self):
            account.take(amount)

    def _due(self) -> int:
        """In the currency's smallest unit, whole; what is below one is left for the next time."""
        (commodity_scale, price_scale), commodity, table = (part.value for part in self.elements("unit_charge_active"))
        price = int(table[0].value[1].value) * 10**price_scale.value if table else 0
        kind = self.value("charge_type").value
        if kind == PAYMENT_EVENT or not price:
            return 0
        if kind == TIME:
            return min(price, INT32_RANGE[-1])
        shown = self._shown(commodity)
        counted = self.remembered(COUNTED)
        unit = int(10**commodity_scale.value)
        before = shown if counted is None else int(counted.value)
        units = max(shown - before, 0) // unit
        self.remember(COUNTED, data.long64(before + units * unit if shown >= before else shown))
        return max(min(units * price, INT32_RANGE[-1]), 0)

    def _shown(self, commodity: tuple[Data, ...]) -> int:
        class_id, name, attribute_id = (part.value for part in commodity)
        found = self.device.find(class_id, Obis(name))
        try:
            value = None if found is None else found.read(attribute_id).value
        except AccessRefused:
            return 0
        return value if isinstance(value, int) else 0


class Account(KeptObject):
    """Payment mode 2 is prepayment. Sums over its credits and charges are made when they are read."""

    __slots__ = ()

    class_id, version = 111, 0
    initial: ClassVar = {
        "account_mode_and_status": data.structure(data.enum(2), data.enum(AccountStatus.NEW)),
        "clearance_threshold": ZERO,
        "credit_reference_list": data.array(),
        "charge_reference_list": data.array(),
        "credit_charge_configuration": data.array(),
        "token_gateway_configuration": data.array(),
        "account_activation_time": NEVER,
        "account_closure_time": NEVER,
        "currency": data.structure(data.utf8_string("EUR"), data.integer(-2), data.enum(2)),
        "low_credit_threshold": ZERO,
        "next_credit_available_threshold": ZERO,
        "max_provision": data.long_unsigned(0),
        "max_provision_period": ZERO,
    }
    writable: ClassVar = {
        "clearance_threshold": INT32,
        "credit_reference_list": Array(LOGICAL_NAME, MOST_REFERENCES),
        "charge_reference_list": Array(LOGICAL_NAME, MOST_REFERENCES),
        "credit_charge_configuration": Array(Structure(LOGICAL_NAME, LOGICAL_NAME, Bits(8)), MOST_REFERENCES),
        "token_gateway_configuration": Array(Structure(LOGICAL_NAME, UINT8), MOST_REFERENCES),
        "account_activation_time": date_time_octets,
        "account_closure_time": date_time_octets,
        "currency": Structure(
            lambda value: value.tag == DataTag.UTF8_STRING and len(value.value) <= 16,
            INT8,
            Number(DataTag.ENUM, range(3)),
        ),
        "low_credit_threshold": INT32,
        "next_credit_available_threshold": INT32,
        "max_provision": UINT16,
        "max_provision_period": INT32,
    }
    reads: ClassVar = {
        "current_credit_in_use": lambda self, _: self._in_use(),
        "current_credit_status": lambda self, _: self._status(),
        "available_credit": lambda self, _: _fitting(self.available),
        "amount_to_clear": lambda self, _: _fitting(sum(min(one.left, 0) for one in self.credits())),
        "aggregated_debt": lambda self, _: _fitting(
            sum(one.value("total_amount_remaining").value for one in self.charges())
        ),
    }
    methods: ClassVar = {
        "activate_account": lambda self, _: self._move(
            AccountStatus.NEW, AccountStatus.ACTIVE, "account_activation_time"
        ),
        "close_account": lambda self, _: self._move(AccountStatus.ACTIVE, AccountStatus.CLOSED, "account_closure_time"),
        "reset_account": lambda self, _: self._reset(),
    }

    def credits(self) -> Iterator[Credit]:
        """Those of credit_reference_list that the meter has, by priority."""
        found = (self.device.find(Credit.class_id, Obis(one.value)) for one in self.elements("credit_reference_list"))
        yield from sorted(
            (one for one in found if isinstance(one, Credit)), key=lambda one: one.value("priority").value
        )

    def charges(self) -> Iterator[Charge]:
        """Those of charge_reference_list that the meter has."""
        for one in self.elements("charge_reference_list"):
            found = self.device.find(Charge.class_id, Obis(one.value))
            if isinstance(found, Charge):
                yield found

    @property
    def active(self) -> bool:
        """Whether charges are collected."""
        return bool(self.elements("account_mode_and_status")[1].value == AccountStatus.ACTIVE)

    @property
    def available(self) -> int:
        """What may still be used of all credits."""
        return sum(max(one.left, 0) for one in self.credits())

    def take(self, amount: int) -> None:
        """From the credits in their order; what none of them has any more is owed by the last one."""
        credits = list(self.credits()) if self.active else []
        for number, one in enumerate(credits, 1):
            part = amount if number == len(credits) else min(amount, max(one.left, 0))
            amount -= part
            if part:
                one.add(max(-part, INT32_RANGE[0] - one.amount))

    def watch_switch(self) -> None:
        """Open the switch when nothing is left, and close it when there is something again."""
        if not self.active:
            return
        trigger = Trigger.LOCAL_RECONNECT if self.available > 0 else Trigger.LOCAL_DISCONNECT
        for class_id, obis in self.device.model.objects:
            found = self.device.find(class_id, obis) if class_id == DisconnectControl.class_id else None
            if isinstance(found, DisconnectControl):
                found.pull(trigger)

    def _in_use(self) -> int:
        """The position of the first credit that has something left, from 1; 0 for none."""
        return next((number for number, one in enumerate(self.credits(), 1) if one.left > 0), 0)

    def _status(self) -> tuple[bool, ...]:
        """In credit, low credit, next enabled, next selectable, reference list, selectable in use, out of credit."""
        available, low = self.available, self.value("low_credit_threshold").value
        selectable = any(one.value("credit_status").value == CreditStatus.SELECTABLE for one in self.credits())
        return available > 0, 0 < available < low, False, selectable, False, False, available <= 0

    def _move(self, before: AccountStatus, after: AccountStatus, time: str) -> None:
        mode, status = self.elements("account_mode_and_status")
        if status.value != before:
            raise ActionRefused(ActionResult.OTHER_REASON)
        self.change("account_mode_and_status", data.structure(mode, data.enum(after)))
        self.change(time, data.octet_string(self.device.clock.date_time.encode()))
        self.watch_switch()

    def _reset(self) -> None:
        """A closed account may begin anew."""
        mode, status = self.elements("account_mode_and_status")
        if status.value != AccountStatus.CLOSED:
            raise ActionRefused(ActionResult.OTHER_REASON)
        self.change("account_mode_and_status", data.structure(mode, data.enum(AccountStatus.NEW)))


def _fitting(amount: int) -> int:
    return min(max(amount, INT32_RANGE[0]), INT32_RANGE[-1])


def accounts_of(one: Credit | Charge) -> Iterator[Account]:
    """The accounts that refer to a credit or a charge."""
    for class_id, obis in one.device.model.objects:
        found = one.device.find(class_id, obis) if class_id == Account.class_id else None
        if isinstance(found, Account):
            referred = found.credits() if isinstance(one, Credit) else found.charges()
            if any(other.described.obis == one.described.obis for other in referred):
                yield found

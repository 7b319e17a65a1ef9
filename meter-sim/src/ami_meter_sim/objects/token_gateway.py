"""Token gateway (class 115): tokens of 20 digits that put an amount into the first credit of the meter's account.

A token is four digits of a number that only grows, eight of the amount, and eight of an HMAC-SHA256 over both with the system title,
under the meter's authentication key. It is no STS token (IEC 62055-41): those are made by vending systems with keys of their own.
"""

import hmac
from typing import ClassVar

from ami_dlms import data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult
from ami_meter_sim.objects.communication import SECURITY_SETUP
from ami_meter_sim.objects.cosem_object import ActionRefused
from ami_meter_sim.objects.kept_object import KeptObject, parameter
from ami_meter_sim.objects.keys import security_in_force
from ami_meter_sim.objects.prepayment import Account, Credit
from ami_meter_sim.objects.shapes import Octets

DIGITS, NUMBER_DIGITS, AMOUNT_DIGITS, CODE_DIGITS = 20, 4, 8, 8
EXECUTED, FORMAT_FAILURE, AUTHENTICATION_FAILURE, VALIDATION_FAILURE, EXECUTION_FAILURE = 3, 4, 5, 6, 7
REMOTE = 0
LAST_NUMBER = -1
"""What the object keeps for itself: the number of the last token."""
NO_TIME = data.octet_string(CosemDateTime().encode())


def make_token(key: bytes, system_title: bytes, number: int, amount: int) -> bytes:
    """The digits of a token; ValueError when number or amount does not fit."""
    if number not in range(1, 10**NUMBER_DIGITS) or amount not in range(1, 10**AMOUNT_DIGITS):
        raise ValueError(f"a token has a number of up to {NUMBER_DIGITS} and an amount of up to {AMOUNT_DIGITS} digits")
    text = f"{number:0{NUMBER_DIGITS}}{amount:0{AMOUNT_DIGITS}}".encode("ascii")
    code = int.from_bytes(hmac.digest(key, system_title + text, "sha256")[:8], "big") % 10**CODE_DIGITS
    return text + f"{code:0{CODE_DIGITS}}".encode("ascii")


class TokenGateway(KeptObject):
    """A token that is refused is kept with the reason, like one that was taken."""

    __slots__ = ()

    class_id, version = 115, 0
    initial: ClassVar = {
        "token": data.octet_string(b""),
        "token_time": NO_TIME,
        "token_description": data.array(),
        "token_delivery_method": data.enum(REMOTE),
        "token_status": data.structure(data.enum(0), data.bit_string(())),
    }
    methods: ClassVar = {"enter": lambda self, given: self._enter(parameter(given, Octets(most=64)).value)}

    def _enter(self, token: bytes) -> None:
        outcome = self._judge(token)
        if outcome == EXECUTED:
            outcome = self._execute(token)
        self.change("token", data.octet_string(token))
        self.change("token_time", data.octet_string(self.device.clock.date_time.encode()))
        self.change("token_status", data.structure(data.enum(outcome), data.bit_string(())))
        if outcome != EXECUTED:
            raise ActionRefused(ActionResult.OTHER_REASON)

    def sell(self, amount: int) -> str:
        """The digits of the next token for this meter, as a vending system prints them; ValueError when there is none of this amount."""
        security, last = security_in_force(self.device, SECURITY_SETUP), self.remembered(LAST_NUMBER)
        if security is None:
            raise ValueError("a meter without keys takes no tokens")
        number = 1 if last is None else last.value + 1
        return make_token(security.keys.authentication_key, security.system_title, number, amount).decode("ascii")

    def _judge(self, token: bytes) -> int:
        if len(token) != DIGITS or not token.isdigit():
            return FORMAT_FAILURE
        number, amount = int(token[:NUMBER_DIGITS]), int(token[NUMBER_DIGITS:-CODE_DIGITS])
        security = security_in_force(self.device, SECURITY_SETUP)
        if security is None or not number or not amount:
            return AUTHENTICATION_FAILURE
        made = make_token(security.keys.authentication_key, security.system_title, number, amount)
        if not hmac.compare_digest(made, token):
            return AUTHENTICATION_FAILURE
        last = self.remembered(LAST_NUMBER)
        return VALIDATION_FAILURE if last is not None and number <= last.value else EXECUTED

    def _execute(self, token: bytes) -> int:
        credit = self._credit()
        if credit is None:
            return EXECUTION_FAILURE
        try:
            credit.add(int(token[NUMBER_DIGITS:-CODE_DIGITS]))
        except ActionRefused:
            return EXECUTION_FAILURE
        self.remember(LAST_NUMBER, data.long_unsigned(int(token[:NUMBER_DIGITS])))
        return EXECUTED

    def _credit(self) -> Credit | None:
        """The first one of an account that is active."""
        for class_id, obis in self.device.model.objects:
            found = self.device.find(class_id, obis) if class_id == Account.class_id else None
            if isinstance(found, Account) and found.active:
                return next(found.credits(), None)
        return None

"""Change of a key or a password of one meter: kept, sent, and seen in force by a new association under it.

The new key is kept before its first octet leaves, and the former one until an association was opened under the new one. So a crash,
a lost answer or a change that the meter only says that it has made leave a meter with one of two keys, both known, which
each later session tries (`ami_hes.meters.key_changes`). It may be repeated: the same new key is sent again.
"""

from base64 import urlsafe_b64encode
from collections.abc import Mapping

from ami_dlms import data
from ami_dlms.association.settings import WITH_SECRET
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.enums import ActionResult, DataAccessResult, Mechanism
from ami_dlms.obis import Obis
from ami_dlms.security import wrap_key
from ami_hes.commands import Command, Lane, Outcome
from ami_hes.meters import GetRefused, Meter, MeterFault, Meters, Session
from ami_hes.operations.assignment import Assignment
from ami_hes.operations.identity import check_identity
from ami_hes.operations.operation import Operation
from ami_hes.operations.retries import PASSING
from ami_hes.store import StoreUnavailable
from ami_process.environment import real_sleep, real_time

NAME = "change_key"
"""The operation's name; the body of its commands is a field of the meter's entry."""
SECURITY_SETUP = Obis.parse("0-0:43.0.0*255")
CURRENT_ASSOCIATION = Obis.parse("0-0:40.0.0*255")
KEY_IDS = {"encryption_key": 0, "authentication_key": 2}
"""key_id of key_transfer (class 64, method 2), by the field of the entry."""
FIELDS = (*KEY_IDS, "secret")
LEAST_SECRET = 8
LONGEST_S = 300.0
"""A meter is held no longer than this for one attempt."""
FIRST_RETRY_S, LONGEST_RETRY_S = 0.1, 2.0
_REFERENCE = AttributeDescriptor(15, CURRENT_ASSOCIATION, 9)
"""security_setup_reference."""
_PASSWORD = AttributeDescriptor(15, CURRENT_ASSOCIATION, 7)
_CHANGE_HLS_SECRET = MethodDescriptor(15, CURRENT_ASSOCIATION, 2)


async def run(meters: Meters, assignment: Assignment) -> Outcome:
    """Carry one command out on one meter; every end is an Outcome."""
    name, field = assignment.meter.name, assignment.command.body
    try:
        await make_change(meters, assignment, field)
    except MeterFault as fault:
        why = fault.explained(attempted=None)
        reason = f"{name}: {why.reason} {what_counts(meters, assignment, field)}"
        again = (fault.kind, fault.name) in PASSING
        return Outcome(False, why.code, why.level, reason, attempted=assignment.attempt.begun, again=again)
    reason = f"{name}: the new {field} is in force: an association was opened under it"
    return Outcome(True, reason=reason, attempted=True)


async def make_change(meters: Meters, assignment: Assignment, field: str) -> None:
    """Change this key of the assignment's meter. Raises MeterFault unless the new key is seen in force."""
    await _Change(meters, assignment, field).make()


def describe(command: Command, meter: Meter | None, outcome: Outcome) -> Mapping[str, object]:
    """Which key it is; never the key."""
    return {"key": command.body}


OPERATION = Operation(run, describe, Lane.CAMPAIGN, acts=True)


class _Change:
    """One command on its way."""

    def __init__(self, meters: Meters, assignment: Assignment, field: str) -> None:
        self._meters = meters
        self._meter = assignment.meter
        self._request_id = assignment.command.request_id
        self._attempt = assignment.attempt
        self._until = min(assignment.until, real_time() + LONGEST_S)
        self._field = field

    async def make(self) -> None:
        """Raises MeterFault unless the new key is seen in force."""
        problem = _problem(self._meter, self._field)
        if problem:
            raise MeterFault("keys", problem, detail=self._field[:64])
        async with self._meters.hold(self._meter, until=self._until) as session:
            await check_identity(session)
            if self._is_made:  # by an attempt before this one, and it is this session that has proved it
                return
            await self._send(session)
            session.healthy = (
                False  # it ends here: what was negotiated under the former key says nothing of the new one
            )
        await opened_again(self._meters, self._meter, self._until)
        if not self._is_made:
            raise MeterFault("keys", "not-taken")

    @property
    def _is_made(self) -> bool:
        return self._meters.keys.changed_by(self._meter, self._field) == self._request_id

    async def _send(self, session: Session) -> None:
        """The key that was sent before and not seen in force, else a new one."""
        key = self._meters.keys.sent(self._meter, self._field) or self._new_key(session.meter)
        if self._field in KEY_IDS:
            await self._transfer(session, key)
        elif session.meter.authentication is Mechanism.LOW:
            await self._begin(key)
            result = await session.set(_PASSWORD, data.octet_string(key))
            check_taken(result is DataAccessResult.SUCCESS, result.name, result is DataAccessResult.TEMPORARY_FAILURE)
        else:
            await self._act(session, _CHANGE_HLS_SECRET, data.octet_string(key), key)

    async def _transfer(self, session: Session, key: bytes) -> None:
        """Under the master key; where a new one is in doubt and the meter refuses it under the former one, under the new one."""
        descriptor = MethodDescriptor(64, await security_setup(session), 2)
        in_doubt = self._meters.keys.sent(self._meter, "master_key")
        masters = [session.meter.master_key or b""] + ([] if in_doubt is None else [in_doubt])
        for master in masters[:-1]:
            result = await self._invoke(session, descriptor, _wrapped(self._field, master, key), key)
            if result is ActionResult.SUCCESS:
                return
            if result is ActionResult.TEMPORARY_FAILURE:  # it says nothing of the master key
                check_taken(False, result.name, True)
        await self._act(session, descriptor, _wrapped(self._field, masters[-1], key), key)

    async def _act(self, session: Session, method: MethodDescriptor, parameters: data.Data, key: bytes) -> None:
        result = await self._invoke(session, method, parameters, key)
        check_taken(result is ActionResult.SUCCESS, result.name, result is ActionResult.TEMPORARY_FAILURE)

    async def _invoke(
        self, session: Session, method: MethodDescriptor, parameters: data.Data, key: bytes
    ) -> ActionResult:
        return (await session.action(method, parameters, before=lambda: self._begin(key))).result

    async def _begin(self, key: bytes) -> None:
        """The new key is about to leave: from here on the meter may have it."""
        try:
            await self._meters.keys.keep(self._meter, self._field, key, self._request_id)
            await self._attempt.begin()
        except StoreUnavailable as problem:
            raise MeterFault("internal", "store", detail=str(problem)) from None

    def _new_key(self, meter: Meter) -> bytes:
        """As long as the former one; a password is text."""
        former: bytes = getattr(meter, self._field)
        random_bytes = self._meters.environment.random_bytes
        if self._field in KEY_IDS:
            return random_bytes(len(former))
        length = max(len(former), LEAST_SECRET)
        return urlsafe_b64encode(random_bytes(length))[:length]


def _wrapped(field: str, master: bytes, key: bytes) -> data.Data:
    """The parameters of key_transfer."""
    return data.array(data.structure(data.enum(KEY_IDS[field]), data.octet_string(wrap_key(master, key))))


async def opened_again(meters: Meters, meter: Meter, until: float) -> None:
    """Open an association; which key it was opened under is known then. A meter that broke off is called again. Raises MeterFault."""
    pause_s = FIRST_RETRY_S
    while True:
        try:
            async with meters.hold(meter, until=until) as session:
                await check_identity(session)
            return
        except MeterFault as fault:
            if fault.kind != "transport" or until - real_time() <= pause_s:
                raise
        await real_sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_RETRY_S)


async def security_setup(session: Session) -> Obis:
    """That of the association, where the meter says which it is."""
    try:
        value = (await session.get(_REFERENCE)).value
    except GetRefused:
        return SECURITY_SETUP
    return Obis(value) if isinstance(value, bytes) and len(value) == len(SECURITY_SETUP) else SECURITY_SETUP


def _problem(meter: Meter, field: str) -> str:
    """The row of the fault table that says why nothing may be begun; empty if it may."""
    if field not in FIELDS:
        return "unknown"
    if getattr(meter, field) is None or (field == "secret" and meter.authentication not in WITH_SECRET):
        return "none"
    if field in KEY_IDS and meter.master_key is None:
        return "no-master-key"
    return "" if meter.ciphered else "in-clear"


def check_taken(holds: bool, result: str, passing: bool) -> None:
    """Raises MeterFault for a meter that says that it has changed nothing."""
    if passing:
        raise MeterFault("data-access-result", "TEMPORARY_FAILURE", where="changing the key")
    if not holds:
        raise MeterFault("keys", "refused", detail=result.lower().replace("_", "-"))


def what_counts(meters: Meters, assignment: Assignment, field: str) -> str:
    """What the head-end knows of the meter's keys now."""
    if meters.keys.sent(assignment.meter, field) is not None:
        return "The new key may have reached the meter: both are kept, and each session tries both."
    return "The former key is in force; no new one has left."

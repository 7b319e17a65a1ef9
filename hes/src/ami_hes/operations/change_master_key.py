"""Change of the master key (KEK) of one meter: kept, sent, and seen in force by a key that the meter could only unwrap under it.

No association shows which master key a meter has. So an authentication key of its own goes to the meter behind it, wrapped under the new
master key: an association that opens under that authentication key proves both. Each step is made over an association of its own, since
keys count from the next one on. The new master key is kept before it leaves, and both until then; a run that finds one in doubt tries the
proof first, which a meter with the former one refuses without any harm, and then sends the same key again (docs/mapping.md, M-161).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256

from ami_dlms import data
from ami_dlms.cosem.descriptors import MethodDescriptor
from ami_dlms.enums import ActionResult
from ami_dlms.security import wrap_key
from ami_hes.commands import Command, Lane, Outcome
from ami_hes.meters import Meter, MeterFault, Meters, Session
from ami_hes.meters.known_objects import version_of
from ami_hes.operations.assignment import Assignment
from ami_hes.operations.change_key import KEY_IDS, LONGEST_S, check_taken, opened_again, security_setup
from ami_hes.operations.identity import check_identity
from ami_hes.operations.operation import Operation
from ami_hes.operations.retries import PASSING
from ami_hes.store import StoreUnavailable
from ami_process.environment import real_time

NAME = "change_master_key"
"""The operation's name; the body of its commands is the field of the meter's entry."""
FIELD, MASTER_ID = "master_key", 3
"""The field, and the key_id of key_transfer (class 64 method 2)."""
PROOF = "authentication_key"
"""What is changed beside it."""


async def run(meters: Meters, assignment: Assignment) -> Outcome:
    """Carry one command out on one meter; every end is an Outcome."""
    name = assignment.meter.name
    try:
        await make_master_change(meters, assignment)
    except MeterFault as fault:
        why = fault.explained(attempted=None)
        reason = f"{name}: {why.reason} {what_counts_of_master(meters, assignment)}"
        again = (fault.kind, fault.name) in PASSING
        return Outcome(False, why.code, why.level, reason, attempted=assignment.attempt.begun, again=again)
    reason = (
        f"{name}: the new {FIELD} is in force: an association was opened under an {PROOF} that came wrapped under it"
    )
    return Outcome(True, reason=reason, attempted=True)


async def make_master_change(meters: Meters, assignment: Assignment) -> None:
    """Change the master key of the assignment's meter, and its authentication key. Raises MeterFault unless both are seen in force."""
    await _Change(meters, assignment).make()


def describe(_: Command, __: Meter | None, ___: Outcome) -> Mapping[str, object]:
    """Which key it is; never the key."""
    return {"key": FIELD}


OPERATION = Operation(run, describe, Lane.CAMPAIGN, acts=True)


class _Change:
    """One command on its way."""

    def __init__(self, meters: Meters, assignment: Assignment) -> None:
        self._meters = meters
        self._keys = meters.keys
        self._meter = assignment.meter
        self._request_id = assignment.command.request_id
        self._attempt = assignment.attempt
        self._until = min(assignment.until, real_time() + LONGEST_S)

    async def make(self) -> None:
        """Raises MeterFault unless the new key is seen in force."""
        problem = _problem(self._meter)
        if problem:
            raise MeterFault("keys", problem, detail=FIELD)
        async with self._held() as session:
            if self._is_made:
                return
            proves = self._is_proved or await self._proves_what_is_in_doubt(session)
            if not proves:
                await self._send(session)
        if not proves:
            async with self._held() as session:
                if not await self._prove(session):
                    raise MeterFault("keys", "master-not-taken")
        if not self._is_proved:
            await opened_again(self._meters, self._meter, self._until)
        if not self._is_proved:
            raise MeterFault("keys", "master-not-taken")
        await self._kept(self._keys.taken(self._meter, FIELD))

    @property
    def _is_made(self) -> bool:
        in_doubt = self._keys.sent(self._meter, FIELD) is not None
        return not in_doubt and self._keys.changed_by(self._meter, FIELD) == self._request_id

    @property
    def _is_proved(self) -> bool:
        """An authentication key is in force that was never sent but under the new master key."""
        new = self._keys.sent(self._meter, FIELD)
        return new is not None and self._keys.changed_by(self._meter, PROOF) == _under(new)

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[Session]:
        """An association that ends here: what was negotiated says nothing of new keys."""
        async with self._meters.hold(self._meter, until=self._until) as session:
            await check_identity(session)
            yield session
            session.healthy = False

    async def _proves_what_is_in_doubt(self, session: Session) -> bool:
        """Whether the meter takes the proof under a new key that was sent before; one with the former key refuses it, and nothing is changed."""
        return self._keys.sent(self._meter, FIELD) is not None and await self._prove(session)

    async def _send(self, session: Session) -> None:
        """The new master key under the former one."""
        former = session.meter.master_key or b""
        sent = self._keys.sent(self._meter, FIELD)
        self._check_proof(sent)
        if sent is None and await version_of(session, 64, await security_setup(session)) == 0:
            raise MeterFault("keys", "version-0")
        new = sent or self._meters.environment.random_bytes(len(former))
        result = await self._transfer(
            session, MASTER_ID, former, new, lambda: self._begin(FIELD, new, self._request_id)
        )
        check_taken(result is ActionResult.SUCCESS, result.name, result is ActionResult.TEMPORARY_FAILURE)

    async def _prove(self, session: Session) -> bool:
        """Send an authentication key under the new master key; False if the meter refuses it."""
        master = self._keys.sent(self._meter, FIELD) or b""
        self._check_proof(master)
        former = session.meter.authentication_key or b""
        key = self._keys.sent(self._meter, PROOF) or self._meters.environment.random_bytes(len(former))
        begin = partial(self._begin, PROOF, key, _under(master))
        result = await self._transfer(session, KEY_IDS[PROOF], master, key, begin)
        if result is ActionResult.TEMPORARY_FAILURE:
            check_taken(False, result.name, True)
        return result is ActionResult.SUCCESS

    def _check_proof(self, master: bytes | None) -> None:
        """An authentication key that was sent under another key proves nothing, and is not to be lost. Raises MeterFault."""
        under = self._keys.sent_by(self._meter, PROOF)
        if under is not None and (master is None or under != _under(master)):
            raise MeterFault("keys", "proof-in-doubt")

    async def _transfer(
        self, session: Session, key_id: int, master: bytes, key: bytes, begin: Callable[[], Awaitable[None]]
    ) -> ActionResult:
        one = data.structure(data.enum(key_id), data.octet_string(wrap_key(master, key)))
        method = MethodDescriptor(64, await security_setup(session), 2)
        return (await session.action(method, data.array(one), before=begin)).result

    async def _begin(self, field: str, key: bytes, sent_by: str) -> None:
        """The new key is about to leave: from here on the meter may have it."""
        await self._kept(self._keys.keep(self._meter, field, key, sent_by))
        await self._kept(self._attempt.begin())

    async def _kept(self, keeping: Awaitable[None]) -> None:
        try:
            await keeping
        except StoreUnavailable as problem:
            raise MeterFault("internal", "store", detail=str(problem)) from None


def _under(master: bytes) -> str:
    """By what an authentication key is known to have been sent under this master key; it is kept sealed, as the keys are."""
    return f"under {sha256(master).hexdigest()}"


def _problem(meter: Meter) -> str:
    """The row of the fault table that says why nothing may be begun; empty if it may."""
    if meter.master_key is None:
        return "no-master-key"
    if meter.authentication_key is None:
        return "none"
    return "" if meter.ciphered else "in-clear"


def what_counts_of_master(meters: Meters, assignment: Assignment) -> str:
    """What the head-end knows of the meter's keys now."""
    if meters.keys.sent(assignment.meter, FIELD) is not None:
        return "The new master key may have reached the meter: both are kept; order the change again."
    return "The former key is in force; no new one has left."

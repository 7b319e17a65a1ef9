"""OperationSet: the operations of one message carried out one after the other, and one Reply that says what came of each (IEC 61968-100).

Each operation is a request of its own, whose MessageID follows from that of the set; so a set that comes again goes on where it was, and
nothing of it is done twice. A set with a ReplyAddress is acknowledged before it is begun, and its message is kept until it is done
(`ami_hes.jobs.late_orders`). What a meter has done can't be undone, so a set that is to be done wholly or not at all is refused before
anything of it is done, unless it only reads.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from uuid import UUID, uuid5

from ami_cim.codes import Level, Verb
from ami_cim.errors import CimError
from ami_cim.message import Header, Reply, ReplyError, RequestMessage, Result
from ami_cim.payloads.operation_set import Operation, OperationSet
from ami_hes.nouns import Ask, Refused, Report, RequestContext, error

NOUN = "OperationSet"
_NAMESPACE = UUID("6f1c3f3e-2d0b-4f6e-9b53-8a1f0f6f5d10")
"""Of the MessageIDs of operations; another one would have sets that come again done twice."""
MOST_OPERATIONS = 100
MOST_OCTETS = 500_000
"""Of what came of all operations in one answer: it is written at once."""
ERROR_OCTETS = 300
"""That an Error has about, for an answer that nobody has written."""
_UNDONE = "Nothing of the set was done, since enforceTransactionalIntegrity can't be kept: what a meter has done is not undone."

_TOO_LARGE = f"The values of this operation don't fit into the {MOST_OCTETS} octets of one answer; ask for them alone."


@dataclass(frozen=True, slots=True)
class OperationSets:
    """Carries out messages of this noun; each may come twice."""

    ask: Ask
    served: frozenset[str]
    """Nouns of operations."""

    async def __call__(self, context: RequestContext, message: RequestMessage) -> Report:
        """The Reply with at least one Error for each operation, and the payloads of those that have one; raises Refused and CimError."""
        whole = checked(message, self.served)
        done: list[_Done] = []
        stopped_by: int | None = None
        room = MOST_OCTETS
        for one in whole.operations:
            if stopped_by is not None:
                done.append(_not_begun(one, stopped_by))
                continue
            done.append(await self._do(one, message, room))
            room = max(0, room - done[-1].octets)
            if whole.enforce_sequence and done[-1].reply.result != "OK":
                stopped_by = one.operation_id
        return _report(done)

    async def _do(self, one: Operation, message: RequestMessage, room: int) -> "_Done":
        if (fault := _fault(one, self.served)) is not None:
            return _Done(one, Reply(result="FAILED", errors=(fault,)))
        try:
            answer, octets = await self.ask(_request(one, message))
        except CimError as problem:
            if problem.code != "5.1":
                return _Done(one, Reply(result="FAILED", errors=(error(problem.code, problem.reason),)))
            reason = f"Operation {one.operation_id} could not be answered now, and those behind it are not begun"
            raise CimError("5.1", f"{reason}: {problem.reason} The same message goes on with them.") from None
        octets = max(octets, ERROR_OCTETS * len(answer.reply.errors))
        if answer.payload is None:
            return _Done(one, _shortened(answer.reply, octets, room), octets=octets)
        if octets > room:
            return _Done(one, Reply(result="FAILED", errors=(error("3.1", _TOO_LARGE),)))
        return _Done(one, answer.reply, replace(one, verb=Verb.REPLY, payload=answer.payload), octets)


def checked(message: RequestMessage, served: Collection[str]) -> OperationSet:
    """The set of a message that can be begun; raises Refused for one of which nothing may be done."""
    header, whole = message.header, message.payload
    if header.verb != Verb.EXECUTE:
        raise Refused(error("2.9", f"The verb {header.verb} is not served for {NOUN}. Served is: execute."))
    if not isinstance(whole, OperationSet) or not whole.operations:
        raise Refused(error("1.7", f"The request has no {NOUN} with an Operation in its Payload."))
    if len(whole.operations) > MOST_OPERATIONS:
        raise Refused(error("3.1", f"An {NOUN} has at most {MOST_OPERATIONS} operations here."))
    numbers = Counter(one.operation_id for one in whole.operations)
    if twice := next((number for number, times in numbers.items() if times > 1), None):
        raise Refused(error("1.6", f"Several operations have the operationId {twice}."))
    if whole.enforce_integrity and any(one.verb != Verb.GET for one in whole.operations):
        raise Refused(*(_undone(one, _fault(one, served)) for one in whole.operations))
    return whole


def _fault(one: Operation, served: Collection[str]) -> ReplyError | None:
    """What keeps an operation from being asked at all."""
    if one.noun not in served:
        what = (one.noun or "that is not said")[:80]
        return error("2.5", f"The noun {what} is not served in an operation; served are: {', '.join(sorted(served))}.")
    if one.element_operation:
        return error("5.2", "An operation on elements of an object (elementOperation) is not supported.")
    return None


@dataclass(frozen=True, slots=True)
class _Done:
    operation: Operation
    reply: Reply
    answer: Operation | None = None
    """With the payload of its answer, where it has one."""
    octets: int = 0
    """Of its answer."""


def _request(one: Operation, message: RequestMessage) -> RequestMessage:
    """The operation as a request that came by itself."""
    outer = message.header
    header = Header(
        verb=one.verb or "",
        noun=one.noun or "",
        revision=outer.revision,
        context=outer.context,
        timestamp=outer.timestamp,
        source=outer.source,
        reply_address=outer.reply_address,
        user=outer.user,
        message_id=str(uuid5(_NAMESPACE, f"{outer.message_id}\n{one.operation_id}")),
        correlation_id=outer.correlation_id or outer.message_id,
    )
    if one.verb == Verb.GET:
        return RequestMessage(header=header, query=one.payload)
    return RequestMessage(header=header, payload=one.payload)


def _shortened(reply: Reply, octets: int, room: int) -> Reply:
    """With as many of its errors as there is room for, but one at least, and how many more there are."""
    fitting = len(reply.errors) if octets <= room else max(1, len(reply.errors) * room // octets)
    if fitting >= len(reply.errors):
        return reply
    left = f"{len(reply.errors) - fitting} more errors of this operation don't fit into the {MOST_OCTETS} octets of one answer."
    return replace(reply, errors=(*reply.errors[:fitting], ReplyError(code="3.1", level=Level.WARNING, reason=left)))


def _undone(one: Operation, fault: ReplyError | None) -> ReplyError:
    found = fault or error("5.9", f"Operation {one.operation_id} was not begun. {_UNDONE}")
    return replace(found, operation_id=one.operation_id)


def _not_begun(one: Operation, stopped_by: int) -> _Done:
    reason = f"Not begun: enforceMsgSequence, and operation {stopped_by} before it is not OK."
    return _Done(one, Reply(result="FAILED", errors=(error("5.2", reason),)))


def _report(done: Sequence[_Done]) -> Report:
    """OK if all are, FAILED if none did anything, else PARTIAL."""
    results = {one.reply.result for one in done}
    result: Result = results.pop() if len(results) == 1 else "PARTIAL"
    errors = tuple(entry for one in done for entry in _entries(one))
    answers = tuple(one.answer for one in done if one.answer is not None)
    return Reply(result=result, errors=errors), OperationSet(operations=answers) if answers else None


def _entries(done: _Done) -> list[ReplyError]:
    """What came of an operation, and every Error of its own Reply, each with its operationId."""
    one, reply = done.operation, done.reply
    said = f"Operation {one.operation_id} ({one.verb} {one.noun}): {reply.result}."
    first = reply.errors[0] if reply.errors else None
    code = "0.0" if first is None or reply.result == "OK" else first.code
    level = Level.INFORM if reply.result == "OK" else Level.WARNING if reply.result == "PARTIAL" else Level.FATAL
    whole = ReplyError(code=code, level=level, reason=said[:400])
    return [replace(entry, operation_id=one.operation_id) for entry in (whole, *reply.errors)]

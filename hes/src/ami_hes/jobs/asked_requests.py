"""Which requests a message points at, by the IDs of their transactions or by the meters that they are for, and how far each of them is.

Only the Source that has ordered a request may change it or take it back, and of one whose principal is proved that principal alone (M-164); anyone may look. A request that is named by its meters has to
be the only one that is open there, and to ask for nothing else, so that no more is taken back than was said (M-165).
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid5

from ami_cim.codes import Level
from ami_cim.errors import InvalidMessage
from ami_cim.identity import Identifier
from ami_cim.message import Header, Reply, ReplyError, RequestMessage, Result
from ami_cim.paging import Page, page_of
from ami_hes.askers import PROVED
from ami_hes.jobs.acceptance import Acceptance, asker_of
from ami_hes.jobs.context import Context
from ami_hes.jobs.late_orders import parse_later
from ami_hes.jobs.order_messages import Altered, parse_message
from ami_hes.nouns import Meant, Refused, Report, RequestContext, Shown, error
from ami_hes.outbox import parse_answer
from ami_hes.served import Timed, timed_of
from ami_hes.store import StoredCommand, StoredRequest

_NAMESPACE = UUID("c3d1d0a8-5f0a-4c58-a6f3-0d1b6f5a2e77")
"""Of the MessageIDs of requests whose time has come; another one would have them done twice after a restart."""
TIMED = frozenset({"create", "change"})
CANCELLED = "6.5"
MOST_SAID = 20
"""Requests that are named in an answer."""
MOST_SHOWN = 1_000
"""Meters of one answer; more are behind the Option offset."""
_ALL = 1_000_000
_AT_METERS = frozenset({"EndDevice", "Meter", "UsagePoint"})
"""objectTypes of IDs that name no transaction."""
_UNKNOWN = "Request/ID: no request of this noun is known by this transaction: the MessageID of its create or change."
_NOT_THEIRS = (
    "Nothing was done: {} was ordered by {}, and may be changed and taken back by the same Header.Source alone."
)
_NOT_THIS_PRINCIPAL = "Nothing was done: {} was ordered by {}, who has proved it, and may be changed and taken back by the same principal alone."


@dataclass(frozen=True, slots=True)
class AskedRequests:
    """Finds and shows those of nouns that may be for later."""

    context: Context
    acceptance: Acceptance

    async def __call__(self, context: RequestContext, message: RequestMessage) -> Report:
        """The Reply to a get, and the requests as its payload. Raises Refused."""
        try:
            page = page_of(message)
        except InvalidMessage as problem:
            raise Refused(error(problem.code, f"{problem.reason}.")) from None
        timed = _timed(message)
        names = transactions_of(message)
        meant, errors = self.acceptance.meant(message)
        if not names and not meant:
            reason = "Nothing is asked for: an ID in Request names a transaction, an EndDevice or a UsagePoint."
            raise Refused(*(errors or (error("1.6", reason),)))
        found, unknown = await self._asked(message, names, meant, timed)
        shown = [await self._progress(one, meant, timed) for one in found]
        return _report(shown, [*errors, *unknown], page, timed)

    async def owned(self, message: RequestMessage) -> StoredRequest:
        """The one request that is to be changed or taken back. Raises Refused."""
        names = transactions_of(message)
        if names or message.header.verb in TIMED:
            if len(names) != 1:
                reason = f"One ID of a transaction is expected in Request, the MessageID of the create, and {len(names)} came."
                raise Refused(error("1.7", reason))
            found = await self._by_transaction(message, names[0])
        else:
            found = await self._only_one(message)
        if found.source != message.header.source:
            raise Refused(error("7.7", _NOT_THEIRS.format(found.request_id, found.source or "a sender without a name")))
        if found.principal_by in PROVED and not _is_principal_of(found, message.header):
            raise Refused(error("7.7", _NOT_THIS_PRINCIPAL.format(found.request_id, found.principal)))
        return found

    async def _by_transaction(self, message: RequestMessage, name: str) -> StoredRequest:
        found = await self.context.results.find(name)
        if found is None or (found.noun, found.verb) not in {(message.header.noun, verb) for verb in TIMED}:
            identifier = Identifier(value=name[:200], kind="transaction", object_type=message.header.noun)
            raise Refused(replace(error("2.15", _UNKNOWN), identifier=identifier))
        return found

    async def _only_one(self, message: RequestMessage) -> StoredRequest:
        """That of this sender which is open at the meters that the message points at, if it is open nowhere else."""
        timed = _timed(message)
        meant, errors = self.acceptance.meant(message)
        if errors:
            raise Refused(*errors)
        if not meant:
            reason = (
                "An ID of a transaction is expected in Request, the MessageID of the create, or meters, and none came."
            )
            raise Refused(error("1.7", reason))
        found = await self._at(message.header.noun, meant, timed, is_open=True)
        theirs = [one for one in found if one.source == message.header.source]
        if not theirs:
            raise Refused(error("2.15", "Nothing of this sender waits or is under way that the message points at."))
        if len(theirs) > 1:
            ids = ", ".join(one.request_id for one in theirs[:MOST_SAID])
            raise Refused(error("5.2", f"Nothing was taken back: several are meant: {ids}. Name one by its ID."))
        (one,) = theirs
        beyond = [pair for pair in await self._pairs(one, timed) if not _is_meant(pair, meant)]
        if beyond:
            reason = (
                f"Nothing was taken back: {one.request_id} is for {len(beyond)} more than was named. Name it by its ID."
            )
            raise Refused(error("5.2", reason))
        return one

    async def _asked(
        self, message: RequestMessage, names: Sequence[str], meant: Meant, timed: Timed
    ) -> tuple[list[StoredRequest], list[ReplyError]]:
        """The latest first where they are found by meters."""
        if not names:
            return await self._at(message.header.noun, meant, timed, is_open=False), []
        found: list[StoredRequest] = []
        errors: list[ReplyError] = []
        for name in names[:MOST_SAID]:
            try:
                found.append(await self._by_transaction(message, name))
            except Refused as refused:
                errors += refused.errors
        if len(names) > MOST_SAID:
            errors.append(error("3.1", f"{MOST_SAID} transactions are asked for at a time, and {len(names)} came."))
        return found, errors

    async def _at(self, noun: str, meant: Meant, timed: Timed, *, is_open: bool) -> list[StoredRequest]:
        """Those that wait for their time, and then those that are begun, the latest first."""
        waiting = [
            request
            for request, message in await self._waiting(noun)
            if any(_is_meant(pair, meant) for pair in self.acceptance.meant(message)[0])
        ]
        mrids = frozenset(mrid for mrid, _ in meant)
        begun = await self.context.results.requests_at(noun, TIMED, mrids, 5 * MOST_SAID, is_open=is_open)
        matching = [
            one
            for one in begun
            if any(_is_meant(pair, meant) for pair in await self._pairs(one, timed, is_open=is_open))
        ]
        return [*waiting, *matching][:MOST_SAID]

    async def _waiting(self, noun: str) -> list[tuple[StoredRequest, RequestMessage]]:
        """Of a noun, each with its message."""
        found = []
        for one in await self.context.messages.waiting():
            request = await self.context.results.find(one.request_id)
            if request is not None and request.noun == noun and (message := await self._message(request)) is not None:
                found.append((request, message))
        return found

    async def _message(self, request: StoredRequest) -> RequestMessage | None:
        """Of one that waits for its time; None for any other, and for one that can't be read any more."""
        if parse_later(request.query) is None or await self.context.results.find(begun_id(request.request_id)):
            return None
        kept = await self.context.messages.read(request.request_id)
        try:
            return None if kept is None else await asyncio.to_thread(parse_message, kept.octets, request)
        except Altered:
            return None

    async def _pairs(self, request: StoredRequest, timed: Timed, *, is_open: bool = False) -> Meant:
        """What a request asks of which meters; of one that is begun also only what has no result yet."""
        if (message := await self._message(request)) is not None:
            return self.acceptance.meant(message)[0]
        commands = await self.context.results.commands(request.request_id, 0, _ALL)
        return frozenset(timed.asked_of(one.command) for one in commands if one.result is None or not is_open)

    async def _progress(self, request: StoredRequest, meant: Meant, timed: Timed) -> "_Progress":
        """With the commands at the meters that were asked for, or with all of them."""
        message = await self._message(request)
        begins_at = parse_later(request.query)
        worked = request.request_id if begins_at is None else begun_id(request.request_id)
        commands = await self._commands(worked)
        wanted = [one for one in commands if not meant or _is_meant(timed.asked_of(one.command), meant)]
        errors = await self.errors_of(request.request_id)
        return _Progress(request, begins_at, message, len(commands), wanted, errors)

    async def _commands(self, request_id: str) -> list[StoredCommand]:
        """Of those without a result it is known whether they have left for their meters."""
        under_way = {one.command.meter.name: one for one in await self.context.results.open_commands(request_id)}
        commands = await self.context.results.commands(request_id, 0, _ALL)
        return [under_way.get(one.command.meter.name, one) for one in commands]

    async def errors_of(self, request_id: str) -> tuple[ReplyError, ...] | None:
        """What the answer to a request says; None as long as it has none."""
        request = await self.context.results.find(request_id)
        if request is None or request.answer is None:
            return None
        try:
            return (await asyncio.to_thread(parse_answer, request.answer)).reply.errors
        except InvalidMessage:
            return ()


@dataclass(frozen=True, slots=True)
class _Progress:
    request: StoredRequest
    begins_at: datetime | None
    waiting: RequestMessage | None
    """As long as its time has not come."""
    meters: int
    commands: Sequence[StoredCommand]
    errors: Sequence[ReplyError] | None
    """Of its answer."""

    def said(self) -> ReplyError:
        one = self.request
        who = f"ordered by {one.source or 'a sender without a name'} at {one.accepted_at.isoformat(timespec='seconds')}"
        return _inform(f"{one.request_id}: {who}; {self._state()}.", transaction(one))

    def _state(self) -> str:
        if self.waiting is not None and self.begins_at is not None:
            if self.begins_at <= self.request.accepted_at:
                return "it waits for the approval of a second person, and nothing of it is begun"
            return f"it waits for {self.begins_at.isoformat()}, and nothing of it is begun"
        if self.meters:
            words = Counter(_word(one) for one in self.commands)
            counts = ", ".join(f"{words[word]} {word}" for word in _WORDS if words[word])
            meters = f"{self.meters} meter{'' if self.meters == 1 else 's'}"
            some = "" if self.meters == len(self.commands) else ", of those asked for"
            return f"{meters}{some}: {counts or 'none'}"
        if self.errors is None:
            return "its time has come, and it is about to be begun"
        first = "".join(f": {one.code} {one.reason}" for one in self.errors[:1]).rstrip(".")
        return f"it has ended, {self.request.result}{first}"


_WORDS = ("ended OK", "ended not OK", "sent to their meters", "not sent yet")


def _word(command: StoredCommand) -> str:
    if command.result is not None:
        return _WORDS[0] if command.result.outcome.ok else _WORDS[1]
    return _WORDS[2] if command.attempted else _WORDS[3]


def transactions_of(message: RequestMessage) -> list[str]:
    """The IDs of transactions that a message names."""
    named = (*message.request_identifiers, *message.payload_identifiers)
    return list(dict.fromkeys(one.value for one in named if one.object_type not in _AT_METERS))


def transaction(request: StoredRequest) -> Identifier:
    """How a request is named in an answer."""
    return Identifier(value=request.request_id, kind="transaction", object_type=request.noun)


def begun_id(request_id: str) -> str:
    """The MessageID of the request that a request for later becomes at its time.

    Who knows the one can compute the other, so no message of others may have it (`may_be_begun`, `Intake`).
    """
    return str(uuid5(_NAMESPACE, request_id))


def may_be_begun(message_id: str) -> bool:
    """Whether a MessageID looks like one of these, which few of others do: theirs are random, or no UUIDs."""
    try:
        return UUID(message_id).version == uuid5(_NAMESPACE, "").version
    except ValueError:
        return False


def how_far(command: StoredCommand) -> str:
    """For a person."""
    if command.result is not None:
        outcome = "OK" if command.result.outcome.ok else f"not OK ({command.result.outcome.code})"
        return f"it had ended, {outcome}, at {command.result.finished_at.isoformat(timespec='seconds')}"
    if command.attempted:
        return "it is under way, and has been sent to the meter"
    return "it is under way, and has not been sent to the meter yet"


def _report(shown: Sequence[_Progress], errors: Sequence[ReplyError], page: Page, timed: Timed) -> Report:
    commands = [(one, command) for one in shown for command in one.commands]
    limit = min(page.limit or MOST_SHOWN, MOST_SHOWN)
    there = commands[page.offset : page.offset + limit]
    said = [*errors, *(one.said() for one in shown), *(_at_meter(command) for _, command in there)]
    if len(commands) > page.offset + limit:
        reason = f"More meters follow behind these {limit}: ask again with the Option offset {page.offset + limit}."
        said.append(ReplyError(code="0.2", level=Level.WARNING, reason=reason))
    result: Result = "OK" if not errors else "PARTIAL" if shown else "FAILED"
    reply = Reply(result=result, errors=tuple(said), identifiers=tuple(transaction(one.request) for one in shown))
    if not shown:
        reason = "No request is kept for what was asked for."
        return (reply if errors else replace(reply, errors=(_inform(reason, None),))), None
    payload = timed.shown([_shown(one, [command for of, command in there if of is one]) for one in shown])
    return reply, payload


def _shown(one: _Progress, commands: Sequence[StoredCommand]) -> Shown:
    asked = tuple(command.command for command in commands)
    return Shown(one.request.request_id, one.request.source, one.request.correlation_id, one.waiting, asked)


def _at_meter(command: StoredCommand) -> ReplyError:
    meter, result = command.command.meter, command.result
    said = f" {result.outcome.reason}" if result is not None and not result.outcome.ok and result.outcome.reason else ""
    identifier = Identifier(value=meter.mrid, kind="uuid", object_type="EndDevice")
    how = how_far(command).replace("it had", "it has", 1)
    return _inform(f"{meter.name}: {how}.{said}"[:1_000], identifier)


def _inform(reason: str, identifier: Identifier | None) -> ReplyError:
    return ReplyError(code="0.0", level=Level.INFORM, reason=reason, identifier=identifier)


def _is_meant(pair: tuple[str, str | None], meant: Meant) -> bool:
    return pair in meant or (pair[0], None) in meant


def _is_principal_of(request: StoredRequest, header: Header) -> bool:
    """Whether who asks is who has ordered a request; what a message says of itself is no answer to that."""
    asker = asker_of(header)
    return asker.by in PROVED and asker.name == request.principal


def _timed(message: RequestMessage) -> Timed:
    timed = timed_of(message.header.noun)
    if timed is None:
        raise LookupError(f"{message.header.noun} has no requests that may be for later")
    return timed

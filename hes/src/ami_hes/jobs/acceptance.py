"""What every request has to pass before anything is done for it, and the row under which it is kept."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ami_cim.codes import Level, Verb
from ami_cim.errors import CimError
from ami_cim.message import Header, Reply, ReplyError, RequestMessage
from ami_hes import events
from ami_hes.askers import Asker, asker_for
from ami_hes.audit import AuditEntry, What
from ami_hes.auditing import Auditor
from ami_hes.commands import Command, CommandJob
from ami_hes.enums import ApprovalOf
from ami_hes.guard import ApprovalNeeded, Guard, NotWhatWasApproved, format_limit
from ami_hes.jobs.context import Context
from ami_hes.jobs.lanes import Lanes
from ami_hes.jobs.rows import nonce_digest
from ami_hes.meters.registry import Registry
from ami_hes.nouns import Meant, Partner, Plan, Refused, RequestContext, error, partner_of
from ami_hes.nouns.kept_partners import format_partner
from ami_hes.outbox import format_answer
from ami_hes.reply_hosts import NotAllowed, NotAnAddress, ReplyHosts
from ami_hes.served import OPERATIONS, noun_of, timed_of
from ami_hes.store import ControlsStopped, Gate, LimitReached, NonceUsed, SpentId, Stop, StoredApproval, StoredRequest
from ami_hes.traces import TRACEPARENT, Refusal, SpanPlace, TraceKeeper, arrival_of, note_arrival, parse_traceparent

_SPENT = (
    "This MessageID was used before, for a request of {}, and what came of that is not kept any more. "
    "Nothing was done for this one."
)
MOST_SHOWN = 20
"""Errors of a refused request in its event."""
MOST_SUMMARY = 200
"""Characters of what a request asks for in its event."""


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """How much is accepted, and how long the work on its meters may take."""

    lanes: Lanes
    meters_per_request: int


class Acceptance:
    """Looks at requests and keeps them."""

    def __init__(
        self,
        context: Context,
        registry: Registry,
        reply_hosts: ReplyHosts,
        limits: IntakeLimits,
        guard: Guard,
        auditor: Auditor,
        partners: Sequence[Partner] = (),
        traces: TraceKeeper | None = None,
    ) -> None:
        """Without `traces` nothing is kept of how requests came."""
        self._traces = traces
        self._context = context
        self._registry = registry
        self._reply_hosts = reply_hosts
        self.limits = limits
        self.guard = guard
        self._auditor = auditor
        self._partners = partners
        self._stopping = False

    def stop(self) -> None:
        """Accept nothing from now on."""
        self._stopping = True

    def check_going_on(self) -> None:
        """Raises CimError when nothing is accepted any more."""
        if self._stopping:
            raise stopping(accepted=False)

    def planned(self, message: RequestMessage) -> tuple[RequestContext, Plan]:
        """What becomes of it on meters; raises Refused."""
        noun = noun_of(message.header.noun)
        context = self.context_of(message.header)
        self.check_size(noun.size(message, context.partner))
        plan = noun.plan(context, message, self._registry)
        self.check_size(len(plan.commands))  # a group is one that is named, and may be many meters
        note_arrival("planned", plan.summary[:MOST_SUMMARY])
        return context, plan

    def meant(self, message: RequestMessage) -> tuple[Meant, tuple[ReplyError, ...]]:
        """What of which meters a message points at that names requests so; nothing of a noun whose requests are not named so."""
        timed = timed_of(message.header.noun)
        if timed is None:
            return frozenset(), ()
        context = self.context_of(message.header)
        self.check_size(noun_of(message.header.noun).size(message, context.partner))
        found, errors = timed.meant(context, message, self._registry)
        self.check_size(len(found))
        return found, errors

    def context_of(self, header: Header) -> RequestContext:
        """What its noun may know of it."""
        return RequestContext.of(header, self._context.now(), partner_of(header, self._partners))

    def gate(self, header: Header, commands: Sequence[Command], approval: StoredApproval | None = None) -> Gate | None:
        """What the store checks when it keeps these. Raises ApprovalNeeded and Refused."""
        try:
            return self.guard.gate(commands, asker_of(header).name, approval)
        except NotWhatWasApproved as problem:
            raise Refused(error("5.2", f"Nothing was done: {problem}.")) from None

    def check_ahead(self, header: Header, commands: Sequence[Command]) -> None:
        """Of what is for later. Raises ApprovalNeeded and Refused."""
        if (stop := self.guard.stop.now) is not None and self.gate(header, commands) is not None:
            raise Refused(_stopped(stop))
        self.guard.check_ahead(commands, asker_of(header).name)

    def wanted(self, header: Header, plan: Plan, why: str) -> StoredApproval:
        """The approval that a request waits for."""
        commands, principal = plan.commands, asker_of(header).name
        summary = f"{header.verb} {header.noun} {plan.summary}"[:MOST_SUMMARY]
        return self.guard.wanted(header.message_id or "", ApprovalOf.REQUEST, commands, principal, summary, why)

    async def keep(
        self, request: StoredRequest, jobs: Sequence[CommandJob], header: Header, gate: Gate | None = None
    ) -> StoredRequest | None:
        """None once it is kept, else what was kept under its id before; raises Refused and ApprovalNeeded."""
        try:
            kept = await self._context.results.accept(request, jobs, nonce_digest(header), gate)
        except SpentId as spent:
            raise Refused(error("2.15", _SPENT.format(spent.accepted_at.isoformat(timespec="seconds")))) from None
        except NonceUsed:
            reason = "Header.ReplayDetection: this Nonce was used before, by a message with another MessageID."
            raise Refused(error("7.7", f"{reason} Nothing was done for this one.")) from None
        except LimitReached as beyond:
            raise ApprovalNeeded(format_limit(beyond)) from None
        except ControlsStopped as stopped:
            raise Refused(_stopped(stopped.stop)) from None
        arrival = note_arrival("kept")
        if kept is None and self._traces is not None and arrival is not None and arrival.stands_for(request.request_id):
            self._traces.arrived(request, arrival, _parent_of(header))
        return kept

    def check_reply_address(self, header: Header) -> None:
        """Raises Refused for one that nothing may be sent to."""
        if not header.async_reply_flag:
            return
        try:
            self._reply_hosts.check(header.reply_address or "")
        except NotAnAddress as refusal:
            raise Refused(error("1.5", f"Header.ReplyAddress: {refusal}.")) from None
        except NotAllowed as refusal:
            raise Refused(error("7.7", f"Header.ReplyAddress: {refusal}.")) from None

    def check_size(self, asked: int) -> None:
        """Before anything is looked up, since looking up is what a request that names too many would cost."""
        if asked > (most := self.limits.meters_per_request):
            raise Refused(error("3.1", f"The request names {asked} meters; at most {most} are taken at once."))

    async def check_room(self, jobs: Sequence[CommandJob]) -> None:
        """Raises Refused where a lane has none."""
        for lane, new in Counter(job.lane for job in jobs).items():
            if await self._context.engine.commands.pending(lane) + new > self.limits.lanes[lane].pending:
                self._context.tally.had_no_room(jobs)
                reason = f"Too many commands are waiting in the lane {lane}; nothing was accepted. Try again later."
                raise Refused(error("3.2", reason))

    def jobs(self, plan: Plan) -> list[CommandJob]:
        """Each command with its lane and its deadline, which are kept with it."""
        after = self._context.environment.after_real
        deadlines = {lane: after(limits.deadline) for lane, limits in self.limits.lanes.items()}
        if plan.until is not None:
            deadlines = {lane: min(deadline, plan.until) for lane, deadline in deadlines.items()}
        lanes = [(one, plan.lane or OPERATIONS[one.operation].lane) for one in plan.commands]
        return [CommandJob(one, lane, deadlines[lane]) for one, lane in lanes]

    def request(
        self, header: Header, context: RequestContext, jobs: Sequence[CommandJob], *, waits: str = ""
    ) -> StoredRequest:
        """Its row. `waits`: what its acknowledgement says that it waits for."""
        asker = asker_of(header)
        partner, asynchronous = context.partner, bool(header.async_reply_flag)
        return StoredRequest(
            request_id=context.request_id,
            digest="",
            verb=context.verb,
            noun=header.noun,
            source=context.source,
            partner=format_partner(partner),
            correlation_id=header.correlation_id or context.request_id,
            reply_address=header.reply_address if asynchronous else None,
            accepted_at=context.accepted_at,
            deadline_at=max((job.deadline_at for job in jobs), default=context.accepted_at),
            errors="[]",
            acknowledgement=self._acknowledgement(header, partner, waits) if asynchronous else None,
            principal=asker.name,
            principal_by=asker.by,
        )

    def _acknowledgement(self, header: Header, partner: Partner, waits: str) -> bytes:
        """Kept in the form that the late reply will have."""
        where = (
            "the reply goes to the ReplyAddress"
            if header.reply_address
            else "what comes of it is kept under its MessageID"
        )
        reason = f"Accepted{waits and f', and {waits}'}; {where}."
        accepted = ReplyError(code="0.3", level=Level.INFORM, reason=reason)
        message = self._context.message(header, Reply(result="OK", errors=(accepted,)))
        return format_answer(message, self._context.schemas, typed=partner.typed_reply)

    def report(self, header: Header, plan: Plan) -> None:
        """Report that it was accepted."""
        self._context.emit(
            events.RequestAccepted(
                message_id=header.message_id or "",
                verb=header.verb,
                noun=header.noun,
                summary=plan.summary[:MOST_SUMMARY],
                meters=[command.meter.name for command in plan.commands],
                errors=[_described(one) for one in plan.errors[:MOST_SHOWN]] or None,
            )
        )

    def report_order(self, header: Header) -> None:
        """The same of one that is carried out on the head-end itself: it asks no meter."""
        self._context.emit(
            events.RequestAccepted(
                message_id=header.message_id or "", verb=header.verb, noun=header.noun, summary="", meters=[]
            )
        )

    def refuse(self, header: Header, errors: Sequence[ReplyError] | str, *, denied: bool = False) -> None:
        """Report why nothing is done for a request; of one whose sender may not ask a look is written down too."""
        said: list[events.ReportedError | str] = [errors] if isinstance(errors, str) else []
        said += [_described(one) for one in errors[:MOST_SHOWN] if isinstance(one, ReplyError)]
        self._context.emit(events.RequestRefused(message_id=header.message_id, errors=said))
        self._trace_refused(header, errors)
        first = errors[0] if errors and isinstance(errors[0], ReplyError) else None
        if denied or header.verb != Verb.GET:
            self._audit_refused(header, "" if first is None else first.code, (first and first.reason) or str(said[:1]))

    def _trace_refused(self, header: Header, errors: Sequence[ReplyError] | str) -> None:
        arrival = arrival_of(header.message_id)
        if self._traces is None or arrival is None:
            return
        if isinstance(errors, str):
            reasons = [errors]
        else:
            reasons = [f"{one.code} {one.reason or ''}".strip() for one in errors[:MOST_SHOWN]]
        self._traces.refused(Refusal(header.message_id, header.verb, header.noun, header.source, reasons, arrival))

    def _audit_refused(self, header: Header, code: str, reason: str) -> None:
        asker = asker_of(header)
        entry = AuditEntry(
            what=What.REFUSED,
            at=self._context.now(),
            principal=asker.name,
            by=asker.by,
            verb=header.verb,
            noun=header.noun,
            request=header.message_id or "",
            outcome=code,
            reason=reason,
        )
        self._auditor.refused(entry)


def asker_of(header: Header) -> Asker:
    """Who asks by a message with this header."""
    return asker_for(header.source, None if header.user is None else header.user.user_id)


def _parent_of(header: Header) -> SpanPlace | None:
    """The span of its sender that a message names."""
    named = (one.value for one in header.properties if one.name.lower() == TRACEPARENT)
    return parse_traceparent(next(named, None))


def _stopped(stop: Stop) -> ReplyError:
    return error("5.2", f"Nothing was done: all controls are stopped {stop.said}. Ask again once they are resumed.")


def stopping(*, accepted: bool) -> CimError:
    """Said to who asks while the process ends."""
    what = "your request is kept and will be finished" if accepted else "nothing was accepted"
    return CimError("5.1", f"The head-end system is stopping: {what}. Ask again with the same MessageID.")


def _described(one: ReplyError) -> events.ReportedError:
    return events.ReportedError(code=one.code, reason=one.reason)

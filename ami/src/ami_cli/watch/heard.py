"""What the APIs of a head-end and a CIS have said, as the model that a view shows. Pure: values of the APIs in, steps out.

A request is first a line that is counted; who was asked, and with which reason who failed, comes with its details, and its octets with its
trace. Of a request with many meters only those that failed are kept by name.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ami_cis.api_values import requests as cis
from ami_cis.api_values.device_events import DeviceEvent as CisDeviceEvent
from ami_cli import formatting
from ami_cli.observations import HEAD_END, READ, READ_METER, UNNAMED, Happening, Request, RequestOutcome, Step, Work
from ami_cli.observed import KEPT, NO_ANSWER, Observed, Pieces
from ami_hes.api.values.contacts import ContactEntry
from ami_hes.api.values.device_events import DeviceEvent
from ami_hes.api.values.live import GuardNews, RefusedMessage
from ami_hes.api.values.requests import CommandEntry, RequestDetails, RequestEntry
from ami_mapping.events import IMPORTANCE, rank_of

CIS = "CIS"
MOST_NAMED = 50
"""Meters of a request that are all kept; of one with more those that failed."""
MOST_FAILED = 200
MOST_METERS = 100_000
"""Whose state is kept."""
STATES = {"connected": "connected", "disconnected": "disconnected", "ready": "ready for reconnection"}
MOST_TOLD = 2_000
NO_ANSWER_CODE = "4.1"
EVENT_VERBS = frozenset({"created", "changed", "closed", "deleted", "canceled"})
STYLES = (("OK", "ok"), ("PARTIAL", "partial"), ("FAILED", "failed"), ("RUNNING", "running"))
_UNANSWERED = {"failed": "no reply", "unknown": "it is not known what became of it"}


@dataclass(slots=True, kw_only=True)
class WatchState(Observed):
    """All that was heard since the watch began, and of what was before as much as fits."""

    meters: int = 0
    """In the registry of the head-end."""
    guard: tuple[int, str | None] = (0, None)
    """How many requests wait for the approval of a second person, and who has stopped all controls."""
    _without_id: int = 0
    _told: dict[tuple[str, bool], None] = field(default_factory=dict)
    """Events that were heard of, and whether of their end: a list and a stream may both have one."""

    @property
    def unasked(self) -> int:
        """How many meters nothing is known of."""
        return self.meters - len(self.states)

    @property
    def told(self) -> Pieces:
        """The requests by how they ended."""
        counts = self.counts
        found: list[tuple[str, str]] = [(formatting.count(counts.total(), "request"), "bold"), (" seen", "quiet")]
        for status, style in STYLES:
            if counts[status]:
                found += [(f"   {formatting.GLYPHS[status]} {counts[status]:,}", style), (f" {status}", "quiet")]
        waiting, stopped = self.guard
        if waiting:
            found.append((f"   {formatting.count(waiting, 'request')} to be approved", "partial"))
        return found if stopped is None else [*found, (f"   ▲ controls are stopped {stopped}".rstrip(), "failed")]

    @property
    def counts(self) -> Counter[str]:
        """The number of requests by status."""
        return self._past.others + Counter(one.status for one in self.requests.values())

    def took_requests(self, entries: Iterable[RequestEntry]) -> list[Step]:
        """Lines of the head-end, in the order in which they are to be shown."""
        return self._kept(step for one in entries if not _is_delivery(one) for step in self._request(one))

    def _request(self, entry: RequestEntry) -> list[Step]:
        request = self.request(entry.message_id, _utc(entry.accepted_at))
        new, ended = not request.accepted, request.sent is not None
        request.accepted, request.verb, request.noun = True, entry.verb, entry.noun
        request.source = entry.source or (HEAD_END if entry.verb in EVENT_VERBS else "")
        request.asynchronous, request.expected = entry.asynchronous, entry.meters
        request.counted = entry.done, entry.ok
        if entry.answered_at is not None:
            ms = (entry.answered_at - entry.accepted_at).total_seconds() * 1000
            request.sent = RequestOutcome(entry.result or _verdict(entry), ms, request.failures)
        steps = [self._asked(request)] if new and not request.own else []
        return [*steps, *([self._ended(request)] if request.sent is not None and not ended else [])]

    def _asked(self, request: Request) -> Step:
        text = f"{request.verb} {request.noun}: {formatting.count(request.expected, 'meter')}"
        return Step(
            at=request.sent_at,
            source=request.sender or CIS,
            target=HEAD_END,
            text=text,
            cim=request.code,
            message_id=request.message_id,
        )

    def _ended(self, request: Request) -> Step:
        sent = request.sent
        assert sent is not None
        return Step(
            at=request.sent_at if sent.ms is None else _later(request.sent_at, sent.ms),
            source=HEAD_END,
            target=request.sender or CIS,
            text="reply" if request.verb not in EVENT_VERBS else "ended",
            ms=sent.ms,
            outcome=sent.result,
            message_id=request.message_id,
        )

    def took_details(self, details: RequestDetails) -> list[Step]:
        """What was asked of each meter of a request, and what came of it."""
        request = self.requests.get(details.request.message_id)
        if request is None:
            return []
        before = {meter for meter, one in request.work.items() if one.ms is not None or not one.ok}
        commands, small = details.commands, len(details.commands) <= MOST_NAMED
        if small:
            request.meters = tuple(one.meter for one in commands)
        shown = [one for one in commands if one.ok is not None and (small or not one.ok)][
            : max(MOST_NAMED, MOST_FAILED)
        ]
        request.work = {one.meter: _work(one) for one in shown}
        if {one.operation for one in commands} == {READ_METER}:
            request.title = READ
        request.refusal = tuple(f"{one.code} {one.reason or ''}".rstrip() for one in details.errors[:MOST_FAILED])
        if request.sent is not None:
            owed = details.delivery
            late = () if owed is None else (f"the reply is not delivered: {owed.last_reason}",)
            request.sent = RequestOutcome(
                request.sent.result, request.sent.ms, (*request.failures, *request.refusal, *late)
            )
        new = [one for one in shown if one.meter not in before] if small else []
        return self._kept(_step(request, one) for one in sorted(new, key=_finished_at))

    def took_refused(self, refused: Iterable[RefusedMessage]) -> list[Step]:
        """Messages of which nothing was done. One of the CIS that is followed tells itself what it was answered."""
        return self._kept(step for one in refused for step in self._refusal(one))

    def _refusal(self, one: RefusedMessage) -> list[Step]:
        message_id = one.message_id or self._unnamed()
        request = self.request(message_id, _utc(one.at))
        reasons = (" ".join(part for part in (one.code, one.reason) if part),)
        if request.sent is None and request.received is None and not request.accepted:
            request.sent = RequestOutcome("FAILED", None, reasons)
        step = Step(
            at=_utc(one.at),
            source=HEAD_END,
            target=request.sender or CIS,
            text="refused",
            outcome="FAILED",
            note=reasons[0],
            message_id=message_id,
        )
        return [step]

    def _unnamed(self) -> str:
        self._without_id += 1
        return f"{UNNAMED} ({self._without_id})"

    def took_guard(self, news: GuardNews) -> None:
        """What waits for approval, and whether controls are stopped."""
        stop = news.stop
        said = " ".join(part for part in (stop.by and f"by {stop.by}", stop.reason and f"({stop.reason})") if part)
        self.guard = news.waiting, said if stop.stopped else None

    def took_contacts(self, contacts: Iterable[ContactEntry]) -> None:
        """How meters answered last."""
        for one in contacts:
            state = NO_ANSWER if one.ok is False and one.reply_code == NO_ANSWER_CODE else STATES.get(one.switch or "")
            if state is not None and (one.meter in self.states or len(self.states) < MOST_METERS):
                self.states[one.meter] = state

    def took_events(self, events: Iterable[DeviceEvent]) -> list[Happening]:
        """What has happened to meters, the oldest first."""
        new = [
            Happening(
                _utc(one.received_at),
                _about(one.meter, one.reason) + ("" if one.closed_at is None else ": ended"),
                one.meter,
                alarm=rank_of(one.type) < len(IMPORTANCE) and one.closed_at is None,
            )
            for one in events
            if self._is_new(one)
        ]
        self.happenings.extend(new)
        return new

    def _is_new(self, event: DeviceEvent) -> bool:
        key = event.event_id, event.closed_at is None
        new = key not in self._told
        self._told[key] = None
        if len(self._told) > MOST_TOLD:
            del self._told[next(iter(self._told))]
        return new

    def took_inbox(self, events: Iterable[CisDeviceEvent]) -> list[Happening]:
        """What the CIS was told of meters."""
        new = [
            Happening(_utc(one.at), f"told of {one.meter}: {_about(one.meter, one.reason or one.code)}", CIS)
            for one in events
        ]
        self.happenings.extend(new)
        return new

    def took_sent(self, entries: Iterable[cis.RequestEntry]) -> list[Step]:
        """Requests as the CIS has sent them: what it took for the reply counts."""
        return self._kept(step for one in entries for step in self._sent(one))

    def _sent(self, entry: cis.RequestEntry) -> list[Step]:
        request = self.request(entry.message_id, _utc(entry.sent_at))
        new, ended = not request.own, request.received is not None
        request.own, request.verb, request.noun = True, entry.verb, entry.noun
        request.code, request.asynchronous = entry.code, entry.asynchronous
        request.expected = request.expected or entry.meters
        if entry.state in _UNANSWERED:
            reason = entry.reason or _UNANSWERED[entry.state]
            request.received = RequestOutcome("FAILED", None, (reason,))
        elif entry.state == "answered":
            at = entry.replied_at
            ms = None if at is None else (at - entry.sent_at).total_seconds() * 1000
            request.received = RequestOutcome(entry.result or "FAILED", ms, request.reasons)
        steps = [self._asked(request)] if new and not request.accepted else []
        if request.received is not None and not ended:
            received = request.received
            at = request.sent_at if received.ms is None else _later(request.sent_at, received.ms)
            note = "" if received.result == "OK" else "; ".join(received.reasons[:2])
            told = {"outcome": received.result, "note": note, "message_id": request.message_id}
            steps.append(Step(at=at, source=HEAD_END, target=CIS, text="reply taken", ms=received.ms, **told))
        return steps

    def took_errors(self, details: cis.RequestDetails) -> None:
        """Why a request of the CIS is not OK, as its reply says."""
        request = self.requests.get(details.request.message_id)
        if request is None or request.received is None or not details.errors:
            return
        reasons = tuple(
            " ".join(part for part in (one.meter, one.code, one.reason) if part) for one in details.errors[:MOST_FAILED]
        )
        request.received = RequestOutcome(request.received.result, request.received.ms, reasons)

    def _kept(self, steps: Iterable[Step]) -> list[Step]:
        found = list(steps)
        self.steps.extend(found[-KEPT:])
        return found


def _is_delivery(entry: RequestEntry) -> bool:
    """An event for a subscriber goes the road of replies, and is no request."""
    return entry.meters == 0 and entry.verb in EVENT_VERBS


def _verdict(entry: RequestEntry) -> str:
    """Of what is answered to nobody."""
    return "OK" if entry.ok == entry.meters else "PARTIAL" if entry.ok else "FAILED"


def _work(one: CommandEntry) -> Work:
    return Work(
        meter=one.meter,
        method=one.operation,
        ok=bool(one.ok),
        reply_code=one.reply_code or "",
        reason=_about(one.meter, one.reason or ""),
        ms=one.took_ms,
    )


def _step(request: Request, one: CommandEntry) -> Step:
    work = _work(one)
    return Step(
        at=_finished_at(one),
        source=HEAD_END,
        target=one.meter,
        text=one.operation,
        remark=work.reason if one.ok else "",
        ms=one.took_ms,
        outcome="OK" if one.ok else "FAILED",
        note="" if one.ok else f"{work.reply_code} {work.reason}".strip(),
        message_id=request.message_id,
    )


def _about(meter: str, reason: str) -> str:
    """A reason, where it is said beside it whose it is."""
    return reason.removeprefix(f"{meter}: ")


def _finished_at(one: CommandEntry) -> datetime:
    return datetime.min.replace(tzinfo=UTC) if one.finished_at is None else _utc(one.finished_at)


def _later(at: datetime, ms: float) -> datetime:
    return at + timedelta(milliseconds=ms)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)

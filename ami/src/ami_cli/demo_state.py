"""What the demo knows: the events of all processes, put together into requests, steps, meter states and totals.

Pure: `DemoState.apply` takes one event and the time it was heard at, changes the model and returns the steps that a person
would tell ("the HES told M1001 to disconnect: it was connected, it is disconnected, 12 ms"). Processes speak through
pipes of their own, so the CIS may be heard before the HES that it waited for: nothing here depends on that order.

A command counts as confirmed only if three agree: the CIS took a reply OK without errors, the HES reports the meter's
action-result success, and the state which it read back is the one that was asked for. Of a request that the CIS has never
spoken of, somebody else's, only the HES tells; it is shown like the others and counted beside them. What the HES begins by
itself, a campaign or the run of a schedule, is answered to nobody: its meters say how it ends.
"""

import copy
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from ami_cis import events as cis
from ami_cli import formatting
from ami_cli.decoding import decode, decode_details
from ami_cli.observations import (
    CONTROL_NAMES,
    HEAD_END,
    OTHER,
    READ_METER,
    UNNAMED,
    Happening,
    Octets,
    Request,
    RequestOutcome,
    Step,
    Work,
)
from ami_cli.observed import NO_ANSWER, Observed, Pieces
from ami_cli.totals import DemoSummary
from ami_hes import events as hes
from ami_meter_sim import events as meter
from ami_process.events import Event

STATE_WORDS = {0: "disconnected", 1: "connected", 2: "ready for reconnection"}
METHODS: dict[tuple[object, object], str] = {(70, 1): "remote_disconnect", (70, 2): "remote_reconnect"}
MOST_NAMED = 4
SUBSCRIBER = "subscriber"


Explainer = Callable[[str, str], str]
"""A meter and the octets of a frame to or from it -> what they say."""


@dataclass(slots=True, kw_only=True)
class DemoState(Observed):
    """All that has been heard so far."""

    meters: tuple[str, ...]
    explainer: Explainer | None = None
    _unnamed: int = 0

    def apply(self, role: str, line: Mapping[str, Any], at: datetime) -> tuple[Step, ...]:
        """Take one line of a process of this role ("cis", "hes", "meter") into account, if it is an event that it declares."""
        event = decode(role, line)
        handler = None if event is None else HANDLERS.get(type(event))
        steps = tuple(handler(self, event, at)) if handler else ()
        self.steps.extend(steps)
        return steps

    def process_ended(self, name: str, exit_code: int, at: datetime) -> None:
        """A process has gone that should not."""
        self.happenings.append(Happening(at, f"ended with exit code {exit_code}", name, alarm=True))

    @property
    def finished(self) -> int:
        """How many requests of the demo have their reply or their failure, and the values that were asked for."""
        return self._past.requests + self._past.reads + sum(r.is_counted and r.ended for r in self.requests.values())

    @property
    def settled(self) -> bool:
        """Nothing is missing of any finished request: every meter of an OK reply has been heard of."""
        worked = (r for r in self.requests.values() if r.result == "OK" and (r.is_counted or not r.own))
        return all(len(r.work) >= len(r.meters) for r in worked)

    @property
    def unasked(self) -> int:
        """How many meters nothing is known of."""
        return len(self.meters) - len(self.states)

    @property
    def told(self) -> Pieces:
        """What the demo came to so far, in styled pieces."""
        total = self.summary()
        found: list[tuple[str, str]] = [(f"{total.confirmed_commands:,}", "bold")]
        found.append((f" of {total.commands:,} commands confirmed", "quiet"))
        if total.others:
            found.append((f"   {formatting.count(sum(total.others.values()), 'request')} of others", "partial"))
        if total.median_ms is not None:
            found += [("   request to reply: median ", "quiet"), (formatting.took(total.median_ms), "bold")]
            found += [("   longest ", "quiet"), (formatting.took(total.max_ms), "bold")]
        return found

    def summary(self) -> DemoSummary:
        """The totals; a request that is still running counts as neither good nor bad."""
        tally = copy.deepcopy(self._past)
        for request in self.requests.values():
            if request.result is not None or not request.is_counted:
                tally.add(request)
        return DemoSummary(
            cycles=min(tally.fulfilled[name] for name in CONTROL_NAMES.values()),
            requests=tally.requests,
            confirmed_commands=tally.confirmed_commands,
            commands=tally.commands,
            unfulfilled=tally.requests - tally.fulfilled.total(),
            running=sum(r.is_counted and r.result is None for r in self.requests.values()),
            median_ms=statistics.median(tally.took) if tally.took else None,
            max_ms=tally.longest,
            counts=dict(tally.fulfilled),
            others=dict(tally.others),
            reads=tally.reads,
            reads_ok=tally.reads_ok,
        )

    def unnamed(self) -> str:
        """What is shown as the MessageID of a message that has none."""
        self._unnamed += 1
        return f"{UNNAMED} ({self._unnamed})"

    def own_request(self, message_id: str, at: datetime) -> Request:
        """A request that the CIS speaks of, so it is the demo's own, whatever was thought of it before."""
        request = self.request(message_id, at)
        if not request.own:
            request.own = True
            theirs = [one for one in self.steps if one.message_id == message_id and OTHER in (one.source, one.target)]
            for step in theirs:
                self.steps.remove(step)
        return request


def state_word(state: hes.SwitchState | meter.SwitchState | None) -> str:
    """The word for a disconnect control's state; empty when it is not known."""
    return "" if state is None else STATE_WORDS.get(state.control_state, "")


def _request_sent(model: DemoState, event: cis.RequestSent, at: datetime) -> list[Step]:
    request = model.own_request(event.message_id, at)
    request.verb, request.noun = event.verb, event.noun
    request.code, request.asynchronous = event.code, event.asynchronous
    request.meters, request.sent_at = tuple(event.meters), at
    if request.is_read:
        return []  # what it brings says it all
    text = f"{request.verb} {request.noun}: {request.what.lower()} {_names(request.meters)}"
    return [_step(request, at, "CIS", "HES", text, cim=request.code)]


def _acknowledged(model: DemoState, event: cis.Acknowledged, at: datetime) -> list[Step]:
    request = model.own_request(event.message_id, at)
    request.acknowledged = True
    return [_step(request, at, "HES", "CIS", "acknowledged: the reply comes later", cim="0.3")]


def _reply_received(model: DemoState, event: cis.ReplyReceived, at: datetime) -> list[Step]:
    request = model.own_request(event.message_id, at)
    reasons = tuple(_error(one.code, one.reason, one.meter) for one in event.errors)
    request.received = RequestOutcome(event.result or "FAILED", event.ms, reasons)
    if request.is_read and event.result == "OK":
        return []
    return [_ending(request, at, "HES", "CIS", "reply", request.received)]


def _registers_read(model: DemoState, event: cis.RegistersRead, at: datetime) -> list[Step]:
    """A line per meter; for many of them one line in all."""
    request = model.own_request(event.message_id, at)
    request.values_shown = True
    found: dict[str, list[str]] = {}
    for one in event.registers:
        value = "missing" if one.value is None else " ".join(part for part in (one.value, one.unit) if part)
        found.setdefault(one.meter, []).append(f"{one.name} {value}")
    if len(request.meters) > MOST_NAMED:
        values = formatting.count(len(event.registers) + event.more, "value")
        return [_step(request, at, "HES", "CIS", f"{values} of {len(request.meters)} meters", ms=request.ms)]
    return [
        _step(request, at, "HES", "CIS", f"{meter} {', '.join(values)}", ms=request.ms)
        for meter, values in found.items()
    ]


def _request_failed(model: DemoState, event: cis.RequestFailed | cis.RequestUnknown, at: datetime) -> list[Step]:
    request = model.own_request(event.message_id, at)
    request.received = RequestOutcome("FAILED", reasons=(event.reason,))
    return [_ending(request, at, "CIS", "HES", "no reply", request.received)]


def _request_accepted(model: DemoState, event: hes.RequestAccepted, at: datetime) -> list[Step]:
    """Kept for now: only what follows can tell whether the CIS has sent it."""
    request = model.request(event.message_id, at)
    request.accepted = True
    request.refusal = tuple(_error(one.code, one.reason) for one in event.errors or ())
    if not request.own:
        request.verb, request.noun = event.verb, event.noun
        request.code, request.meters = event.summary, tuple(event.meters)
        request.sent_at, request.sent = at, None
    return []


def _request_refused(model: DemoState, event: hes.RequestRefused, at: datetime) -> list[Step]:
    """Refused, or not even read. Somebody may also have used the MessageID of a request that goes on."""
    reasons = [one if isinstance(one, str) else _error(one.code, one.reason) for one in event.errors or ()]
    if event.errors is None:
        reasons = [_error("" if event.status is None else str(event.status), event.reason)]
    return _refused(model, event.message_id, tuple(reasons), at)


def _request_unreadable(model: DemoState, event: hes.RequestUnreadable, at: datetime) -> list[Step]:
    return _refused(model, None, (_error(event.code, event.reason),), at)


def _request_too_costly(model: DemoState, event: hes.RequestTooCostly, at: datetime) -> list[Step]:
    return _refused(model, None, (event.reason,), at)


def _refused(model: DemoState, message_id: str | None, reasons: tuple[str, ...], at: datetime) -> list[Step]:
    request = model.request(message_id or model.unnamed(), at)
    refusal = RequestOutcome("FAILED", reasons=reasons)
    if request.own:
        return []  # the CIS will report what it was answered
    request.refusal = reasons
    if not request.accepted:
        request.sent = refusal
    request.announced = True
    return [_ending(request, at, "HES", OTHER, "refused", refusal)]


def _reply_sent(model: DemoState, event: hes.ReplySent, at: datetime) -> list[Step]:
    if event.asynchronous and event.message_id not in model.requests:
        return [_of_no_request(event.message_id, at, "event taken", ms=event.ms)]
    request = model.request(event.message_id, at)
    request.sent = RequestOutcome(event.result or "FAILED", event.ms, (*request.failures, *request.refusal))
    request.asynchronous = request.asynchronous or event.asynchronous
    return [] if request.own else [*_announced(request), _ending(request, at, "HES", OTHER, "reply", request.sent)]


def _reply_postponed(model: DemoState, event: hes.ReplyPostponed, at: datetime) -> list[Step]:
    if event.message_id not in model.requests:
        return [_of_no_request(event.message_id, at, "event not delivered yet", note=event.reason)]
    request = model.request(event.message_id, at)
    target = "CIS" if request.own else OTHER
    request.sent = _worked(request, f"the reply is not delivered yet: {event.reason}")
    return [*_announced(request), _step(request, at, "HES", target, "reply not delivered yet", note=event.reason)]


def _worked(request: Request, note: str) -> RequestOutcome | None:
    """What the reply says that was not taken: how it went with all of the meters; None as long as one is not heard of."""
    if not request.meters or not request.work.keys() >= set(request.meters):
        return None
    good = [request.work[meter].ok for meter in request.meters]
    return RequestOutcome("OK" if all(good) else "PARTIAL" if any(good) else "FAILED", reasons=(note,))


def _reply_dead_letter(model: DemoState, event: hes.ReplyDeadLetter, at: datetime) -> list[Step]:
    """The work is done, but its sender will not receive the answer."""
    if event.message_id not in model.requests:
        return [_of_no_request(event.message_id, at, "event given up", note=event.reason)]
    request = model.request(event.message_id, at)
    request.sent = RequestOutcome("FAILED", reasons=(f"the reply could not be delivered: {event.reason}",))
    target = "CIS" if request.own else OTHER
    return [*_announced(request), _ending(request, at, "HES", target, "reply given up", request.sent)]


def _of_no_request(message_id: str, at: datetime, text: str, *, ms: float | None = None, note: str = "") -> Step:
    """An event for a subscriber, or a reply that an earlier life of the HES owed: both go the same road."""
    return Step(at=at, source=HEAD_END, target=SUBSCRIBER, text=text, message_id=message_id, ms=ms, note=note)


def _campaign_begun(model: DemoState, event: hes.CampaignBegun, at: datetime) -> list[Step]:
    request = model.request(event.campaign, at)
    request.title, request.expected = event.summary, event.meters
    text = f"campaign: {event.summary}, {formatting.count(event.meters, 'meter')}"
    return [_step(request, at, HEAD_END, "meters", text)]


def _event_received(model: DemoState, event: cis.EventReceived, at: datetime) -> list[Step]:
    model.happenings.append(Happening(at, f"told of {event.noun} {event.verb}", "CIS"))
    return []


def _announced(request: Request) -> list[Step]:
    """The step that tells of a request of somebody else, once."""
    if request.own or request.announced or request.by_itself:
        return []
    request.announced = True
    text = f"{request.what.lower()} {_names(request.meters)}"
    return [_step(request, request.sent_at, OTHER, "HES", text, cim=request.code)]


def _step(request: Request, at: datetime, source: str, target: str, text: str, **more: Any) -> Step:
    return Step(at=at, source=source, target=target, text=text, message_id=request.message_id, **more)


def _ending(request: Request, at: datetime, source: str, target: str, text: str, how: RequestOutcome) -> Step:
    note = _shortened(how.reasons)
    return _step(request, at, source, target, text, ms=how.ms, outcome=how.result, note=note)


def _meter_done(model: DemoState, event: hes.MeterDone, at: datetime) -> list[Step]:
    request, work = model.request(event.message_id, at), _work(event)
    request.work[work.meter] = work
    if event.operation == READ_METER:
        return [] if work.ok and request.own else [*_announced(request), *_read_step(request, work, at)]
    if word := work.after or (NO_ANSWER if not work.ok and not work.before else ""):
        model.states[work.meter] = word
    return [
        *_announced(request),
        _step(
            request,
            at,
            "HES",
            work.meter,
            work.method,
            cosem=work.cosem,
            before=work.before,
            after=work.after,
            ms=work.ms,
            outcome="OK" if work.ok else "FAILED",
            note="" if work.ok else f"{work.reply_code} {work.reason}".strip(),
        ),
    ]


def _read_step(request: Request, work: Work, at: datetime) -> list[Step]:
    note = "" if work.ok else f"{work.reply_code} {work.reason}".strip()
    outcome = "OK" if work.ok else "FAILED"
    return [_step(request, at, "HES", work.meter, "read", ms=work.ms, outcome=outcome, note=note)]


def _work(event: hes.MeterDone) -> Work:
    details = decode_details(event)
    done = Work(
        meter=event.meter,
        method=event.operation,
        ok=event.ok,
        reply_code=event.reply_code or "",
        reason=event.reason.removeprefix(f"{event.meter}: "),
        ms=event.ms,
    )
    if not isinstance(details, hes.DisconnectDetails):
        return done
    return replace(
        done,
        class_id=details.class_id,
        obis=details.obis or "",
        method=METHODS.get((details.class_id, details.method), str(details.method or details.control or "")),
        before=state_word(details.before),
        after=state_word(details.after),
        action_result=details.action_result or "",
    )


def _apdu(model: DemoState, event: hes.Apdu, at: datetime) -> list[Step]:
    octets = Octets(event.meter, event.direction == "request", event.name, event.hex, event.ms)
    if model.explainer is not None:
        octets.explain = partial(model.explainer, event.meter, event.hex)
    model.wire.append(octets)
    return []


_SERVICES = {"event-notification": "EventNotification", "information-report": "InformationReport"}


def _notification(model: DemoState, event: hes.Notification, at: datetime) -> list[Step]:
    who = event.meter or event.system_title or event.peer
    text = f"{_SERVICES.get(event.service, 'DataNotification')} over {event.transport.upper()}"
    model.happenings.append(Happening(at, text, who))
    return [Step(at=at, source=who or "meter", target="HES", text=text)]


def _dialled_in(model: DemoState, event: hes.DialledIn, at: datetime) -> list[Step]:
    model.happenings.append(Happening(at, "dialled in", event.meter))
    return [Step(at=at, source=event.meter, target="HES", text=f"dialled in from {event.peer}")]


def _association(model: DemoState, event: meter.Association, at: datetime) -> list[Step]:
    if event.what == "refused":
        text = f"refused an association: {event.reason or ''}"
        model.happenings.append(Happening(at, text, event.meter, alarm=True))
    return []


def _discarded(model: DemoState, event: meter.Discarded, at: datetime) -> list[Step]:
    model.happenings.append(Happening(at, f"discarded: {event.reason}", event.meter, alarm=True))
    return []


def _dropped(model: DemoState, event: hes.Dropped, at: datetime) -> list[Step]:
    model.happenings.append(Happening(at, f"dropped by the HES: {event.reason}", event.peer, alarm=True))
    return []


def _not_proved(model: DemoState, event: hes.NotProved, at: datetime) -> list[Step]:
    model.happenings.append(Happening(at, f"did not prove its keys: {event.reason}", event.meter, alarm=True))
    return []


def _switched(model: DemoState, event: meter.Switched, at: datetime) -> list[Step]:
    model.happenings.append(Happening(at, state_word(event.after) or "switched", event.meter))
    return []


def _error(code: str, reason: str | None, meter: str | None = None) -> str:
    words = (reason or "").removeprefix(f"{meter}: ")
    return " ".join(part for part in (meter, code, words) if part)


def _shortened(reasons: tuple[str, ...], most: int = 2) -> str:
    more = len(reasons) - most
    return "; ".join(reasons[:most]) + (f"; and {more} more" if more > 0 else "")


def _names(meters: tuple[str, ...]) -> str:
    return ", ".join(meters) if len(meters) <= MOST_NAMED else f"{len(meters)} meters"


HANDLERS: dict[type[Event], Callable[[DemoState, Any, datetime], list[Step]]] = {
    cis.RequestSent: _request_sent,
    cis.Acknowledged: _acknowledged,
    cis.ReplyReceived: _reply_received,
    cis.RegistersRead: _registers_read,
    cis.RequestFailed: _request_failed,
    cis.RequestUnknown: _request_failed,
    cis.EventReceived: _event_received,
    hes.RequestAccepted: _request_accepted,
    hes.RequestRefused: _request_refused,
    hes.RequestUnreadable: _request_unreadable,
    hes.RequestTooCostly: _request_too_costly,
    hes.CampaignBegun: _campaign_begun,
    hes.ReplySent: _reply_sent,
    hes.ReplyPostponed: _reply_postponed,
    hes.ReplyDeadLetter: _reply_dead_letter,
    hes.MeterDone: _meter_done,
    hes.Apdu: _apdu,
    hes.Notification: _notification,
    hes.DialledIn: _dialled_in,
    hes.Dropped: _dropped,
    hes.NotProved: _not_proved,
    meter.Association: _association,
    meter.Discarded: _discarded,
    meter.Switched: _switched,
}

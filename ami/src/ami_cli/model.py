"""What the demo knows: the events of all processes, put together into requests, steps, meter states and totals.

Pure: `Model.apply` takes one event and the time it was heard at, changes the model and returns the steps that a person
would tell ("the HES told M1001 to disconnect: it was connected, it is disconnected, 12 ms"). Processes speak through
pipes of their own, so the CIS may be heard before the HES that it waited for: nothing here depends on that order.

A command counts as confirmed only if three agree: the CIS took a reply OK without errors, the HES reports the meter's
action-result success, and the state which it read back is the one that was asked for. Of a request that the CIS has never
spoken of, somebody else's, only the HES tells; it is shown like the others and counted beside them.
"""

import copy
import statistics
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ami_cli.heard import CONTROL_NAMES, OTHER, Happening, Octets, Outcome, Request, Step, Work
from ami_cli.totals import Summary, Tally

Event = Mapping[str, Any]

STATE_WORDS = {0: "disconnected", 1: "connected", 2: "ready for reconnection"}
NO_ANSWER = "no answer"
METHODS: dict[tuple[object, object], str] = {(70, 1): "remote_disconnect", (70, 2): "remote_reconnect"}
KEPT = 200


@dataclass(slots=True)
class Model:
    """All that has been heard so far."""

    meters: tuple[str, ...]
    started_at: datetime
    states: dict[str, str] = field(default_factory=dict)
    requests: dict[str, Request] = field(default_factory=dict)
    steps: deque[Step] = field(default_factory=lambda: deque(maxlen=KEPT))
    wire: deque[Octets] = field(default_factory=lambda: deque(maxlen=KEPT))
    happenings: deque[Happening] = field(default_factory=lambda: deque(maxlen=KEPT))
    _past: Tally = field(default_factory=Tally)
    """Those that are no longer in `requests`."""
    _unnamed: int = 0

    def apply(self, role: str, event: Event, at: datetime) -> tuple[Step, ...]:
        """Take one event of a process of this role ("cis", "hes", "meter") into account."""
        handler = HANDLERS.get((role, str(event.get("event"))))
        steps = tuple(handler(self, event, at)) if handler else ()
        self.steps.extend(steps)
        return steps

    @property
    def newest_first(self) -> list[Request]:
        """The requests, newest first."""
        return list(reversed(self.requests.values()))

    @property
    def finished(self) -> int:
        """How many requests of the demo have their reply, or their failure."""
        return self._past.requests + sum(r.own and r.result is not None for r in self.requests.values())

    @property
    def settled(self) -> bool:
        """Nothing is missing of any finished request: every meter of an OK reply has been heard of."""
        return all(r.result != "OK" or len(r.work) >= len(r.meters) for r in self.requests.values())

    def count(self, word: str) -> int:
        """How many meters are in this state."""
        return sum(state == word for state in self.states.values())

    def summary(self) -> Summary:
        """The totals; a request that is still running counts as neither good nor bad."""
        tally = copy.deepcopy(self._past)
        for request in self.requests.values():
            if request.result is not None or not request.own:
                tally.add(request)
        return Summary(
            cycles=min(tally.fulfilled[name] for name in CONTROL_NAMES.values()),
            requests=tally.requests,
            confirmed_commands=tally.confirmed_commands,
            commands=tally.commands,
            unfulfilled=tally.requests - tally.fulfilled.total(),
            running=sum(r.own and r.result is None for r in self.requests.values()),
            median_ms=statistics.median(tally.took) if tally.took else None,
            max_ms=max(tally.took, default=None),
            counts=dict(tally.fulfilled),
            others=dict(tally.others),
        )

    def request(self, message_id: str, at: datetime) -> Request:
        """The request of this MessageID; the HES may be heard of it before the CIS is."""
        if message_id not in self.requests and len(self.requests) >= KEPT:
            self._forget_oldest()
        return self.requests.setdefault(message_id, Request(message_id=message_id, sent_at=at))

    def unnamed(self) -> str:
        """What stands for the MessageID of a message that has none."""
        self._unnamed += 1
        return f"no MessageID ({self._unnamed})"

    def own_request(self, message_id: str, at: datetime) -> Request:
        """A request that the CIS speaks of, so it is the demo's own, whatever was thought of it before."""
        request = self.request(message_id, at)
        if not request.own:
            request.own = True
            theirs = [one for one in self.steps if one.message_id == message_id and OTHER in (one.source, one.target)]
            for step in theirs:
                self.steps.remove(step)
        return request

    def _forget_oldest(self) -> None:
        """The oldest that has ended; if none has, the oldest of others, for their number is not the demo's to choose."""
        ended = (one for one in self.requests.values() if one.result is not None)
        theirs = (one for one in self.requests.values() if not one.own)
        oldest = next(ended, None) or next(theirs, None)
        if oldest is not None:
            self._past.add(self.requests.pop(oldest.message_id))


def state_word(state: Any) -> str:
    """The word for a disconnect control's state; empty when it is not known."""
    if not isinstance(state, Mapping):
        return ""
    return STATE_WORDS.get(state.get("control_state", -1), "")


def _request_sent(model: Model, event: Event, at: datetime) -> list[Step]:
    request = model.own_request(_id(event), at)
    request.verb, request.noun = str(event.get("verb", "")), str(event.get("noun", ""))
    request.code, request.asynchronous = str(event.get("code", "")), bool(event.get("asynchronous"))
    request.meters, request.sent_at = tuple(event.get("meters", ())), at
    said = f"{request.verb} {request.noun}: {request.what.lower()} {_names(request.meters)}"
    return [_step(request, at, "CIS", "HES", said, cim=request.code)]


def _acknowledged(model: Model, event: Event, at: datetime) -> list[Step]:
    request = model.own_request(_id(event), at)
    request.acknowledged = True
    return [_step(request, at, "HES", "CIS", "acknowledged: the reply comes later", cim="0.3")]


def _reply_received(model: Model, event: Event, at: datetime) -> list[Step]:
    request = model.own_request(_id(event), at)
    reasons = tuple(_error(error) for error in event.get("errors") or ())
    request.received = Outcome(str(event.get("result", "FAILED")), event.get("ms"), reasons)
    return [_ending(request, at, "HES", "CIS", "reply", request.received)]


def _request_failed(model: Model, event: Event, at: datetime) -> list[Step]:
    request = model.own_request(_id(event), at)
    request.received = Outcome("FAILED", reasons=(str(event.get("reason", "")),))
    return [_ending(request, at, "CIS", "HES", "no reply", request.received)]


def _request_accepted(model: Model, event: Event, at: datetime) -> list[Step]:
    """Kept for now: only what follows can tell whether the CIS has sent it."""
    request = model.request(_id(event), at)
    request.accepted = True
    if not request.own:
        request.code, request.meters = str(event.get("code", "")), tuple(event.get("meters", ()))
        request.sent_at, request.sent = at, None
    return []


def _request_refused(model: Model, event: Event, at: datetime) -> list[Step]:
    """Refused, or not even read. Somebody may also have used the MessageID of a request that goes on."""
    request = model.request(_id(event) or model.unnamed(), at)
    errors = event.get("errors") or ({"code": event.get("code") or event.get("status"), "reason": event.get("reason")},)
    refusal = Outcome("FAILED", reasons=tuple(_error(error) for error in errors))
    if request.own:
        return []  # the CIS will tell what it was answered
    if not request.accepted:
        request.sent = refusal
    request.announced = True
    return [_ending(request, at, "HES", OTHER, "refused", refusal)]


def _reply_sent(model: Model, event: Event, at: datetime) -> list[Step]:
    request = model.request(_id(event), at)
    request.sent = Outcome(str(event.get("result", "FAILED")), event.get("ms"))
    request.asynchronous = request.asynchronous or bool(event.get("asynchronous"))
    return [] if request.own else [*_announced(request), _ending(request, at, "HES", OTHER, "reply", request.sent)]


def _reply_postponed(model: Model, event: Event, at: datetime) -> list[Step]:
    request = model.request(_id(event), at)
    reason = str(event.get("reason", ""))
    target = "CIS" if request.own else OTHER
    request.sent = _worked(request, f"the reply is not delivered yet: {reason}")
    return [*_announced(request), _step(request, at, "HES", target, "reply not delivered yet", note=reason)]


def _worked(request: Request, note: str) -> Outcome | None:
    """What the reply says that nobody has taken: how it went with all of the meters; None as long as one is not heard of."""
    if not request.meters or not request.work.keys() >= set(request.meters):
        return None
    good = [request.work[meter].ok for meter in request.meters]
    return Outcome("OK" if all(good) else "PARTIAL" if any(good) else "FAILED", reasons=(note,))


def _reply_dead_letter(model: Model, event: Event, at: datetime) -> list[Step]:
    """The work is done, but whoever asked for it will not hear of it."""
    request = model.request(_id(event), at)
    request.sent = Outcome("FAILED", reasons=(f"the reply could not be delivered: {event.get('reason', '')}",))
    target = "CIS" if request.own else OTHER
    return [*_announced(request), _ending(request, at, "HES", target, "reply given up", request.sent)]


def _announced(request: Request) -> list[Step]:
    """The step that tells of a request of somebody else, once."""
    if request.own or request.announced:
        return []
    request.announced = True
    said = f"{request.what.lower()} {_names(request.meters)}"
    return [_step(request, request.sent_at, OTHER, "HES", said, cim=request.code)]


def _step(request: Request, at: datetime, source: str, target: str, said: str, **more: Any) -> Step:
    return Step(at=at, source=source, target=target, said=said, message_id=request.message_id, **more)


def _ending(request: Request, at: datetime, source: str, target: str, said: str, how: Outcome) -> Step:
    note = _shortened(how.reasons)
    return _step(request, at, source, target, said, ms=how.ms, outcome=how.result, note=note)


def _meter_done(model: Model, event: Event, at: datetime) -> list[Step]:
    request, work = model.request(_id(event), at), _work(event)
    request.work[work.meter] = work
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


def _work(event: Event) -> Work:
    class_id, method = event.get("class_id"), event.get("method")
    return Work(
        meter=str(event.get("meter", "")),
        class_id=class_id,
        obis=str(event.get("obis") or ""),
        method=METHODS.get((class_id, method), str(method or event.get("control") or "")),
        before=state_word(event.get("before")),
        after=state_word(event.get("after")),
        action_result=str(event.get("action_result") or ""),
        ok=event.get("ok") is True,
        reply_code=str(event.get("reply_code") or ""),
        reason=str(event.get("reason") or "").removeprefix(f"{event.get('meter')}: "),
        ms=event.get("ms"),
    )


def _apdu(model: Model, event: Event, at: datetime) -> list[Step]:
    outgoing = event.get("direction") == "request"
    model.wire.append(
        Octets(
            str(event.get("meter", "")),
            outgoing,
            str(event.get("name", "")),
            str(event.get("hex", "")),
            event.get("ms"),
        )
    )
    return []


_SERVICES = {"event-notification": "EventNotification", "information-report": "InformationReport"}


def _notification(model: Model, event: Event, at: datetime) -> list[Step]:
    who = str(event.get("meter") or event.get("system_title") or event.get("peer") or "")
    service = _SERVICES.get(str(event.get("service")), "DataNotification")
    text = f"{service} over {str(event.get('transport', '')).upper()}"
    model.happenings.append(Happening(at, text, who))
    return [Step(at=at, source=who or "meter", target="HES", said=text)]


def _dialled_in(model: Model, event: Event, at: datetime) -> list[Step]:
    meter = str(event.get("meter") or event.get("peer") or "")
    model.happenings.append(Happening(at, "dialled in", meter))
    return [Step(at=at, source=meter, target="HES", said=f"dialled in from {event.get('peer', '')}")]


def _association(model: Model, event: Event, at: datetime) -> list[Step]:
    if event.get("what") == "refused":
        model.happenings.append(
            Happening(at, f"refused an association: {event.get('reason', '')}", str(event.get("meter", "")), alarm=True)
        )
    return []


def _discarded(model: Model, event: Event, at: datetime) -> list[Step]:
    who = str(event.get("meter") or event.get("peer") or "")
    model.happenings.append(Happening(at, f"discarded: {event.get('reason', '')}", who, alarm=True))
    return []


def _dropped(model: Model, event: Event, at: datetime) -> list[Step]:
    who = str(event.get("meter") or event.get("peer") or "")
    model.happenings.append(Happening(at, f"dropped by the HES: {event.get('reason', '')}", who, alarm=True))
    return []


def _not_proved(model: Model, event: Event, at: datetime) -> list[Step]:
    who = str(event.get("meter") or event.get("peer") or "")
    model.happenings.append(Happening(at, f"did not prove its keys: {event.get('reason', '')}", who, alarm=True))
    return []


def _switched(model: Model, event: Event, at: datetime) -> list[Step]:
    after = state_word(event.get("after"))
    model.happenings.append(Happening(at, after or "switched", str(event.get("meter", ""))))
    return []


def _ended(model: Model, event: Event, at: datetime) -> list[Step]:
    model.happenings.append(
        Happening(at, f"ended with exit code {event.get('exit_code')}", str(event.get("name", "")), alarm=True)
    )
    return []


def _id(event: Event) -> str:
    return str(event.get("message_id") or "")


def _error(error: Any) -> str:
    if not isinstance(error, Mapping):
        return str(error)
    meter, reason = str(error.get("meter") or ""), str(error.get("reason") or "")
    reason = reason.removeprefix(f"{meter}: ")
    return " ".join(part for part in (meter, str(error.get("code") or ""), reason) if part)


def _shortened(reasons: tuple[str, ...], most: int = 2) -> str:
    more = len(reasons) - most
    return "; ".join(reasons[:most]) + (f"; and {more} more" if more > 0 else "")


def _names(meters: tuple[str, ...]) -> str:
    return ", ".join(meters) if len(meters) <= 4 else f"{len(meters)} meters"


HANDLERS: dict[tuple[str, str], Callable[[Model, Event, datetime], list[Step]]] = {
    ("cis", "request_sent"): _request_sent,
    ("cis", "acknowledged"): _acknowledged,
    ("cis", "reply_received"): _reply_received,
    ("cis", "request_failed"): _request_failed,
    ("cis", "request_unknown"): _request_failed,
    ("hes", "request_accepted"): _request_accepted,
    ("hes", "request_refused"): _request_refused,
    ("hes", "request_unreadable"): _request_refused,
    ("hes", "reply_sent"): _reply_sent,
    ("hes", "reply_postponed"): _reply_postponed,
    ("hes", "reply_dead_letter"): _reply_dead_letter,
    ("hes", "meter_done"): _meter_done,
    ("hes", "apdu"): _apdu,
    ("hes", "notification"): _notification,
    ("hes", "dialled_in"): _dialled_in,
    ("hes", "dropped"): _dropped,
    ("hes", "not_proved"): _not_proved,
    ("meter", "association"): _association,
    ("meter", "discarded"): _discarded,
    ("meter", "switched"): _switched,
    ("ami", "ended"): _ended,
}

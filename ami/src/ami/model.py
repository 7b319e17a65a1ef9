"""What the demo knows: the events of all processes, put together into requests, steps, meter states and totals.

Pure: `Model.apply` takes one event and the time it was heard at, changes the model and returns the steps that a person
would tell ("the HES told M1001 to disconnect: it was connected, it is disconnected, 12 ms"). Processes speak through
pipes of their own, so the CIS may be heard before the HES that it waited for: nothing here depends on that order.

A command counts as confirmed only if three agree: the CIS took a reply OK without errors, the HES reports the meter's
action-result success, and the state which it read back is the one that was asked for.
"""

import copy
import statistics
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Event = Mapping[str, Any]

DISCONNECT, CONNECT = "3.31.0.23", "3.31.0.18"
WANTED = {DISCONNECT: ("disconnected",), CONNECT: ("connected", "ready for reconnection")}
"""Control code -> the states that fulfil it; a connect may leave the last step to the customer (control modes 1, 3, 5, 6)."""
CONTROL_NAMES = {DISCONNECT: "Disconnect", CONNECT: "Connect"}
STATE_WORDS = {0: "disconnected", 1: "connected", 2: "ready for reconnection"}
NO_ANSWER = "no answer"
METHODS: dict[tuple[object, object], str] = {(70, 1): "remote_disconnect", (70, 2): "remote_reconnect"}
KEPT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one meter was told for one request, and what became of it (`meter_done` of the HES)."""

    meter: str
    class_id: int | None
    obis: str
    method: str
    before: str
    after: str
    action_result: str
    ok: bool
    reply_code: str
    reason: str
    ms: float | None

    @property
    def cosem(self) -> str:
        """Class and object, as a COSEM engineer writes them."""
        return f"{self.class_id} {self.obis}" if self.class_id else ""


@dataclass(slots=True, kw_only=True)
class Request:
    """One CIM request of the CIS, from sent to answered."""

    message_id: str
    verb: str = ""
    noun: str = ""
    code: str = ""
    meters: tuple[str, ...] = ()
    asynchronous: bool = False
    sent_at: datetime
    acknowledged: bool = False
    result: str | None = None
    reasons: tuple[str, ...] = ()
    ms: float | None = None
    work: dict[str, Work] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """OK, PARTIAL, FAILED or RUNNING."""
        return self.result or "RUNNING"

    @property
    def what(self) -> str:
        """The control in words."""
        return CONTROL_NAMES.get(self.code) or f"{self.verb} {self.noun}".strip()

    @property
    def confirmed(self) -> tuple[str, ...]:
        """The meters that demonstrably did what was asked for; none before the reply."""
        if self.result not in ("OK", "PARTIAL"):
            return ()
        wanted = WANTED.get(self.code)
        did = [w.meter for w in self.work.values() if w.ok and (wanted is None or w.after in wanted)]
        return tuple(name for name in did if name in self.meters)

    @property
    def fulfilled(self) -> bool:
        """Every meter confirmed, and the reply says just that."""
        return (
            self.result == "OK" and not self.reasons and bool(self.meters) and len(self.confirmed) == len(self.meters)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that somebody said to somebody."""

    at: datetime
    source: str
    target: str
    said: str
    message_id: str = ""
    cim: str = ""
    cosem: str = ""
    before: str = ""
    after: str = ""
    ms: float | None = None
    outcome: str = ""
    """OK, PARTIAL, FAILED, or empty for a step that has no outcome of its own."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Octets:
    """One framed APDU, as the HES sent or received it."""

    meter: str
    outgoing: bool
    name: str
    hex: str
    ms: float | None


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that nobody asked for: a push, a meter dialling in, a refused association."""

    at: datetime
    text: str
    who: str
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """What the demo came to."""

    cycles: int
    requests: int
    confirmed_commands: int
    commands: int
    unfulfilled: int
    running: int
    median_ms: float | None
    max_ms: float | None
    counts: Mapping[str, int]
    """Fulfilled requests by control name."""

    @property
    def all_confirmed(self) -> bool:
        """Every request that was answered is fulfilled."""
        return self.unfulfilled == 0


@dataclass(slots=True)
class Tally:
    """Finished requests, counted."""

    requests: int = 0
    fulfilled: Counter[str] = field(default_factory=Counter)
    confirmed_commands: int = 0
    commands: int = 0
    took: list[float] = field(default_factory=list)

    def add(self, request: Request) -> None:
        """Count one more."""
        self.requests += 1
        self.fulfilled[request.what] += request.fulfilled
        self.confirmed_commands += len(request.confirmed)
        self.commands += len(request.meters)
        if request.ms is not None:
            self.took.append(request.ms)


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
        """How many requests have their reply, or their failure."""
        return self._past.requests + sum(request.result is not None for request in self.requests.values())

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
            if request.result is not None:
                tally.add(request)
        return Summary(
            cycles=min(tally.fulfilled[name] for name in CONTROL_NAMES.values()),
            requests=tally.requests,
            confirmed_commands=tally.confirmed_commands,
            commands=tally.commands,
            unfulfilled=tally.requests - tally.fulfilled.total(),
            running=sum(request.result is None for request in self.requests.values()),
            median_ms=statistics.median(tally.took) if tally.took else None,
            max_ms=max(tally.took, default=None),
            counts=dict(tally.fulfilled),
        )

    def request(self, message_id: str, at: datetime) -> Request:
        """The request of this MessageID; the HES may be heard of it before the CIS is."""
        if message_id not in self.requests and len(self.requests) >= KEPT:
            self._forget_oldest()
        return self.requests.setdefault(message_id, Request(message_id=message_id, sent_at=at))

    def _forget_oldest(self) -> None:
        oldest = next(iter(self.requests.values()))
        if oldest.result is not None:
            self._past.add(self.requests.pop(oldest.message_id))


def state_word(state: Any) -> str:
    """The word for a disconnect control's state; empty when it is not known."""
    if not isinstance(state, Mapping):
        return ""
    return STATE_WORDS.get(state.get("control_state", -1), "")


def _request_sent(model: Model, event: Event, at: datetime) -> list[Step]:
    request = model.request(_id(event), at)
    request.verb, request.noun = str(event.get("verb", "")), str(event.get("noun", ""))
    request.code, request.asynchronous = str(event.get("code", "")), bool(event.get("asynchronous"))
    request.meters, request.sent_at = tuple(event.get("meters", ())), at
    said = f"{request.verb} {request.noun}: {request.what.lower()} {_names(request.meters)}"
    return [Step(at=at, source="CIS", target="HES", said=said, message_id=request.message_id, cim=request.code)]


def _acknowledged(model: Model, event: Event, at: datetime) -> list[Step]:
    request = model.request(_id(event), at)
    request.acknowledged = True
    return [
        Step(
            at=at,
            source="HES",
            target="CIS",
            said="acknowledged: the reply comes later",
            message_id=request.message_id,
            cim="0.3",
        )
    ]


def _reply_received(model: Model, event: Event, at: datetime) -> list[Step]:
    request = model.request(_id(event), at)
    request.result, request.ms = str(event.get("result", "FAILED")), event.get("ms")
    request.reasons = tuple(_error(error) for error in event.get("errors") or ())
    return [
        Step(
            at=at,
            source="HES",
            target="CIS",
            said="reply",
            message_id=request.message_id,
            ms=request.ms,
            outcome=request.result,
            note=_shortened(request.reasons),
        )
    ]


def _request_failed(model: Model, event: Event, at: datetime) -> list[Step]:
    request = model.request(_id(event), at)
    reason = str(event.get("reason", ""))
    request.result, request.reasons = "FAILED", (reason,)
    return [
        Step(
            at=at,
            source="CIS",
            target="HES",
            said="no reply",
            message_id=request.message_id,
            outcome="FAILED",
            note=reason,
        )
    ]


def _meter_done(model: Model, event: Event, at: datetime) -> list[Step]:
    request, work = model.request(_id(event), at), _work(event)
    request.work[work.meter] = work
    if word := work.after or (NO_ANSWER if not work.ok and not work.before else ""):
        model.states[work.meter] = word
    return [
        Step(
            at=at,
            source="HES",
            target=work.meter,
            said=work.method,
            message_id=request.message_id,
            cosem=work.cosem,
            before=work.before,
            after=work.after,
            ms=work.ms,
            outcome="OK" if work.ok else "FAILED",
            note="" if work.ok else f"{work.reply_code} {work.reason}".strip(),
        )
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


def _notification(model: Model, event: Event, at: datetime) -> list[Step]:
    who = str(event.get("meter") or event.get("system_title") or event.get("peer") or "")
    text = f"DataNotification over {str(event.get('transport', '')).upper()}"
    model.happenings.append(Happening(at, text, who))
    return [Step(at=at, source=who or "meter", target="HES", said=text)]


def _dialled_in(model: Model, event: Event, at: datetime) -> list[Step]:
    meter = str(event.get("meter") or event.get("peer") or "")
    model.happenings.append(Happening(at, "Dialled in", meter))
    return [Step(at=at, source=meter, target="HES", said=f"dialled in from {event.get('peer', '')}")]


def _association(model: Model, event: Event, at: datetime) -> list[Step]:
    if event.get("what") == "refused":
        model.happenings.append(
            Happening(at, f"Association refused: {event.get('reason', '')}", str(event.get("meter", "")), alarm=True)
        )
    return []


def _discarded(model: Model, event: Event, at: datetime) -> list[Step]:
    who = str(event.get("meter") or event.get("peer") or "")
    model.happenings.append(Happening(at, f"Discarded: {event.get('reason', '')}", who, alarm=True))
    return []


def _switched(model: Model, event: Event, at: datetime) -> list[Step]:
    after = state_word(event.get("after"))
    text = f"Meter says: {after}" if after else "Meter switched"
    model.happenings.append(Happening(at, text, str(event.get("meter", ""))))
    return []


def _ended(model: Model, event: Event, at: datetime) -> list[Step]:
    model.happenings.append(
        Happening(at, f"Ended with exit code {event.get('exit_code')}", str(event.get("name", "")), alarm=True)
    )
    return []


def _id(event: Event) -> str:
    return str(event.get("message_id", ""))


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
    ("hes", "meter_done"): _meter_done,
    ("hes", "apdu"): _apdu,
    ("hes", "notification"): _notification,
    ("hes", "dialled_in"): _dialled_in,
    ("hes", "dropped"): _discarded,
    ("meter", "association"): _association,
    ("meter", "discarded"): _discarded,
    ("meter", "switched"): _switched,
    ("ami", "ended"): _ended,
}

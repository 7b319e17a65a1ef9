"""What was observed of a running system: requests and the work on them, steps, octets, incidents. Values only."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

DISCONNECT, CONNECT = "3.31.0.23", "3.31.0.18"
WANTED = {DISCONNECT: ("disconnected",), CONNECT: ("connected", "ready for reconnection")}
"""Control code -> the states that fulfil it; a connect may leave the last step to the customer (control modes 1, 3, 5, 6)."""
CONTROL_NAMES = {DISCONNECT: "Disconnect", CONNECT: "Connect"}
READ = "Read"
READ_METER = "read_meter"
"""The HES's operation that reads values."""
OTHER = "other"
"""A sender of requests to the HES other than the demo's CIS."""
UNNAMED = "no MessageID"
"""In place of the MessageID of a message that has none."""
HEAD_END = "HES"
"""Who begins campaigns and the runs of schedules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one meter was sent for one request, and what became of it (`meter_done` of the HES)."""

    meter: str
    class_id: int | None = None
    obis: str = ""
    method: str
    before: str = ""
    after: str = ""
    action_result: str = ""
    ok: bool
    reply_code: str
    reason: str
    ms: float | None

    @property
    def cosem(self) -> str:
        """Class and object, as a COSEM engineer writes them."""
        return f"{self.class_id} {self.obis}" if self.class_id else ""

    @property
    def failure(self) -> str:
        """Which meter, which reply code, and why, in a line."""
        return " ".join(part for part in (self.meter, self.reply_code, self.reason) if part)


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """How a request ended."""

    result: str
    ms: float | None = None
    reasons: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Request:
    """One CIM request, from sent to answered: the demo's own, or somebody else's that only the HES speaks of."""

    message_id: str
    verb: str = ""
    noun: str = ""
    code: str = ""
    meters: tuple[str, ...] = ()
    asynchronous: bool = False
    sent_at: datetime
    own: bool = False
    """The CIS of the demo has sent it. The HES may be heard of it before, so at first it is unknown."""
    accepted: bool = False
    announced: bool = False
    """There is a step that tells of it."""
    acknowledged: bool = False
    received: RequestOutcome | None = None
    """What the CIS took for the reply."""
    sent: RequestOutcome | None = None
    """What the HES says that it has answered."""
    values_shown: bool = False
    """Of a reading: what it brought has been reported, which comes after its reply."""
    work: dict[str, Work] = field(default_factory=dict)
    """By meter; of a large request that is only watched, what is not as it should be and no more."""
    refusal: tuple[str, ...] = ()
    """What of it was refused before anything was done, and why."""
    title: str = ""
    """What it is about, where that does not follow from its verb, noun and code."""
    source: str = ""
    """What its message says who has sent it."""
    expected: int = 0
    """How many meters it is for, where they are not named."""
    counted: tuple[int, int] | None = None
    """How many of its meters are done, and well, where the HES has counted them."""

    @property
    def outcome(self) -> RequestOutcome | None:
        """For the demo's own request what the CIS received counts, for any other what the HES sent; where nobody is answered, what came of the work."""
        return self.received if self.own else self.sent or self._worked

    @property
    def failures(self) -> tuple[str, ...]:
        """Each meter that failed, with the reply code and the reason."""
        return tuple(one.failure for one in self.work.values() if not one.ok)

    @property
    def by_itself(self) -> bool:
        """Whether the HES has begun it by itself: there is work, and no message that it was asked by."""
        return not self.own and not self.accepted and bool(self.work or self.expected)

    @property
    def _worked(self) -> RequestOutcome | None:
        if not self.by_itself or len(self.work) < max(self.expected, 1):
            return None
        reasons = self.failures
        some = len(self.work) > len(reasons)
        return RequestOutcome("OK" if not reasons else "PARTIAL" if some else "FAILED", reasons=reasons)

    @property
    def has_trace(self) -> bool:
        """Whether it is kept: of what is refused before that there is no trace."""
        return self.accepted or self.own or self.by_itself

    @property
    def sender(self) -> str:
        """Who has asked for it, where that is not the CIS of the demo."""
        return "" if self.own else HEAD_END if self.by_itself else self.source or OTHER

    @property
    def size(self) -> int:
        """How many meters it is for."""
        return len(self.meters) or max(self.expected, len(self.work))

    @property
    def good(self) -> int:
        """How many meters did what was asked for."""
        if self.counted is not None:
            return self.counted[1]
        return sum(one.ok for one in self.work.values()) if self.by_itself else len(self.confirmed)

    @property
    def result(self) -> str | None:
        """OK, PARTIAL or FAILED."""
        return self.outcome.result if self.outcome else None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not OK."""
        return self.outcome.reasons if self.outcome else ()

    @property
    def ms(self) -> float | None:
        """From request to reply, as measured by the process that reports the outcome."""
        return self.outcome.ms if self.outcome else None

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be heard of it."""
        return self.result is not None and (self.values_shown or not self.is_read)

    @property
    def status(self) -> str:
        """OK, PARTIAL, FAILED or RUNNING."""
        return self.result or "RUNNING"

    @property
    def is_read(self) -> bool:
        """Whether it asks for values and changes nothing."""
        return (self.verb, self.noun) == ("get", "MeterReadings")

    @property
    def is_counted(self) -> bool:
        """Whether it is one of the kinds that the demo itself sends; a schedule that somebody orders at its CIS is none of them."""
        return self.own and (self.noun == "EndDeviceControls" or self.is_read)

    @property
    def what(self) -> str:
        """The control in words."""
        return (
            self.title
            or CONTROL_NAMES.get(self.code)
            or (READ if self.is_read else "")
            or f"{self.verb} {self.noun}".strip()
            or self._operation
            or "refused"
        )

    @property
    def _operation(self) -> str:
        """What the HES does at meters by itself."""
        method = next((one.method for one in self.work.values()), "") if self.by_itself else ""
        return READ if method == READ_METER else method

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
    """One message from one participant to another."""

    at: datetime
    source: str
    target: str
    text: str
    message_id: str = ""
    cim: str = ""
    cosem: str = ""
    before: str = ""
    after: str = ""
    ms: float | None = None
    outcome: str = ""
    """OK, PARTIAL, FAILED, or empty for a step that has no outcome of its own."""
    note: str = ""
    """What went wrong."""
    remark: str = ""
    """What is said of what went well."""


@dataclass(slots=True)
class Octets:
    """One APDU, as the HES sent or received it. What it says is worked out when it is looked at, which most are not."""

    meter: str
    outgoing: bool
    name: str
    hex: str
    ms: float | None
    explain: Callable[[], str] | None = field(default=None, repr=False)
    _words: str = ""

    @property
    def words(self) -> str:
        """The APDU in words: its service, the object with class and OBIS code, what came of it; its name where nothing more is known."""
        if self.explain is not None:
            self._words, self.explain = self.explain(), None
        return self._words or self.name


@dataclass(frozen=True, slots=True)
class Happening:
    """Something unsolicited: a push, a meter dialling in, a refused association. `who` did what `text` says."""

    at: datetime
    text: str
    who: str
    alarm: bool = False

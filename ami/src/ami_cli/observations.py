"""What the demo has observed of its processes: requests and the work on them, steps, octets, incidents. Values only."""

from dataclasses import dataclass, field
from datetime import datetime

DISCONNECT, CONNECT = "3.31.0.23", "3.31.0.18"
WANTED = {DISCONNECT: ("disconnected",), CONNECT: ("connected", "ready for reconnection")}
"""Control code -> the states that fulfil it; a connect may leave the last step to the customer (control modes 1, 3, 5, 6)."""
CONTROL_NAMES = {DISCONNECT: "Disconnect", CONNECT: "Connect"}
READ = "Read"
OTHER = "other"
"""A sender of requests to the HES other than the demo's CIS."""


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

    @property
    def outcome(self) -> RequestOutcome | None:
        """For the demo's own request what the CIS received counts, for any other what the HES sent."""
        return self.received if self.own else self.sent

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
            CONTROL_NAMES.get(self.code)
            or (READ if self.is_read else "")
            or f"{self.verb} {self.noun}".strip()
            or "refused"
        )

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
    """Something unsolicited: a push, a meter dialling in, a refused association. `who` did what `text` says."""

    at: datetime
    text: str
    who: str
    alarm: bool = False

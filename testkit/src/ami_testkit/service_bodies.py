"""What the REST API of the kit takes and gives."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from ami_testkit.border.border import Passed
from ami_testkit.border.kinds import Leg
from ami_testkit.journal import Apdu
from ami_testkit.messages import Message
from ami_testkit.options import MOST_METERS, START
from ami_testkit.system import System

MOST_WAIT_S = 60.0
ModelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_./-]{1,100}$")]


class _Taken(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Given(BaseModel):
    model_config = ConfigDict(frozen=True)


class SystemOrder(_Taken):
    """How a system shall be: as `ami()` (testkit/README.md)."""

    meters: int = Field(default=10, ge=1, le=MOST_METERS)
    pack: ModelName | None = None
    seed: int | Annotated[str, StringConstraints(max_length=200)] = 0
    faults: tuple[dict[str, Any], ...] = Field(default=(), max_length=100)
    clock: Literal["virtual", "real"] = "virtual"
    start: AwareDatetime = START
    replies_to: Annotated[str, StringConstraints(pattern=r"^https?://", max_length=500)] | None = None
    tls: bool = False


class SystemEntry(_Given):
    """Where a system is. The meters themselves are asked at `simulator_url`, with its token (docs/howto/control-simulator.md)."""

    id: str
    hes_url: str
    """Where a CIS asks: the border; CIM is at `/cim` and below."""
    late_url: str
    """Its ReplyAddress."""
    authority: str | None
    """Of a border with TLS: the file of who signs its certificate."""
    hes_api_url: str
    hes_token: str | None
    simulator_url: str
    simulator_token: str | None
    now: datetime
    meters: int

    @classmethod
    def of(cls, identifier: str, system: System) -> Self:
        rest, simulator = system.hes.rest, system.simulator
        return cls(
            id=identifier,
            hes_url=system.hes.url,
            late_url=system.border.late_url,
            authority=system.border.authority if system.options.tls else None,
            hes_api_url=rest.url,
            hes_token=rest.token,
            simulator_url=simulator.url,
            simulator_token=simulator.token,
            now=system.clock.now,
            meters=len(system.meters),
        )


class ClockStep(_Taken):
    """How far the clock moves: to a moment, or forward by a number of seconds; `step_s` at a time."""

    to: AwareDatetime | None = None
    advance_s: float | None = Field(default=None, ge=0, le=10_000_000, allow_inf_nan=False)
    step_s: float = Field(default=900.0, gt=0, le=10_000_000, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.to is None) == (self.advance_s is None):
            raise ValueError("say either to or advance_s")
        return self

    def move(self, system: System) -> datetime:
        """The new time."""
        end = self.to or system.clock.now + timedelta(seconds=self.advance_s or 0)
        return system.clock.move_to(end, step=timedelta(seconds=self.step_s))


class Now(_Given):
    """What time it is in a system."""

    now: datetime
    virtual: bool


class SeenMessage(_Given):
    """A message: what its header, its Reply and its payload say, and its octets as text."""

    verb: str | None
    noun: str | None
    message_id: str | None
    correlation_id: str | None
    result: str | None
    codes: dict[str, str]
    """By the meter that they are about."""
    problem: str | None
    """Why it is no message, or what its schema has against it."""
    summary: str
    text: str

    @classmethod
    def of(cls, message: Message) -> Self:
        named = {
            name: getattr(message, name) for name in ("verb", "noun", "message_id", "correlation_id", "result", "codes")
        }
        text = message.octets.decode("utf-8", "replace")
        return cls(**named, problem=message.schema_problem, summary=message.summary(), text=text)


class PassedMessage(_Given):
    """A message at the border; `went` is its text as it went on where that is another, and `lost` that it did not."""

    at: datetime
    leg: Leg
    faults: tuple[str, ...]
    came: SeenMessage
    went: str | None
    lost: bool

    @classmethod
    def of(cls, one: Passed) -> Self:
        changed = one.went is not None and one.went.octets != one.came.octets
        went = one.went.octets.decode("utf-8", "replace") if one.went is not None and changed else None
        return cls(
            at=one.at, leg=one.leg, faults=one.faults, came=SeenMessage.of(one.came), went=went, lost=one.went is None
        )


class SeenApdu(_Given):
    """An APDU, in hex."""

    at: datetime
    meter: str | None
    direction: str
    octets: str
    clear: str | None
    words: str

    @classmethod
    def of(cls, one: Apdu) -> Self:
        clear = None if one.clear is None else one.clear.hex()
        return cls(
            at=one.at, meter=one.meter, direction=one.direction, octets=one.octets.hex(), clear=clear, words=one.words
        )


class ExpectedReply(_Taken):
    """One late reply `to` this MessageID, with this result and all these codes by meter."""

    to: str | None = None
    result: Literal["OK", "PARTIAL", "FAILED"] | None = None
    codes: dict[str, str] | None = None
    noun: str | None = None
    xpath: str | None = Field(default=None, max_length=1000)
    within_s: float = Field(default=10.0, ge=0, le=MOST_WAIT_S)


class ExpectedMessages(_Taken):
    """At least `count` messages of this noun and verb in which the XPath finds something."""

    noun: str | None = None
    verb: str | None = None
    xpath: str | None = Field(default=None, max_length=1000)
    count: int = Field(default=1, ge=1, le=10_000)
    within_s: float = Field(default=10.0, ge=0, le=MOST_WAIT_S)


class ExpectedDeviceEvent(_Taken):
    """An EndDeviceEvent of this code, whole or without the device type, of this meter."""

    code: str
    meter: str | None = None
    within_s: float = Field(default=10.0, ge=0, le=MOST_WAIT_S)


class ExpectedSwitch(_Taken):
    """The switch inside this meter."""

    meter: str
    connected: bool

"""What the API takes and gives, in JSON: no field of it is a secret or holds one, but for the keys of rows that are imported."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from ami_hes.api.moments import Moment
from ami_hes.registry import RowReport
from ami_hes.store import MeterState, StepResult, StoredCommissioning
from ami_hes.store.history import Backlog, CommandLine, DeliveryLine, RequestLine

MAX_ROWS = 1_000
MAX_LISTED = 1_000


class _Given(BaseModel):
    model_config = ConfigDict(frozen=True)


class ImportedRow(BaseModel):
    """A row of a shipment file: its columns, keys as hexadecimal digits or wrapped; and where it is, for the report."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    place: Annotated[str, Field(min_length=1, max_length=300)]
    columns: dict[str, Any] = Field(repr=False)


class MeterImport(BaseModel):
    """Rows to be kept, each for itself; `check`: nothing is kept, and the report is the same."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    rows: tuple[ImportedRow, ...] = Field(min_length=1, max_length=MAX_ROWS)
    check: bool = False


class RowResult(_Given):
    """What became of a row."""

    place: str
    meter: str | None
    outcome: Literal["accepted", "changed", "unchanged", "refused"]
    reason: str

    @classmethod
    def of(cls, report: RowReport) -> Self:
        return cls.model_validate(report._asdict() | {"outcome": str(report.outcome)})


class ImportReport(_Given):
    """One result for each row, in order."""

    rows: tuple[RowResult, ...]


class MeterLine(_Given):
    """A meter of a list."""

    name: str
    mrid: str
    address: str
    source: str
    tags: dict[str, str]
    state: MeterState


class MeterList(_Given):
    """Meters by name; `next` is what to ask for `after` to have more, where there are more."""

    meters: tuple[MeterLine, ...]
    total: int
    next: str | None


class Step(_Given):
    """A step of a commissioning: `done`, `left` where there was nothing to do, or `failed`; and what was seen."""

    step: str
    result: StepResult
    reason: str


class Commissioned(_Given):
    """What came of the latest commissioning of a meter, and the campaign that it was ordered by."""

    campaign: str
    changed_at: Moment
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, one: StoredCommissioning) -> Self:
        steps = tuple(Step(step=step, result=result, reason=reason) for step, result, reason in one.steps)
        return cls(campaign=one.request_id, changed_at=one.changed_at, steps=steps)


class MeterEntry(_Given):
    """A meter: its entry without secrets, what counts where the entry says nothing, which secrets are kept of it, and how far it is."""

    name: str
    mrid: str
    source: str
    entry: dict[str, Any]
    defaults: dict[str, Any]
    secrets: tuple[str, ...]
    state: MeterState
    commissioning: Commissioned | None = None


class GroupCounts(_Given):
    """The number of meters by tag and value."""

    groups: dict[str, dict[str, int]]


class RequestEntry(_Given):
    """A request, and how many of its meters are done, and well."""

    message_id: str
    verb: str
    noun: str
    source: str | None
    asynchronous: bool
    accepted_at: Moment
    deadline_at: Moment
    answered_at: Moment | None
    result: str | None
    meters: int
    done: int
    ok: int

    @classmethod
    def of(cls, line: RequestLine) -> Self:
        return cls.model_validate(line._asdict() | {"asynchronous": line.reply_address is not None})


class RequestList(_Given):
    """The latest requests first; `next` is what to ask for `before` to have older ones, where there may be some."""

    requests: tuple[RequestEntry, ...]
    next: str | None


class CommandEntry(_Given):
    """What was asked of one meter, and what came of it; unset as long as it has no end."""

    meter: str
    mrid: str
    operation: str
    lane: str
    ok: bool | None
    reply_code: str | None
    reason: str | None
    attempted: bool | None
    took_ms: float | None
    finished_at: Moment | None

    @classmethod
    def of(cls, line: CommandLine) -> Self:
        return cls.model_validate(line._asdict())


class DeliveryState(_Given):
    """A reply that its receiver has not taken so far; a dead letter since `given_up_at`."""

    message_id: str
    attempts: int
    first_failed_at: Moment
    last_reason: str
    given_up_at: Moment | None

    @classmethod
    def of(cls, line: DeliveryLine) -> Self:
        return cls.model_validate(line._asdict())


class RequestProblem(_Given):
    """What of a request was refused at once: no meter that is known was meant, or nothing that can be asked for."""

    code: str
    reason: str | None


PROBLEMS = TypeAdapter(tuple[RequestProblem, ...])
"""As rows of requests have them."""


class RequestDetails(_Given):
    """A request with all of its commands, and what of it was refused before there were any."""

    request: RequestEntry
    errors: tuple[RequestProblem, ...] = ()
    reply_address: str | None
    commands: tuple[CommandEntry, ...]
    delivery: DeliveryState | None


class Cancelled(_Given):
    """How many commands of a request were not begun, and are not any more; `waiting`: it waited for its time or for approval, all of it."""

    commands: int
    waiting: bool = False


class JobCounts(_Given):
    """What is not at its end: commands by lane, requests without an answer, replies that are owed or given up."""

    commands: dict[str, int]
    requests: int
    replies_owed: int
    dead_letters: int
    undelivered: tuple[DeliveryState, ...]

    @classmethod
    def of(cls, backlog: Backlog, undelivered: list[DeliveryLine]) -> Self:
        return cls.model_validate(backlog._asdict() | {"undelivered": [DeliveryState.of(one) for one in undelivered]})

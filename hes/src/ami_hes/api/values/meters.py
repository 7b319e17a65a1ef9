"""Meters of the registry as `/api/v1/meters` takes and gives them: no field is a secret or holds one, but for the keys of rows that are imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from ami_hes.api.values.moments import Moment
from ami_hes.enums import MeterState, StepResult

if TYPE_CHECKING:
    from ami_hes.registry import RowReport
    from ami_hes.store import StoredCommissioning


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

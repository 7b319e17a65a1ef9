"""`/api/v1/clock`: what time it is in a process, and the hand that moves a stepped clock on."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ami_process.api import ApiRefused, read_body
from ami_process.clocks import Clock, ClockError, SteppedClock

PATH = "/api/v1/clock"


class Step(BaseModel):
    """How far the clock moves: to a moment, or forward by a number of seconds."""

    model_config = ConfigDict(extra="forbid", strict=True)

    to: AwareDatetime | None = None
    advance_s: float | None = Field(default=None, ge=0, le=10_000_000, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.to is None) == (self.advance_s is None):
            raise ValueError("say either to or advance_s")
        return self


class ClockState(BaseModel):
    """What time it is: `mode` is real, scaled or stepped; of a stepped clock `next_due_at` is when the next sleeper wakes up."""

    mode: str
    now: AwareDatetime
    next_due_at: AwareDatetime | None = None


def clock_routes(clock: Clock) -> list[Route]:
    """GET says `mode`, `now`, and of a stepped clock when the next sleeper wakes up; POST moves a stepped one."""

    async def read(_: Request) -> Response:
        return JSONResponse(_described(clock))

    async def move(request: Request) -> Response:
        step = await read_body(request, Step)
        if not isinstance(clock, SteppedClock):
            reason = f'this clock is {clock.mode} and moves by itself; clock.mode = "stepped" makes one to be moved'
            raise ApiRefused(HTTPStatus.CONFLICT, reason)
        try:
            await clock.advance_to(step.to or clock.now() + timedelta(seconds=step.advance_s or 0))
        except ClockError as problem:
            raise ApiRefused(HTTPStatus.CONFLICT, str(problem)) from None
        return JSONResponse(_described(clock))

    return [Route(PATH, read, methods=["GET"]), Route(PATH, move, methods=["POST"])]


def _described(clock: Clock) -> dict[str, str | None]:
    about: dict[str, str | None] = {"mode": clock.mode, "now": _text(clock.now())}
    if isinstance(clock, SteppedClock):
        due_at = clock.next_due_at
        about["next_due_at"] = None if due_at is None else _text(due_at)
    return about


def _text(moment: datetime) -> str:
    return moment.isoformat()

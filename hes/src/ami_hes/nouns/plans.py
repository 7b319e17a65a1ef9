"""What planning and reporting hand on: plain values, the same for every noun."""

from dataclasses import dataclass

from ami_cim.message import ReplyError
from ami_hes.operations import Outcome


class Refused(Exception):
    """The whole request is refused before anything is done for it."""

    def __init__(self, *errors: ReplyError) -> None:
        super().__init__("; ".join(error.reason or error.code for error in errors))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Planned:
    """One control for one meter."""

    meter_name: str
    mrid: str
    control_code: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request asks for: a command a meter, and an error for everything in it that names no meter of ours."""

    commands: tuple[Planned, ...] = ()
    errors: tuple[ReplyError, ...] = ()


@dataclass(frozen=True, slots=True)
class Worked:
    """What came of one command."""

    mrid: str
    outcome: Outcome

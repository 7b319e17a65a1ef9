"""What planning and reporting hand on: plain values, the same for every noun."""

from dataclasses import dataclass

from ami_cim.message import Reply, ReplyError
from ami_cim.payloads import Payload
from ami_hes.commands import Command, Outcome


class Refused(Exception):
    """The whole request is refused before anything is done for it."""

    def __init__(self, *errors: ReplyError) -> None:
        super().__init__("; ".join(error.reason or error.code for error in errors))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request asks for: at most one command for each meter, and an error for everything that names no meter of ours."""

    commands: tuple[Command, ...] = ()
    errors: tuple[ReplyError, ...] = ()
    summary: str = ""
    """What is asked for, in a few words, for who reads the events."""


@dataclass(frozen=True, slots=True)
class Worked:
    """A command and what came of it."""

    command: Command
    outcome: Outcome


Report = tuple[Reply, Payload | None]
"""The Reply, and the payload that goes with it where the noun has one."""

"""Recipes over a session: each takes a command to its meter and says truthfully what came of it."""

from ami_hes.operations.commands import Attempt, Command, Outcome
from ami_hes.operations.contactor import run
from ami_hes.operations.done import format_seen, log_done

__all__ = ["Attempt", "Command", "Outcome", "format_seen", "log_done", "run"]

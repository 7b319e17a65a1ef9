"""Recipes over a session: each takes a command to its meter and says truthfully what came of it.

`ami_hes.served` has a row for each; the dispatch of commands (`ami_hes.jobs`) knows none of them.
"""

from ami_hes.operations.assignment import Assignment, Attempt, HeldBack, MeterNeeded
from ami_hes.operations.operation import Operation

__all__ = ["Assignment", "Attempt", "HeldBack", "MeterNeeded", "Operation"]

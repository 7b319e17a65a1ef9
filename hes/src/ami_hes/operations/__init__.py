"""Recipes over a session: each takes a command to its meter and says truthfully what came of it.

The table `OPERATIONS` has a row for each; the dispatch of commands (`ami_hes.jobs`) knows none of them.
"""

from ami_hes.operations.assignment import Assignment, Attempt
from ami_hes.operations.operation import Operation
from ami_hes.operations.table import OPERATIONS, describe, failed, run

__all__ = ["OPERATIONS", "Assignment", "Attempt", "Operation", "describe", "failed", "run"]

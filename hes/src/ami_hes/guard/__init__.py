"""The guard against mass switching: how much may be switched off in an hour, what a second person has to approve, and the stop of all controls.

Every way to a meter passes here: `limits` says of which kind each operation is, `book` asks the store, `approvals` knows what waits for a
second person (docs/adr/0037, docs/howto/approve-mass-switching.md).
"""

from ami_hes.guard.approvals import Approvals, NotDecided
from ami_hes.guard.book import ApprovalNeeded, Guard, GuardRules, NotWhatWasApproved, Outlook, format_limit
from ami_hes.guard.classes import OPERATIONS, RECIPES, guarded_by, kind_of_control
from ami_hes.guard.limits import HOUR, GroupLimit, Limit, Scope
from ami_hes.guard.stop import ControlStop, fault_of

__all__ = [
    "HOUR",
    "OPERATIONS",
    "RECIPES",
    "ApprovalNeeded",
    "Approvals",
    "ControlStop",
    "GroupLimit",
    "Guard",
    "GuardRules",
    "Limit",
    "NotDecided",
    "NotWhatWasApproved",
    "Outlook",
    "Scope",
    "fault_of",
    "format_limit",
    "guarded_by",
    "kind_of_control",
]

"""How the commands of a campaign end that is cancelled before they are begun: by an order, or since no second person has approved it."""

from ami_hes.commands import Command, Outcome
from ami_hes.enums import ApprovalState
from ami_hes.operations import Attempt
from ami_hes.served import failed
from ami_hes.store import StoredApproval


def why_not_approved(approval: StoredApproval | None) -> str | None:
    """In words; None where it waits for none, or has it."""
    if approval is None or approval.state not in (ApprovalState.REJECTED, ApprovalState.EXPIRED):
        return None
    return f"{approval.state}, {approval.note or 'without a reason'}"


def not_begun(command: Command, attempt: Attempt, why: str | None) -> Outcome:
    """`why`: it was not approved."""
    if why is None:
        return failed(command, attempt, "deadline", "cancelled")
    return failed(command, attempt, "control", "not-approved", detail=why)

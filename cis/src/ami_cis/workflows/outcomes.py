"""How an exchange ended, said of the targets of its order by the labels that the operator knows, whatever noun it was of."""

from collections.abc import Sequence

from ami_cim.identity import Identifier, is_uuid
from ami_cis.workflows.exchanges import Ended
from ami_cis.workflows.orders import MeterReplyError, OrderOutcome, Target


def outcome_of(targets: Sequence[Target], message_id: str, ended: Ended) -> OrderOutcome:
    """The outcome of an order for these targets."""
    if ended.response is None:
        return OrderOutcome(
            message_id=message_id,
            result=None,
            reason=ended.reason,
            unknown=ended.unknown,
            not_sent=ended.not_sent,
            ms=ended.ms,
        )
    reply = ended.response.reply
    errors = tuple(
        MeterReplyError(error.code, error.reason, _label(targets, error.identifier), error.level)
        for error in reply.errors
    )
    accepted = ended.accepted
    return OrderOutcome(message_id=message_id, result=reply.result, errors=errors, accepted=accepted, ms=ended.ms)


def _label(targets: Sequence[Target], identifier: Identifier | None) -> str | None:
    """Of whom an error is; None where it is of a value that no meter was asked for.

    A head-end may know a meter by an mRID that is not known here: of one target that is one meter, whose mRID was not said, it is that target's.
    """
    if identifier is None or identifier.object_type == "ReadingType":
        return None
    meant = next((target for target in targets if target.is_meant_by(identifier)), None)
    is_alone = len(targets) == 1 and not targets[0].has_mrid and not targets[0].is_group
    if meant is None and is_alone and is_uuid(identifier.value):
        meant = targets[0]
    return identifier.value if meant is None else meant.label

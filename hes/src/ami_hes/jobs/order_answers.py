"""The answer to an order that the head-end carried out itself, as octets: one message, or for a ReplyAddress parts of a long payload.

Parts are told from each other as those of an answer of meters: by codes 0.1 and 0.2 (IEC 61968-100). What went wrong stands in the first.
"""

from ami_cim.message import Reply
from ami_cim.payloads import Payload
from ami_hes.jobs.answer_writing import MORE_FOLLOW, NO_MORE
from ami_hes.jobs.context import Context
from ami_hes.outbox import format_answer
from ami_hes.served import parts_of
from ami_hes.store import StoredAnswer, StoredRequest


def write_parts(
    context: Context, request: StoredRequest, reply: Reply, payload: Payload | None, *, typed: bool
) -> StoredAnswer:
    """All of it; raises CimError for what would not be valid."""
    late = request.reply_address is not None
    parts = parts_of(request.noun, payload) if late else [payload]
    written: list[bytes] = []
    for place, part in enumerate(parts):
        says = _reply_of_part(reply, first=not place, last=place == len(parts) - 1)
        written.append(format_answer(context.answer(request, says, part), context.schemas, typed=typed))
    return StoredAnswer(reply.result, written[0], tuple(written[1:]))


def _reply_of_part(reply: Reply, *, first: bool, last: bool) -> Reply:
    if first and last:
        return reply
    part = NO_MORE if last else MORE_FOLLOW
    if first:
        return Reply(result=reply.result, errors=(part, *reply.errors), identifiers=reply.identifiers)
    return Reply(result=reply.result, errors=(part,))

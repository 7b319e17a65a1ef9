"""An answer that is posted, and who may get it."""

from datetime import UTC, datetime

from north_bench import NOUN, SCHEMAS

from ami_cim.message import Header, Reply, ReplyError, ResponseMessage
from ami_hes.outbox import format_answer
from ami_hes.reply_hosts import LOOPBACK, ReplyHosts

HERE = ReplyHosts(LOOPBACK, frozenset({"cis.invalid"}))


def response(result: str = "OK", *errors: ReplyError) -> ResponseMessage:
    header = Header(verb="reply", noun=NOUN, timestamp=datetime.now(UTC), message_id="m", correlation_id="c")
    return ResponseMessage(header=header, reply=Reply(result=result, errors=errors))  # type: ignore[arg-type]


ANSWER = format_answer(response(), SCHEMAS)

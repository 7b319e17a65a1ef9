"""What came of the commands of a request as its Reply, the same for every noun."""

from collections.abc import Sequence

from ami_cim.codes import Level
from ami_cim.message import Reply, ReplyError, Result
from ami_hes.nouns.asked_names import AskedNames
from ami_hes.nouns.plans import RequestContext, Worked


def reply_of(context: RequestContext, errors: Sequence[ReplyError], worked: Sequence[Worked]) -> Reply:
    """OK if every meter did it, FAILED if none did, else PARTIAL; one error for each failed meter, after those of the plan.

    A meter that is done but asks for more (ready for reconnection) has an entry of level INFORM beside the OK.
    """
    asked = AskedNames.parse(context.query)
    entries = [_entry(one, asked) for one in worked if not one.outcome.ok or one.outcome.code is not None]
    done = sum(one.outcome.ok for one in worked)
    failed = len(worked) - done + len(errors)
    result: Result = "FAILED" if not done else "PARTIAL" if failed else "OK"
    return Reply(result=result, errors=(*errors, *entries))


def _entry(one: Worked, asked: AskedNames) -> ReplyError:
    outcome = one.outcome
    level = outcome.level or (Level.INFORM if outcome.ok else Level.FATAL)
    code = outcome.code or "5.3"
    return asked.about(one.command.meter, ReplyError(code=code, level=Level(level), reason=outcome.reason or None))

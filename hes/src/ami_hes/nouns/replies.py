"""What came of the commands of a request as its Reply, the same for every noun."""

from collections.abc import Sequence

from ami_cim.codes import Level
from ami_cim.message import Reply, ReplyError, Result
from ami_hes.nouns.devices import identifier_of
from ami_hes.nouns.plans import Worked


def reply_of(errors: Sequence[ReplyError], worked: Sequence[Worked]) -> Reply:
    """OK if every meter did it, FAILED if none did, else PARTIAL; one error for each failed meter, after those of the plan.

    A meter that is done but asks for more (ready for reconnection) has an entry of level INFORM beside the OK.
    """
    entries = [_entry(one) for one in worked if not one.outcome.ok or one.outcome.code is not None]
    done = sum(one.outcome.ok for one in worked)
    failed = len(worked) - done + len(errors)
    result: Result = "FAILED" if not done else "PARTIAL" if failed else "OK"
    return Reply(result=result, errors=(*errors, *entries))


def _entry(one: Worked) -> ReplyError:
    outcome = one.outcome
    level = outcome.level or (Level.INFORM if outcome.ok else Level.FATAL)
    code = outcome.code or "5.3"
    return ReplyError(
        code=code, level=Level(level), reason=outcome.reason or None, identifier=identifier_of(one.command.meter.mrid)
    )

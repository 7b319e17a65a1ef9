"""This HES's rules for a request's Header (IEC 61968-100 leaves all but Verb and Noun optional).

MessageID is mandatory here because it is what makes a repeated request harmless. AsyncReplyFlag needs a ReplyAddress.
CorrelationID falls back to MessageID, and Timestamp isn't asked for: nothing is decided by it.
"""

from collections.abc import Collection

from ami_cim.codes import Level
from ami_cim.correlation import demand_header
from ami_cim.errors import InvalidMessage
from ami_cim.message import Header, ReplyError
from ami_hes.nouns.plans import Refused

MAX_ID = 200
VERBS_OF_REQUESTS = frozenset({"create", "change", "cancel", "close", "delete", "get", "execute"})


def error(code: str, reason: str) -> ReplyError:
    """A fatal error of a whole request."""
    return ReplyError(code=code, level=Level.FATAL, reason=reason)


def check(header: Header, nouns: Collection[str]) -> None:
    """Raises Refused for the first rule that the header breaks."""
    if header.noun not in nouns:
        raise Refused(
            error("2.5", f"The noun {header.noun} is not served here; served are: {', '.join(sorted(nouns))}.")
        )
    if header.verb not in VERBS_OF_REQUESTS:
        raise Refused(error("2.9", f"The verb {header.verb} is not one of a request."))
    try:
        demand_header(header)
    except InvalidMessage as missing:
        raise Refused(error(missing.code, f"{missing.reason}.")) from None
    if len(header.message_id or "") > MAX_ID or len(header.correlation_id or "") > MAX_ID:
        raise Refused(error("1.5", f"Header.MessageID and CorrelationID have at most {MAX_ID} characters."))

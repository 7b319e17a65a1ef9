"""What a get of a noun asks, where the head-end itself answers: the payload of its Request, which has to be there."""

from typing import TypeVar

from ami_cim.message import RequestMessage
from ami_hes.nouns.header import error
from ami_hes.nouns.plans import Refused

Q = TypeVar("Q")


def question(message: RequestMessage, kind: type[Q], *, code: str = "1.6", reason: str = "") -> Q:
    """The query of this type in its Request. Raises Refused where there is none."""
    query = message.query
    if not isinstance(query, kind):
        raise Refused(error(code, reason or f"The Request has no Get{message.header.noun}."))
    return query

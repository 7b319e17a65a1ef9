"""What keeps one object of a message from being carried out: a reply code and a reason, with the object that it is about."""

from collections.abc import Sequence
from dataclasses import replace

from ami_cim.codes import Level
from ami_cim.identity import Identified, Identifier
from ami_cim.message import Reply, ReplyError, Result
from ami_hes.registry import NotAmended

NOT_KEPT = "0.0"


class Problem(NotAmended):
    """Nothing is done for this object."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def identifier_of(pointer: Identified, object_type: str) -> Identifier | None:
    """How an error names the object: as the message did."""
    if pointer.mrid is not None:
        return Identifier(value=pointer.mrid[:200], kind="uuid", object_type=object_type)
    name = next((one.name for one in pointer.names), None)
    return None if name is None else Identifier(value=name[:200], kind="name", object_type=object_type)


def failure(code: str, reason: str, identifier: Identifier | None) -> ReplyError:
    """Of one object."""
    return ReplyError(code=code, level=Level.FATAL, reason=reason[:1_000], identifier=identifier)


def about(problem: ReplyError, identifier: Identifier | None) -> ReplyError:
    """The same of another object."""
    return replace(problem, identifier=identifier)


def reply_of(done: Sequence[Identifier], errors: Sequence[ReplyError], *, not_kept: Sequence[str] = ()) -> Reply:
    """OK if all was done, FAILED if nothing was, else PARTIAL; what was done is named, and what is not kept of it."""
    result: Result = "OK" if not errors else "PARTIAL" if done else "FAILED"
    notes = []
    if done and not_kept:
        reason = f"Not kept by the head-end, and without an effect here: {', '.join(sorted(not_kept))}."
        notes = [ReplyError(code=NOT_KEPT, level=Level.INFORM, reason=reason[:1_000])]
    return Reply(result=result, errors=(*errors, *notes), identifiers=tuple(done))

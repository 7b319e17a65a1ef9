"""What a person can do about the meter's no: it depends on what was asked, as which client, and with which value."""

from enum import Enum

from ami_dlms.association.client.session import PUBLIC_CLIENT


class Doing(Enum):
    """What a request was for."""

    READING = "read"
    SELECTING = "read a part of"
    LISTING = "list objects by"
    WRITING = "write"
    CALLING = "call"


def of_refusal(result: str, doing: Doing, client: int, value_type: str = "") -> str:
    """What to do about a data-access-result or action-result; none when only the meter's manual knows."""
    if result == "type-unmatched":
        return _type_unmatched(doing, value_type)
    if doing is Doing.LISTING and result in ("object-undefined", "object-unavailable", "read-write-denied"):
        return (
            "the object list of this association may be elsewhere: give its object with --association-object, "
            "0-0:40.0.1 for instance; or name the object with --class, which needs no list"
        )
    if result == "read-write-denied":
        return f"client {client} may not {doing.value} that: `ami meter scan` shows its access rights{_public(client)}"
    if result in ("object-undefined", "object-class-inconsistent"):
        looked_up = "; without --class the object is looked up" if result.endswith("inconsistent") else ""
        return f"client {client} sees no such object of this class: `ami meter scan` shows those that it sees{looked_up}{_public(client)}"
    if result == "scope-of-access-violated" and doing is Doing.SELECTING:
        return _NO_SELECTION
    return _ANY.get(result, "")


def _type_unmatched(doing: Doing, value_type: str) -> str:
    if doing is Doing.SELECTING:
        return f"the meter does not take a selection of this kind. {_NO_SELECTION}"
    if doing in (Doing.WRITING, Doing.CALLING):
        was = f"{value_type} is not what the meter wants" if value_type else "the meter wants another type"
        return f"{was}: its type goes with --type" + ("; `ami meter read` shows it" if doing is Doing.WRITING else "")
    return "a plain read has no type that could be wrong: see the octets with -v"


def _public(client: int) -> str:
    if client != PUBLIC_CLIENT:
        return ""
    return f"; {client} is the public client, which sees little: --client asks as another"


_NO_SELECTION = "Without --from, --to, --last and --columns the whole buffer is read, and --last asks by entries"
_ANY = {
    "object-unavailable": "the object exists, but not this part of it, or not now",
    "scope-of-access-violated": "the request goes beyond what this object offers to this client",
    "temporary-failure": "try again later",
    "other-reason": "the meter does not say more; its manual may",
    "hardware-fault": "the meter itself reports a fault; its manual may say more",
}

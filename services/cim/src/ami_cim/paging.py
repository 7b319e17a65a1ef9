"""Request/Option limit and offset: the part of a long answer that a partner wants. The standard has no word for it; Options may say anything."""

import re
from dataclasses import dataclass

from ami_cim.errors import InvalidMessage
from ami_cim.message import RequestMessage

_NUMBER = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """`limit` things at most (None: all) behind the first `offset`."""

    offset: int = 0
    limit: int | None = None


def page_of(message: RequestMessage) -> Page:
    """The page that a request asks for; InvalidMessage 1.6 for a limit or an offset that is no number, or is there twice."""
    found: dict[str, int] = {}
    for option in message.options:
        name = option.name.lower()
        if name not in ("limit", "offset"):
            continue
        value = option.value or ""
        if name in found or _NUMBER.fullmatch(value) is None:
            raise InvalidMessage("1.6", f"The Option {name} is one whole number", value[:40])
        found[name] = int(value)
    if found.get("limit") == 0:
        raise InvalidMessage("1.6", "The Option limit is one whole number", "0")
    return Page(offset=found.get("offset", 0), limit=found.get("limit"))

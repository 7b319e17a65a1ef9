"""Texts and moments as a serializer writes them, for elements that are written without a tree. LocalError for what XML has not."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from xml.sax.saxutils import escape

from ami_cim.errors import LocalError
from ami_cim.xml import format_datetime, is_printable

MOMENTS_KEPT = 256
BEYOND = {"\r": "&#13;"}
"""What a parser would make another character of, beside & < >."""
_IN_ATTRIBUTES = {'"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}
_PLAIN = re.compile("[ !#-%'-;=?-~]*")
"""What is written as it is, in a text and in an attribute; nearly all that is written."""


def text_of(text: str) -> str:
    """Inside an element."""
    if _PLAIN.fullmatch(text) is not None:
        return text
    demand_printable(text)
    return escape(text, BEYOND)


def quoted(text: str) -> str:
    """An attribute's value with its quotation marks."""
    if _PLAIN.fullmatch(text) is not None:
        return f'"{text}"'
    demand_printable(text)
    return f'"{escape(text, _IN_ATTRIBUTES)}"'


def moment_text(moment: datetime) -> str:
    """xs:dateTime."""
    if moment.tzinfo is UTC:
        return _utc_text(moment)
    try:
        return format_datetime(moment)
    except ValueError as error:
        raise LocalError("Only a moment can be written", str(error)) from None


@lru_cache(MOMENTS_KEPT)
def _utc_text(moment: datetime) -> str:
    """Values that were read together have one moment, and it is their time and that of their report."""
    return f"{moment.isoformat()[:-6]}Z"


def demand_printable(text: str) -> None:
    """LocalError for a character that XML cannot carry."""
    if not is_printable(text):
        raise LocalError("XML cannot carry this text", "a character that XML has not")

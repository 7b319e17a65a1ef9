"""Reply/Error codes and levels of IEC 61968-100 (table data/reply_codes.csv).

The list rests on one field implementation; `code` is a free string in the schema, so codes outside of it are legal."""

import csv
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files


class Level(StrEnum):
    """Error/level."""

    INFORM = "INFORM"
    WARNING = "WARNING"
    FATAL = "FATAL"
    CATASTROPHIC = "CATASTROPHIC"


class Verb(StrEnum):
    """Header/Verb; the standard spells `canceled` with one l."""

    CANCEL = "cancel"
    CANCELED = "canceled"
    CHANGE = "change"
    CHANGED = "changed"
    CREATE = "create"
    CREATED = "created"
    CLOSE = "close"
    CLOSED = "closed"
    DELETE = "delete"
    DELETED = "deleted"
    GET = "get"
    REPLY = "reply"
    EXECUTE = "execute"
    EXECUTED = "executed"


VERBS = frozenset(verb.value for verb in Verb)


@dataclass(frozen=True, slots=True)
class ReplyCode:
    """One row of the table."""

    code: str
    category: str
    meaning: str


@cache
def reply_codes() -> dict[str, ReplyCode]:
    """All known codes, in the order of the table."""
    table = files("ami_cim").joinpath("data", "reply_codes.csv").read_text(encoding="utf-8")
    return {row["code"]: ReplyCode(**row) for row in csv.DictReader(table.splitlines())}

"""What went wrong between the HES and a meter -> Reply/Error code, level and a reason for a person (table data/faults.csv).

A reason says what happened, where, whether the control may have reached the meter, and what to do about it. `kind` is
where the fault showed itself, `name` the standard's name for it or ours; every row carries the decision of docs/mapping.md
that it follows. Whether the control may have left is in no row: one function says it for all of them (M-021).
"""

from dataclasses import dataclass, fields
from functools import cache

from ami_mapping.tables import packaged, read_table

TIMEOUT, NOT_ATTEMPTED, ATTEMPTED_AND_FAILED = "4.1", "5.2", "5.3"
_SENT = "The control was sent: the meter may or may not have {}, read its state before the control is sent again"
_NOT_SENT = "The control was not sent and nothing was {}"
MAY_HAVE_SWITCHED, NOT_SENT = _SENT.format("switched"), _NOT_SENT.format("switched")
MAY_HAVE_CHANGED, NOTHING_CHANGED = _SENT.format("carried it out"), _NOT_SENT.format("changed")


@dataclass(frozen=True, slots=True)
class FaultRule:
    """One row of the table."""

    kind: str
    name: str
    code: str
    level: str
    what: str
    advice: str
    decision: str
    source: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What the requester gets."""

    code: str
    level: str
    reason: str


@cache
def fault_rules() -> dict[tuple[str, str], FaultRule]:
    """All rows by (kind, name)."""
    file = "faults.csv"
    rules = read_table(
        packaged(file), file, lambda cells, _: FaultRule(**cells), [one.name for one in fields(FaultRule)]
    )
    return {(rule.kind, rule.name): rule for rule in rules}


def explain(
    kind: str, name: str, *, attempted: bool | None, where: str = "", detail: str = "", switches: bool = True
) -> Fault:
    """The fault of a row; `where` names the step, `detail` what was seen. A name without a row falls to the row "other".

    `attempted` tells whether the control may have reached the meter, in this life of the process or in an earlier one
    (M-021). None: there is no control in question, or the meter has been read since, and what was read says more. `switches`:
    whether it is one of the switch, or the meter is changed otherwise.
    """
    rules = fault_rules()
    rule = rules.get((kind, name)) or rules[kind, "other"]
    if rule.name == "other" and name != "other":
        detail = "; ".join(filter(None, (name, detail)))
    what = f"{where}: {rule.what}" if where else rule.what
    if detail:
        what = f"{what} ({detail})"
    claims = _OF_SWITCH if switches else _OF_OTHERS
    sentences = (what, "" if attempted is None else claims[attempted], rule.advice)
    return Fault(_code(rule, attempted), rule.level, " ".join(f"{one}." for one in sentences if one))


def explain_refused_reading(data_access_result: str, *, where: str = "", detail: str = "") -> Fault:
    """The fault of one ReadingType whose attribute the meter refused to give, by the name of its Data-Access-Result (M-127).

    What this meter does not have is 5.6, so that a reply over several ReadingTypes can give the others; the rest is as ever.
    """
    kind = "reading" if ("reading", data_access_result) in fault_rules() else "data-access-result"
    return explain(kind, data_access_result, attempted=None, where=where, detail=detail)


_OF_SWITCH = {False: NOT_SENT, True: MAY_HAVE_SWITCHED}
_OF_OTHERS = {False: NOTHING_CHANGED, True: MAY_HAVE_CHANGED}


def _code(rule: FaultRule, attempted: bool | None) -> str:
    """A control that may have been sent never gets a code that says that it was not, and vice versa."""
    if attempted is None:
        return rule.code
    if attempted:
        return rule.code if rule.code in (TIMEOUT, ATTEMPTED_AND_FAILED) else ATTEMPTED_AND_FAILED
    return NOT_ATTEMPTED if rule.code == ATTEMPTED_AND_FAILED else rule.code

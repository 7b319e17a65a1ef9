"""What went wrong between the HES and a meter -> Reply/Error code, level and a reason for a person (table data/faults.csv).

A reason says what happened, where, and what to do about it. `kind` is where the fault showed itself, `name` the
standard's name for it or ours; every row carries the decision of docs/mapping.md that it follows.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

NOT_ATTEMPTED, ATTEMPTED_AND_FAILED = "5.2", "5.3"


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
    """What the requester is told."""

    code: str
    level: str
    reason: str


@cache
def fault_rules() -> dict[tuple[str, str], FaultRule]:
    """All rows by (kind, name)."""
    table = files("mapping").joinpath("data", "faults.csv").read_text(encoding="utf-8")
    rules = (FaultRule(**row) for row in csv.DictReader(table.splitlines()))
    return {(rule.kind, rule.name): rule for rule in rules}


def explain(kind: str, name: str, *, where: str = "", detail: str = "", attempted: bool = True) -> Fault:
    """The fault of a row; `where` names the step, `detail` what was seen. A name without a row falls to the row "other".

    Before anything was attempted, "attempted and failed" becomes "not attempted" (M-021).
    """
    rules = fault_rules()
    rule = rules.get((kind, name)) or rules[kind, "other"]
    if rule.name == "other" and name != "other":
        detail = "; ".join(filter(None, (name, detail)))
    what = f"{where}: {rule.what}" if where else rule.what
    if detail:
        what = f"{what} ({detail})"
    code = NOT_ATTEMPTED if rule.code == ATTEMPTED_AND_FAILED and not attempted else rule.code
    return Fault(code, rule.level, f"{what}. {rule.advice}.")

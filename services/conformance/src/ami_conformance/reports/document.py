"""A run as JSON: the form that is kept and compared, a twin against the real meter, or one firmware against the next."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ami_conformance.findings import Result, Verdict
from ami_conformance.runner import Run

FORMAT: Literal["ami-conformance/1"] = "ami-conformance/1"
MOST_OCTETS = 256 * 1024 * 1024


class ReportError(Exception):
    """A report that can't be read; the text says why."""


@dataclass(frozen=True, slots=True)
class About:
    """What was tested, when and how; `command` runs one test again when its id is put behind it."""

    target: str
    transport: str
    name: str
    pack: str
    allowed: str
    began_at: str
    version: str
    command: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A test whose verdict is another one in the second run."""

    test: str
    title: str
    before: str
    after: str
    why: str


def document(run: Run, about: About) -> dict[str, Any]:
    """All of it."""
    return {
        "format": FORMAT,
        "about": {name: getattr(about, name) for name in About.__slots__},
        "put_back": run.put_back,
        "not_put_back": run.stuck,
        "interrupted": run.interrupted,
        "tests": [_test(one) for one in run.results],
    }


def _test(one: Result) -> dict[str, Any]:
    return {
        "id": one.row.id,
        "group": one.row.group,
        "title": one.row.title,
        "safety": str(one.row.safety),
        "clause": one.row.clause,
        "expected": one.row.expected,
        "verdict": str(one.verdict),
        "reason": one.reason,
        "seconds": round(one.seconds, 3),
        "findings": [{"text": found.text, "measure": str(found.source)} for found in one.findings],
        "notes": one.notes,
        "exchanges": [
            {"what": each.what, "sent": each.sent.hex(), "received": each.received.hex(), "said": each.said}
            for each in one.exchanges
        ],
    }


def as_json(run: Run, about: About) -> str:
    """The file."""
    return json.dumps(document(run, about), indent=1) + "\n"


def verdicts_in(text: str) -> Mapping[str, tuple[str, str]]:
    """Verdict and first finding by test of a report that was kept; ReportError for anything else."""
    try:
        found = json.loads(text)
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise ReportError(f"is no report of the form {FORMAT}")
        return {
            str(one["id"]): (str(Verdict(one["verdict"])), str(one["findings"][0]["text"]) if one["findings"] else "")
            for one in found["tests"]
        }
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise ReportError(f"can't be read: {error}") from None


def differences(before: Mapping[str, tuple[str, str]], run: Run) -> list[Difference]:
    """Tests that both runs have, with other verdicts."""
    found = []
    for one in run.results:
        if one.row.id not in before:
            continue
        old, _ = before[one.row.id]
        if old != one.verdict:
            why = one.findings[0].text if one.findings else one.reason
            found.append(Difference(one.row.id, one.row.title, old, str(one.verdict), why))
    return found

"""What one test says: its verdict, what was found and by what measure, and what went over the line."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from ami_conformance.plan import Row


class Verdict(StrEnum):
    """How a test ends."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    """The meter does not offer what the test needs, or did not answer what it needs first."""
    NOT_RUN = "not run"
    """Not allowed, not for this transport, or not built."""
    DOCUMENTED = "documented"
    """What the standards leave open: what was seen is written down."""


class Measure(StrEnum):
    """Where an expectation comes from."""

    CLAUSE = "clause"
    PACK = "pack"
    PHYSICS = "physics"


@dataclass(frozen=True, slots=True)
class Source:
    """A measure, and where it stands."""

    measure: Measure
    text: str

    def __str__(self) -> str:
        return f"{self.measure}: {self.text}"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A message and what came of it, both as APDUs without protection (`sent`, `received`) and without secrets; `said` in words.

    Where octets are none of an APDU they are as they were on the line. Empty: nothing, or nothing that may be shown.
    """

    what: str
    sent: bytes = field(repr=False)
    received: bytes = field(repr=False)
    said: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it is expected, or was seen and left open."""

    text: str
    source: Source


@dataclass(slots=True)
class Result:
    """One test."""

    row: Row
    verdict: Verdict
    reason: str = ""
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    seconds: float = 0.0


class Unsettled(Exception):
    """A test that can't come to a verdict; the text says what was missing."""


class Moves(Unsettled):
    """An attribute that has another value than a moment ago, though nobody wrote it: it can't be put back, and was not written."""


class NotAllowed(Exception):
    """A step above what is allowed; nothing of it was sent."""


class Judge:
    """What a test has found so far. A test that has looked at nothing has not passed."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        self.looked = 0
        self.open_end = False

    def expect(self, holds: bool, otherwise: str, source: Source | None = None) -> bool:
        """Look at something; `otherwise` is what is wrong when it does not hold."""
        self.looked += 1
        if not holds:
            self.findings.append(Finding(otherwise, source or Source(Measure.CLAUSE, self.row.clause)))
        return holds

    def expect_pack(self, holds: bool, otherwise: str, source: str) -> bool:
        """The same, measured by the pack."""
        return self.expect(holds, otherwise, Source(Measure.PACK, source))

    def expect_physics(self, holds: bool, otherwise: str) -> bool:
        """The same, measured by what can't be otherwise."""
        return self.expect(holds, otherwise, Source(Measure.PHYSICS, "the same quantity told twice has to agree"))

    def note(self, text: str) -> None:
        """Something that was seen, for the report."""
        self.notes.append(text)

    def document(self, text: str) -> None:
        """Something that the standards leave open: the test ends as documented where it does not fail."""
        self.looked += 1
        self.open_end = True
        self.note(text)

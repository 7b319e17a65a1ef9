"""Which locked packages have known weaknesses: pip-audit over each lock file, and an honest word where no source of advisories answers.

Run by `make audit-dependencies`, in the environment of requirements/supply.txt. Everything that is known is reported each time. An ordinary run is not failed by it:
who changes something is not to blame for an advisory of this morning. A release (`RELEASE=1`) is failed by what is known and not in
requirements/advisories.toml with a reason and a date that is still to come, and by what could not be audited. Exit codes: 0, or 1 for such a release.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("run", "postgresql", "scale", "parquet", "otel", "build", "dev")
PATIENCE_S = 120
SOURCES = ("pypi", "osv")
OSV_URL = "AMI_OSV_URL"
"""The variable that names a source with the interface of OSV, as a mirror, which is the only one that is asked then."""
ACCEPTED = ROOT / "requirements/advisories.toml"
LONGEST_DAYS = 180
"""How far ahead the date of an accepted advisory may be."""


@dataclass(frozen=True)
class Weakness:
    """An advisory for a locked package."""

    package: str
    version: str
    advisory: str

    def __str__(self) -> str:
        return f"{self.package} {self.version}: {self.advisory}"


@dataclass(frozen=True)
class Accepted:
    """One that somebody has looked at: why it does not matter here, and until when that has to be looked at again."""

    advisory: str
    package: str
    reason: str
    until: date


@dataclass(frozen=True)
class Found:
    """What a source of advisories says of a lock file."""

    audited: int
    skipped: int
    """Packages that the source did not know: a mirror without advisories knows none, and pip-audit then finds nothing wrong."""
    known: tuple[Weakness, ...]


def read_report(text: str) -> Found:
    """Of pip-audit in JSON. Raises ValueError for anything else."""
    parts = json.loads(text)["dependencies"]
    looked = [part for part in parts if "skip_reason" not in part]
    known = sorted(
        (Weakness(part["name"], part["version"], one["id"]) for part in looked for one in part["vulns"]), key=str
    )
    return Found(len(looked), len(parts) - len(looked), tuple(known))


def read_accepted(text: str, today: date) -> dict[tuple[str, str], Accepted]:
    """Of requirements/advisories.toml, by package and advisory. Raises ValueError for what is not whole."""
    found: dict[tuple[str, str], Accepted] = {}
    for row in tomllib.loads(text).get("accepted", []):
        try:
            one = Accepted(**row)
        except TypeError:
            raise ValueError(f"{row}: advisory, package, reason and until are expected") from None
        if not str(one.reason).strip() or type(one.until) is not date:
            raise ValueError(f"{one.advisory}: a reason and a date (until) are needed")
        if (one.until - today).days > LONGEST_DAYS:
            raise ValueError(f"{one.advisory}: until is more than {LONGEST_DAYS} days ahead")
        found[one.package, one.advisory] = one
    return found


def judged(
    known: set[Weakness], accepted: Mapping[tuple[str, str], Accepted], today: date
) -> tuple[list[Weakness], list[str]]:
    """What is known and not accepted, and a line for each that is, has run out, or is not known any more."""
    lines, open_ = [], []
    for one in sorted(known, key=str):
        found = accepted.get((one.package, one.advisory))
        if found is None or found.until < today:
            open_.append(one)
            lines.append(f"KNOWN    {one}" + (f", accepted until {found.until}, which is over" if found else ""))
        else:
            lines.append(f"accepted {one} until {found.until}: {found.reason}")
    left = accepted.keys() - {(one.package, one.advisory) for one in known}
    return open_, lines + [
        f"not known any more, take it out of {ACCEPTED.name}: {' '.join(one)}" for one in sorted(left)
    ]


def audit(lock: str, source: str) -> Found | str:
    """What the source says, or why it says nothing."""
    line = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--progress-spinner", "off"]
    line += ["--vulnerability-service", source, "--timeout", "15", "--format", "json"]
    if OSV_URL in os.environ:
        line += ["--osv-url", os.environ[OSV_URL]]
    line += ["--requirement", f"requirements/{lock}.txt"]
    try:
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        found = read_report(done.stdout)
    except subprocess.TimeoutExpired:
        return f"no answer within {PATIENCE_S} s"
    except (ValueError, KeyError):
        return (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
    return found if found.audited else f"it knows none of the {found.skipped} packages"


def asked(lock: str) -> tuple[Found | None, str]:
    """What the first source says that answers, and a line about it; None where none does."""
    reasons = []
    for source in ("osv",) if OSV_URL in os.environ else SOURCES:
        found = audit(lock, source)
        if isinstance(found, Found):
            known = "; ".join(map(str, found.known)) or "nothing is known"
            return found, f"{source}: {found.audited} packages audited, {found.skipped} not known there: {known}"
        reasons.append(f"{source}: {found}")
    return None, "; ".join(reasons)


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--release", action="store_true", help="what is known and not accepted, or not audited, fails")
    parser.add_argument("--lock", action="append", choices=LOCKS, help="of these lock files alone")
    given, today = parser.parse_args(), datetime.now(UTC).date()
    known: set[Weakness] = set()
    unasked = []
    for lock in given.lock or LOCKS:
        found, said = asked(lock)
        print(f"requirements/{lock}.txt: {said}")
        known |= set(found.known) if found is not None else set()
        if found is None or found.skipped:
            unasked.append(lock)
    open_, lines = judged(known, read_accepted(ACCEPTED.read_text("utf-8"), today), today)
    for line in (*lines, *_end(open_, unasked, release=given.release)):
        print(line)
    return 1 if given.release and (open_ or unasked) else 0


def _end(open_: list[Weakness], unasked: list[str], *, release: bool) -> Iterator[str]:
    """What it comes to."""
    if unasked:
        yield f"NOT AUDITED, or not whole, since no source of advisories answers: {', '.join(unasked)}"
    if open_ and not release:
        yield f"{len(open_)} known and not accepted: reported here, and a release (RELEASE=1) fails by it"


if __name__ == "__main__":
    sys.exit(main())

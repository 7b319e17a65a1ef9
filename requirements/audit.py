"""Which locked packages have known weaknesses: pip-audit over each lock file, and an honest word where no source of advisories answers.

Run by `make audit-dependencies`, in the environment of requirements/supply.txt. Exit code 1 says that something is known; 0 that nothing
is, or that nobody could be asked, which the last line says.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("run", "postgresql", "parquet", "build", "dev")
PATIENCE_S = 120
SOURCES = ("pypi", "osv")


@dataclass(frozen=True)
class Found:
    """What a source of advisories says of a lock file."""

    audited: int
    skipped: int
    """Packages that the source did not know: a mirror without advisories knows none, and pip-audit then finds nothing wrong."""
    known: tuple[str, ...]
    """Package, version, and the names of its advisories."""


def read_report(text: str) -> Found:
    """Of pip-audit in JSON. Raises ValueError for anything else."""
    parts = json.loads(text)["dependencies"]
    looked = [part for part in parts if "skip_reason" not in part]
    known = [
        f"{part['name']} {part['version']}: {', '.join(sorted(one['id'] for one in part['vulns']))}"
        for part in looked
        if part["vulns"]
    ]
    return Found(len(looked), len(parts) - len(looked), tuple(known))


def audit(lock: str, source: str) -> Found | str:
    """What the source says, or why it says nothing."""
    line = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--progress-spinner", "off"]
    line += ["--vulnerability-service", source, "--timeout", "15", "--format", "json"]
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
    for source in SOURCES:
        found = audit(lock, source)
        if isinstance(found, Found):
            known = "; ".join(found.known) or "nothing is known"
            return found, f"{source}: {found.audited} packages audited, {found.skipped} not known there: {known}"
        reasons.append(f"{source}: {found}")
    return None, "; ".join(reasons)


def main() -> int:
    """The exit code."""
    known, unasked = False, []
    for lock in LOCKS:
        found, said = asked(lock)
        print(f"requirements/{lock}.txt: {said}")
        known = known or (found is not None and bool(found.known))
        if found is None or found.skipped:
            unasked.append(lock)
    if unasked:
        print(f"NOT AUDITED, or not whole, since no source of advisories answers: {', '.join(unasked)}")
    return 1 if known else 0


if __name__ == "__main__":
    sys.exit(main())

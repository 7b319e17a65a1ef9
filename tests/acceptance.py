"""The full figures, run by hand before a piece of work is called done: `make acceptance [ONLY=bench]`.

Each step writes its output to var/acceptance; at the end a table says what was run, for how long and what it found. No step is
left out for want of a tool: what is missing fails. A step that measures compares its figures with no limit, it prints them: to be
judged, in var/acceptance/bench.txt, beside those of docs/ or of another checkout's HES (AGAINST=...).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools import TOOLS, VARIABLE

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
OUTPUTS = ROOT / "var" / "acceptance"
PYTEST = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--size", "acceptance", "--timeout", "3600")
WORKERS = ("-n", os.environ.get("WORKERS", "auto"))
AMI = (str(Path(sys.executable).with_name("ami")),)
KILLS = TESTS / "meter_sim/test_kills.py"
"""A step of its own: a simulator that is killed 100 times under load."""
CHAOS = ("env", f"PYTHONPATH={TESTS}", sys.executable, "-m", "chaos")
FUZZ_S = 600
SEEDS = 20

STEPS: dict[str, tuple[tuple[str, ...], ...]] = {
    "tests": (
        (*PYTEST, *WORKERS, "-m", "not compose", f"--ignore={TESTS / 'interop'}", f"--ignore={KILLS}", str(TESTS)),
    ),
    "kills": ((*PYTEST, "-n", "0", str(KILLS)),),
    "chaos": (
        (*CHAOS, "--kills", "1000", "--seed", "7"),
        (*CHAOS, "--kills", "200", "--seed", "7", "--store", "postgresql"),
    ),
    "interop": (
        (sys.executable, str(TESTS / "interop/prepare.py")),
        (*PYTEST, *WORKERS, str(TESTS / "interop")),
    ),
    "fuzz": ((str(ROOT / ".venv/fuzz/bin/python"), str(TESTS / "fuzz/run.py"), "--seconds", str(FUZZ_S)),),
    "flaky": ((sys.executable, str(TESTS / "flaky.py"), "--times", str(SEEDS)),),
    "bench": (
        (*AMI, "bench", "--meters", "2,100,1000"),
        (*AMI, "bench-dlms"),
        (*AMI, "bench-fleet", "--meters", "1000,10000,100000,1000000"),
        (*AMI, "bench-readings", "--meters", "10000"),
        (*AMI, "bench-commissioning", "--meters", "10000"),
    ),
    "compose": ((*PYTEST, "-m", "compose", str(TESTS / "compose")),),
}
"""Name -> the commands of a step, of which each has to succeed."""
MEASURING = ("bench",)
"""These hold when nothing failed while they measured."""


def commands_of(name: str, against: str | None = None) -> tuple[tuple[str, ...], ...]:
    """The commands of a step. `against`: the command of another checkout's HES, which `ami bench` measures as well."""
    first, *others = STEPS[name]
    return ((*first, "--against", against) if against and name in MEASURING else first, *others)


@dataclass(frozen=True)
class Ran:
    """One step, as it went."""

    name: str
    held: bool
    seconds: float
    found: str


def run(name: str, commands: tuple[tuple[str, ...], ...]) -> Ran:
    """Run a step to its end, or to the first of its commands that fails."""
    environment = {**os.environ, VARIABLE: ",".join(TOOLS), "COLUMNS": "120"}
    output = OUTPUTS / f"{name}.txt"
    output.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with output.open("wb") as file:
        held = all(
            subprocess.run(command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT).returncode == 0
            for command in commands
        )
    return Ran(name, held, time.monotonic() - started, _last_line(output))


def _last_line(output: Path) -> str:
    lines = [line.strip(" =") for line in output.read_text("utf-8", "replace").splitlines()]
    return next((line for line in reversed(lines) if line), "said nothing")


def table(rows: list[Ran]) -> str:
    """What was run and what it found, a line per step."""
    lines = [f"{'step':10} {'':8} {'seconds':>7}  last line of var/acceptance/STEP.txt"]
    lines += [f"{row.name:10} {_outcome(row):8} {row.seconds:7.0f}  {row.found}" for row in rows]
    return "\n".join(lines)


def _outcome(row: Ran) -> str:
    if not row.held:
        return "FAILED"
    return "measured" if row.name in MEASURING else "held"


def main(report: Callable[[str], None] = print) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=tuple(STEPS), help="these steps")
    parser.add_argument("--against", metavar="COMMAND", help="the HES of another checkout, to be measured beside ours")
    given = parser.parse_args()
    rows = []
    for name in given.only or STEPS:
        report(f"{name} ...")
        rows.append(run(name, commands_of(name, given.against)))
    report("\n" + table(rows))
    return 0 if all(row.held for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())

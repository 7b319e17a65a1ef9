"""All targets: `python tests/fuzz/run.py [--seed 1 | --seconds 600] [--only NAME]`; see README.md.

With a seed a fixed number of inputs is tried, the same ones each time; with seconds the fuzzer explores, and keeps what it
has learned for the next time.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv" / "fuzz" / "bin" / "python"
ONE = Path(__file__).parent / "one.py"
KEPT = ROOT / "var" / "fuzz"
NAMES = re.findall(
    r'^    "([a-z-]+)": Target\(', (Path(__file__).parent / "targets.py").read_text("utf-8"), re.MULTILINE
)
SLOWEST_S = 10
SLOWEST_SEEDED_S = 60
"""A seeded run must not fail because the machine is busy; an input that hangs is found all the same."""
MOST_MEMORY_MB = 1024
LEAST_S = 2
MOST_TOLD = 4000


def command(name: str, corpus: Path, options: Sequence[str]) -> list[str]:
    """The fuzzer for one target: an input that takes too much memory is a finding as well, and so is one that takes too long."""
    findings = f"-artifact_prefix={KEPT / name}-"
    limits = (f"-rss_limit_mb={MOST_MEMORY_MB}", findings, "-print_final_stats=1")
    return [str(PYTHON), str(ONE), name, str(corpus / name), *limits, *options]


def fuzz(name: str, corpus: Path, options: Sequence[str]) -> bool:
    """Fuzz one target; whether nothing was found."""
    done = subprocess.run(command(name, corpus, options), capture_output=True, text=True, errors="replace", check=False)
    said = done.stdout + done.stderr
    inputs, new = (re.search(rf"{what}: +(\d+)", said) for what in ("number_of_executed_units", "new_units_added"))
    counted = f"{inputs[1]} inputs, {new[1]} of them reached something new" if inputs and new else "not even started"
    print(f"{name}: {counted}, {'FOUND:' if done.returncode else 'nothing found'}", flush=True)
    if done.returncode:
        print(excerpt(said), flush=True)
    return done.returncode == 0


def excerpt(said: str) -> str:
    """What of the fuzzer's talk tells what it has found: the traceback, the kind of failure, the file."""
    told = "\n".join(line for line in said.splitlines() if not line.startswith(("INFO:", "WARNING:", "#")))
    return told[-MOST_TOLD:]


def everything(names: Sequence[str], jobs: int, corpus: Path, options: Sequence[str]) -> bool:
    """Fuzz these targets, so many at a time; whether nothing was found."""
    corpus.mkdir(parents=True, exist_ok=True)
    KEPT.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(jobs) as pool:
        return all(list(pool.map(lambda name: fuzz(name, corpus, options), names)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of a fixed number of inputs")
    parser.add_argument("--seconds", type=int, help="explore so long instead, all targets together")
    parser.add_argument("--only", action="append", choices=NAMES, help="these targets")
    parser.add_argument(
        "--corpus",
        type=Path,
        help="where the inputs that reached something new are kept, from one exploration to the next",
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets at the same time")
    given = parser.parse_args()
    names = given.only or NAMES
    if given.seconds is not None:
        each = max(LEAST_S, given.seconds * given.jobs // len(names))
        kept = given.corpus or KEPT
        print(f"{len(names)} targets, {each} s each, {given.jobs} at a time; what is kept: {kept}", flush=True)
        options = [f"-max_total_time={each}", f"-timeout={SLOWEST_S}"]
        return 0 if everything(names, given.jobs, kept, options) else 1
    print(f"{len(names)} targets, seed {given.seed}, {given.jobs} at a time", flush=True)
    options = [f"-seed={given.seed}", f"-timeout={SLOWEST_SEEDED_S}"]
    with tempfile.TemporaryDirectory() as corpus:
        return 0 if everything(names, given.jobs, given.corpus or Path(corpus), options) else 1


if __name__ == "__main__":
    sys.exit(main())

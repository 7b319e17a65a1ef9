"""All targets one after the other: `python tests/fuzz/run.py [--seconds 60] [--only NAME] [--corpus var/fuzz]`; see README.md."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv" / "fuzz" / "bin" / "python"
ONE = Path(__file__).parent / "one.py"
NAMES = re.findall(
    r'^    "([a-z-]+)": Target\(', (Path(__file__).parent / "targets.py").read_text("utf-8"), re.MULTILINE
)
SLOWEST_S = 10
MOST_MEMORY_MB = 1024
LEAST_S = 2
MOST_TOLD = 4000


def command(name: str, seconds: int, corpus: Path) -> list[str]:
    """The fuzzer for one target: an input that takes too long or too much memory is a finding as well."""
    return [
        str(PYTHON),
        str(ONE),
        name,
        str(corpus / name),
        f"-max_total_time={seconds}",
        f"-timeout={SLOWEST_S}",
        f"-rss_limit_mb={MOST_MEMORY_MB}",
        f"-artifact_prefix={corpus / name}-",
        "-print_final_stats=1",
    ]


def fuzz(name: str, seconds: int, corpus: Path) -> bool:
    """Fuzz one target; whether nothing was found."""
    corpus.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(command(name, seconds, corpus), capture_output=True, text=True, errors="replace", check=False)
    said = done.stdout + done.stderr
    inputs = re.search(r"number_of_executed_units: (\d+)", said)
    print(
        f"{name}: {inputs[1] if inputs else '?'} inputs, {'nothing found' if not done.returncode else 'FOUND:'}",
        flush=True,
    )
    if done.returncode:
        print(excerpt(said), flush=True)
    return done.returncode == 0


def excerpt(said: str) -> str:
    """What of the fuzzer's talk tells what it has found: the traceback, the kind of failure, the file."""
    told = "\n".join(line for line in said.splitlines() if not line.startswith(("INFO:", "WARNING:", "#")))
    return told[-MOST_TOLD:]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together")
    parser.add_argument("--only", action="append", choices=NAMES, help="these targets")
    parser.add_argument("--corpus", type=Path, default=ROOT / "var" / "fuzz", help="what is kept from run to run")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets at the same time")
    given = parser.parse_args()
    names = given.only or NAMES
    each = max(LEAST_S, given.seconds * given.jobs // len(names))
    print(f"{len(names)} targets, {each} s each, {given.jobs} at a time; what is kept: {given.corpus}", flush=True)
    with ThreadPoolExecutor(given.jobs) as pool:
        good = list(pool.map(lambda name: fuzz(name, each, given.corpus), names))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Each step that uses chance, again and again, alone: `python tests/flaky.py [--times 20] [--first 1] [--only fuzz]`.

Run number n has the seed n: of hypothesis, of the hashes of Python (which decide in what order sets are walked), and of the
fuzzer. What depends on time and on the ports, keys and identifiers of real processes has no seed; it is only repeated.
The output of a run that fails stays in var/flaky. The containers take part when they are asked for: `--only compose`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
OUTPUTS = ROOT / "var" / "flaky"
PROCESSES = ("ami", "cis", "e2e", "hes", "meter_sim", "process")
"""The folders of tests that start some."""
PYTEST = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", os.environ.get("WORKERS", "auto"))


def properties(seed: int) -> list[str]:
    """The tests that draw examples; hypothesis marks them."""
    return [*PYTEST, f"--hypothesis-seed={seed}", "--size", "ci", "-m", "hypothesis", str(TESTS)]


def systems(seed: int) -> list[str]:
    """Real processes on real sockets, with keys and identifiers from the system; what has neither has no chance left."""
    return [*PYTEST, "-m", "not hypothesis", *(str(TESTS / name) for name in PROCESSES)]


def interop(seed: int) -> list[str]:
    return [*PYTEST, str(TESTS / "interop")]


def fuzz(seed: int) -> list[str]:
    return [str(ROOT / ".venv/fuzz/bin/python"), str(TESTS / "fuzz/run.py"), "--seed", str(seed)]


def chaos(seed: int) -> list[str]:
    return ["env", f"PYTHONPATH={TESTS}", sys.executable, "-m", "chaos", "--seed", str(seed)]


def demo(seed: int) -> list[str]:
    return [*PYTEST, str(TESTS / "ami/test_real_demo.py")]


def compose(seed: int) -> list[str]:
    return [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-m",
        "compose",
        "--timeout",
        "600",
        str(TESTS / "compose"),
    ]


STEPS = {step.__name__: step for step in (properties, fuzz, chaos, demo, interop, systems, compose)}
USUAL = tuple(name for name in STEPS if name != "compose")
"""Those that need no Docker engine."""


def run(name: str, seed: int) -> bool:
    """One step with one seed; whether it held."""
    environment = {**os.environ, "PYTHONHASHSEED": str(seed), "AMI_REQUIRE": "dlms-cosem,gurux-dlms"}
    environment.pop("CI", None)  # with it hypothesis would take seeds of its own
    started = time.monotonic()
    done = subprocess.run(
        STEPS[name](seed), cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    held = done.returncode == 0
    output = OUTPUTS / f"{name}-{seed}.txt"
    if not held:
        output.write_bytes(done.stdout)
    took = f"{time.monotonic() - started:.0f} s"
    print(
        f"{name:10} seed {seed:3}  {'held' if held else f'FAILED, see {output.relative_to(ROOT)}'}  ({took})",
        flush=True,
    )
    return held


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="seeds for each step")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--only", action="append", choices=tuple(STEPS), help="these steps")
    given = parser.parse_args()
    OUTPUTS.mkdir(parents=True, exist_ok=True)
    seeds = range(given.first, given.first + given.times)
    failed = {name: [seed for seed in seeds if not run(name, seed)] for name in given.only or USUAL}
    print("\nstep        held  failed with seed")
    for name, bad in failed.items():
        print(f"{name:10} {len(seeds) - len(bad):3}/{len(seeds)}  {', '.join(map(str, bad)) or 'none'}")
    return 1 if any(failed.values()) else 0


if __name__ == "__main__":
    sys.exit(main())

"""Which defects `ami conformance run` finds: each in a simulated meter of its own, over the transports where it shows, tested as a stranger's.

A defect counts as found when a test of the plan that ought to find it fails, and as noticed when another test of the run does. The same tests
are run on the same meter without a defect: what fails there is a false alarm.

    python tests/meter_sim/defect_score.py --model single-phase --transport tcp --allow s2
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomli_w

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from free_ports import free_port

from ami_meter_sim.faults.defects.table import DefectRow, rows

EK, AK = bytes(range(16)).hex(), bytes(range(0xD0, 0xE0)).hex()
PASSWORD = b"12345678".hex()
HEALTHY = "healthy"
TRANSPORTS = {"tcp": {}, "hdlc": {"transport": "hdlc"}}
PATIENCE_S = 600.0
AT_ONCE = 2


def entry(number: int, name: str, model: str, transport: str) -> dict[str, Any]:
    """A meter with keys, or where passwords are at stake with one of these."""
    found = {
        "name": name,
        "address": f"127.0.0.1:{free_port()}",
        "authentication": "hls-gmac",
        "encryption_key": EK,
        "authentication_key": AK,
        "system_title": f"414D49{number:010X}",
        "logical_device_name": f"AMI{number:013d}",
        "device_id": str(number),
        "simulated": {"model": model},
    }
    if name.endswith("compares-prefix"):
        found |= {"authentication": "lls", "secret": PASSWORD, "ciphering": "none"}
    return found | TRANSPORTS[transport]


@contextmanager
def meters(directory: Path, names: Sequence[str], model: str, transport: str) -> Iterator[Path]:
    """One process with a meter of each name, with the defect of this name, and without any for those that begin with HEALTHY."""
    config = directory / "meters.toml"
    entries = [entry(number, name, model, transport) for number, name in enumerate(names, 3001)]
    faults = [{"fault": name, "meters": [name]} for name in names if not name.startswith(HEALTHY)]
    document = {"meter_sim": {"state": str(directory / "state")}, "meters": entries, "faults": faults}
    config.write_text(tomli_w.dumps(document), "utf-8")
    command = [sys.executable, "-m", "ami_meter_sim", "serve", "--config", str(config)]
    with (
        (directory / "meters.log").open("w+", encoding="utf-8") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout is not None
        ready = process.stdout.readline()
        if '"ready"' not in ready:
            raise SystemExit(f"the meters did not start: {ready}")
        drain = ThreadPoolExecutor(1)
        drain.submit(process.stdout.read)
        try:
            yield config
        finally:
            process.terminate()
            drain.shutdown()


def tested(directory: Path, config: Path, name: str, tests: Sequence[str], allow: str) -> dict[str, str]:
    """The verdict of each test that was run; of a run that ended without a report, its last words."""
    report = directory / f"{name}.json"
    command = [sys.executable, "-m", "ami_cli", "conformance", "run", "--registry", str(config), "--meter", name]
    command += ["--allow", allow, "--json", str(report), "--journal", str(directory / f"{name}.journal")]
    command += [word for test in tests for word in ("--test", test)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL)
    if not report.exists():
        return {
            "run": (done.stderr or done.stdout).strip().splitlines()[-1][:120] if done.stderr or done.stdout else "?"
        }
    return dict(_verdicts(json.loads(report.read_text("utf-8"))))


def _verdicts(document: Any) -> Iterator[tuple[str, str]]:
    """Every object of the report that has an id and a verdict."""
    if isinstance(document, Mapping):
        verdict = document.get("verdict")
        name = document.get("id") or document.get("test")
        if isinstance(verdict, str) and isinstance(name, str):
            yield name, verdict
        for one in document.values():
            yield from _verdicts(one)
    elif isinstance(document, list):
        for one in document:
            yield from _verdicts(one)


def judged(row: DefectRow, verdicts: Mapping[str, str], healthy: Mapping[str, str]) -> str:
    """In a word."""
    failed = [name for name, verdict in verdicts.items() if verdict == "fail" and healthy.get(name) != "fail"]
    if set(failed) & set(row.tests):
        return "found"
    if failed:
        return f"noticed by {', '.join(failed[:3])}"
    if "run" in verdicts:
        return "no report"
    return "not run" if set(verdicts.values()) == {"not run"} else "missed"


def main() -> int:
    """The table, and how many of each group were found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="single-phase")
    parser.add_argument("--transport", choices=TRANSPORTS, default="tcp")
    parser.add_argument("--allow", default="s2")
    parser.add_argument("--only", nargs="*", default=[])
    given = parser.parse_args()
    chosen = [
        row
        for row in rows().values()
        if given.transport in row.transports and (not given.only or row.name in given.only)
    ]
    planned = sorted({test for row in chosen for test in row.tests})
    names = [*(row.name for row in chosen), HEALTHY, f"{HEALTHY}-compares-prefix"]
    score = Counter[tuple[str, str]]()
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        with meters(directory, names, given.model, given.transport) as config, ThreadPoolExecutor(AT_ONCE) as pool:
            healthy = pool.submit(tested, directory, config, HEALTHY, planned, given.allow).result()
            runs = {row: pool.submit(tested, directory, config, row.name, row.tests, given.allow) for row in chosen}
            print(f"without a defect: {dict(Counter(healthy.values()))}")
            for name, verdict in healthy.items():
                if verdict == "fail":
                    print(f"  false alarm: {name}")
            for row, run in runs.items():
                verdicts = run.result()
                word = judged(row, verdicts, healthy)
                score[row.group, word.split(" by ")[0]] += 1
                said = ", ".join(f"{name} {verdict}" for name, verdict in verdicts.items())
                print(f"{row.group:16} {row.name:30} {word:12} {said}", flush=True)
    for group in dict.fromkeys(row.group for row in chosen):
        words = {word: number for (of, word), number in score.items() if of == group}
        print(f"{group:16} {', '.join(f'{number} {word}' for word, number in words.items())}")
    words = Counter[str]()
    for (_, word), number in score.items():
        words[word] += number
    print(
        f"over {given.transport}, {len(chosen)} defects: {', '.join(f'{number} {word}' for word, number in words.items())}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

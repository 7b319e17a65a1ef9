"""The fuzzer's targets on its seeds, cut short and altered, and on all that it has ever found: no fuzzer is needed for that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from targets import TARGETS, findings

MOST = 60
RUN = Path(__file__).with_name("run.py")


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name: str) -> None:
    target = TARGETS[name]
    everything = list(target.seeds())
    some = everything[:: len(everything) // MOST + 1]
    assert some
    for number, octets in enumerate(some):
        target.take(octets)
        target.take(octets[: number * 7 % (len(octets) or 1)])
        altered = bytearray(octets)
        for at in range(number % 5, len(octets), 5):
            altered[at] ^= 1 << at % 8
        target.take(bytes(altered))


@pytest.mark.parametrize(("target", "octets"), [pytest.param(*what, id=name) for name, *what in findings()])
def test_finding(target: str, octets: bytes) -> None:
    TARGETS[target].take(octets)


@pytest.mark.ci
@pytest.mark.needs("atheris")
def test_a_seeded_run_is_the_same_each_time(tmp_path: Path) -> None:
    """The target whose runs differed most while only the seed was fixed.

    The fuzzer is not a child of this process: what Linux calls the most memory of a program, which it watches, starts with
    that of the process that began it, and a test process may have had more than it is allowed.
    """
    kept = []
    for corpus in (tmp_path / "first", tmp_path / "second"):
        options = ("--seed", "1", "--only", "table", "--corpus", str(corpus))
        done = subprocess.run([sys.executable, RUN, *options], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
        kept.append({path.name for path in (corpus / "table").iterdir()})
    assert len(kept[0]) > 10
    assert kept[0] == kept[1]

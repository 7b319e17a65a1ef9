"""The fuzzer's targets on its seeds, cut short and altered, and on all that it has ever found: no fuzzer is needed for that."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import run
from targets import TARGETS, findings

MOST = 60


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


@pytest.mark.needs("atheris")
def test_a_seeded_run_is_the_same_each_time(tmp_path: Path) -> None:
    """The target whose runs differed most while only the seed was fixed."""
    kept = []
    for corpus in (tmp_path / "first", tmp_path / "second"):
        assert run.everything(["table"], 1, corpus, ["-seed=1"])
        kept.append({path.name for path in (corpus / "table").iterdir()})
    assert len(kept[0]) > 10
    assert kept[0] == kept[1]

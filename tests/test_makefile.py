"""What the Makefile does without an environment: cleaning, and saying what can be made."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder like this one, with what a developer's day leaves in it."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for made in (
        ".venv/bin/python",
        "var/demo/hes.sqlite",
        ".mypy_cache/x",
        ".hypothesis/x",
        "hes/src/hes/__pycache__/x.pyc",
        "hes/src/ami_hes.egg-info/PKG-INFO",
        "captures/mine.pcap",
        "hes/src/hes/app.py",
        ".git/objects/__pycache__/x",
    ):
        (tmp_path / made).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / made).touch()
    return tmp_path


def make(tree: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["make", "-C", str(tree), *arguments], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_clean_leaves_what_was_not_made_here(tree: Path) -> None:
    make(tree, "clean")
    left = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
    assert left == {"Makefile", "captures/mine.pcap", "hes/src/hes/app.py", ".git/objects/__pycache__/x"}


def test_help_names_every_target(tree: Path) -> None:
    phony = next(line for line in (ROOT / "Makefile").read_text("utf-8").splitlines() if line.startswith(".PHONY:"))
    told = {line.split()[0] for line in make(tree, "-s", "help").splitlines()}
    assert told == set(phony.removeprefix(".PHONY:").split())

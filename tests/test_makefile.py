"""What the Makefile does without an environment: cleaning, and listing the targets."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from patience import PATIENCE_S

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
        "hes/src/ami_hes/__pycache__/x.pyc",
        "hes/src/ami_hes.egg-info/PKG-INFO",
        "captures/mine.pcap",
        "hes/src/ami_hes/app.py",
        ".git/objects/__pycache__/x",
    ):
        (tmp_path / made).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / made).touch()
    return tmp_path


def make(tree: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["make", "-C", str(tree), *arguments], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_clean_leaves_what_was_not_made_here(tree: Path) -> None:
    make(tree, "clean")
    left = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
    assert left == {"Makefile", "captures/mine.pcap", "hes/src/ami_hes/app.py", ".git/objects/__pycache__/x"}


def test_help_names_every_target(tree: Path) -> None:
    phony = next(line for line in (ROOT / "Makefile").read_text("utf-8").splitlines() if line.startswith(".PHONY:"))
    told = {line.split()[0] for line in make(tree, "-s", "help").splitlines()}
    assert told == set(phony.removeprefix(".PHONY:").split())


@pytest.fixture
def installing(tree: Path) -> Path:
    """The same with a Python in .venv that only says how it was called."""
    shutil.copytree(ROOT / "requirements", tree / "requirements")
    shutil.copy(ROOT / "VERSION", tree)
    for package in re.findall(r"^PACKAGES := (.*)$", (tree / "Makefile").read_text("utf-8"), re.MULTILINE)[0].split():
        (tree / package).mkdir(parents=True, exist_ok=True)
        (tree / package / "pyproject.toml").touch()
    python = tree / ".venv/bin/python"
    python.write_text('#!/bin/sh\necho "pip: $*"\n')
    python.chmod(0o755)
    return tree


def test_installing_says_a_line_for_each_step_where_nobody_watches(installing: Path) -> None:
    done = subprocess.run(
        ["make", "-C", str(installing), ".venv/.run"], capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^installing \d\d+ packages that requirements/run.txt locks into .venv, once$", done.stderr, re.M)
    assert re.search(r"^installing the \d+ packages of this repository$", done.stderr, re.M)
    assert all("--quiet" in line for line in done.stdout.splitlines() if line.startswith("pip:"))


def test_installing_shows_the_progress_of_pip_on_a_terminal(installing: Path) -> None:
    terminal, far_end = pty.openpty()
    done = subprocess.run(
        ["make", "-C", str(installing), ".venv/.run"],
        stdout=subprocess.PIPE,
        stderr=far_end,
        text=True,
        timeout=PATIENCE_S,
    )
    os.close(far_end)
    os.close(terminal)
    assert done.returncode == 0
    first, second = (line for line in done.stdout.splitlines() if line.startswith("pip:"))
    assert "-m pip install" in first
    assert "--quiet" not in first
    assert "--quiet" in second, "nothing is downloaded in the second step"


MAKE_DEMO = re.findall(r"`(make demo [A-Z][^`]*)`", (ROOT / "README.md").read_text("utf-8"))


@pytest.mark.parametrize("command", MAKE_DEMO)
def test_each_option_of_the_readme_reaches_the_demo(tree: Path, command: str) -> None:
    options = dict(word.split("=") for word in command.split()[2:])
    (tree / ".venv/.run").touch()
    shown = make(tree, "-n", "-o", ".venv/.run", *command.split()[1:])
    for name, value in options.items():
        flag = f"--{name.lower().replace('_', '-')}"
        assert (flag if value == "1" and name in ("JSON", "TLS") else f"{flag} {value}") in shown


def test_a_misspelt_variable_is_refused_with_those_that_there_are(tree: Path) -> None:
    done = subprocess.run(
        ["make", "-C", str(tree), "-n", "demo", "CYCELS=1"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 2 and done.stdout.count("ami demo") == 0
    assert "there is no variable CYCELS; known are" in done.stderr and " CYCLES " in done.stderr


def test_every_variable_that_a_target_takes_is_a_known_one(tree: Path) -> None:
    text = (tree / "Makefile").read_text("utf-8")
    taken = set(re.findall(r"\$\(call (?:given|option|flag),([A-Z_]+)", text)) | set(
        re.findall(r"^([A-Z]+) \?=", text, re.M)
    )
    shown = set(re.findall(r"\b([A-Z]{2,}(?:_[A-Z]+)*|N)=", "".join(re.findall(r"##.*", text))))
    known = re.findall(r"^KNOWN = ((?:.*\\\n)*.*)$", text, re.M)[0].replace("\\", "").split()
    assert taken | shown <= set(known), sorted((taken | shown) - set(known))
    values = {name: "x" for name in known if name not in ("SHELL", "BIN", "VENV", "PYTHON")}
    make(tree, "-n", "-o", ".venv/.run", "demo", *(f"{name}={value}" for name, value in values.items()))
    make(tree, "-n", "-o", ".venv/.dev", "test", "ARGS=tests/ami -k 'a=b'")

"""CI: what is installed before the tests, the order of the steps, and the workflow of a hosted runner that takes the same way."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import acceptance
import pytest
import sizes
import yaml
from patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[1]
WORKFLOW = ROOT / ".github/workflows/ci.yml"
SYSTEM = ("bash", "dirname", "cat", "env")
OURS = ("prepare", "run", "with-prefix")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with our scripts of CI alone, in a directory where nothing else is found on the search path."""
    shutil.copytree(ROOT / ".ci", tmp_path / "repository/.ci")
    (tmp_path / "bin").mkdir()
    for name in SYSTEM:
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or name)
    return tmp_path / "repository"


def program(tree: Path, name: str, script: str = "") -> None:
    """A program that only says how it was called."""
    path = tree.parent / "bin" / name
    path.write_text(f'#!{shutil.which("bash")}\necho "called: {name} $*" >&2\n{script}\n')
    path.chmod(0o755)


def run(tree: Path, script: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(tree.parent / "bin"), "HOME": str(tree)}
    command = [str(tree / ".ci" / script)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def called(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line.removeprefix("called: ") for line in done.stderr.splitlines() if line.startswith("called: ")]


@pytest.mark.parametrize("name", OURS)
def test_a_script_is_executable_and_can_be_read(name: str) -> None:
    script = ROOT / ".ci" / name
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


@pytest.mark.parametrize(("user", "before"), [(0, ""), (1000, "sudo ")])
def test_what_is_missing_is_installed_by_root_or_with_sudo(tree: Path, user: int, before: str) -> None:
    for name in ("apt-get", "mkdir", "tee", "sudo"):
        program(tree, name)
    program(tree, "id", f"echo {user}")
    (tree.parent / "bin/python3").symlink_to(sys.executable)
    done = run(tree, "prepare")
    assert done.returncode == 0, done.stderr
    assert f"{before}apt-get update -qq" in called(done)
    (line,) = [line for line in called(done) if " install " in line and line.startswith(("sudo", "apt-get"))]
    assert line.startswith("sudo env " if user else "apt-get ")
    assert {"make", "git", "curl", "tshark", "wireshark-common"} <= set(line.split())
    assert "prepare: installing" in done.stdout


def test_what_is_there_is_left_alone(tree: Path) -> None:
    for name in ("make", "git", "curl", "initdb", "chromium", "tshark", "capinfos", "python3", "apt-get"):
        program(tree, name)
    done = run(tree, "prepare")
    assert (done.returncode, done.stdout) == (0, "prepare: everything is installed\n")
    assert [line for line in called(done) if "apt-get" in line] == []


def test_without_apt_the_missing_are_named(tree: Path) -> None:
    done = run(tree, "prepare")
    assert done.returncode == 1
    assert "install these yourself" in done.stderr and "curl" in done.stderr


def test_the_steps_end_with_their_seconds(tree: Path) -> None:
    for name in ("make", "docker"):
        program(tree, name)
    (tree / ".ci/prepare").write_text(f"#!{shutil.which('bash')}\n")
    done = run(tree, "run")
    assert done.returncode == 0, done.stderr
    made = [line.split()[1] for line in called(done) if line.startswith("make")]
    assert made == [
        "setup",
        "parquet",
        "telemetry",
        "manifests",
        "check",
        "test-wheels",
        "interop",
        "fuzz",
        "sbom",
        "audit-dependencies",
        "test",
        "test-compose",
    ]
    after = done.stdout.partition("all of it holds\n")[2]
    assert re.findall(r"^ +\d+ s  (?:.ci/with-prefix )?(?:make )?(\S+)", after, re.MULTILINE) == [
        ".ci/prepare",
        *made[:-1],
        "engine",
        made[-1],
    ]


ROUTE = """
case "$*" in
*show*) test ! -e route || echo local 2001:db8:1::/64;;
*add*) echo > route;;
*) rm route;;
esac
"""
"""An `ip` that has one route, a file where it is called."""


def with_prefix(tree: Path, *, before: str = "") -> subprocess.CompletedProcess[str]:
    program(tree, "tested", 'echo "with $AMI_REQUIRE" >&2; test -e route && echo routed >&2; exit 3')
    command = ["bash", "-c", f'{before} AMI_REQUIRE=proc exec .ci/with-prefix tested "a b"']
    environment = {"PATH": str(tree.parent / "bin")}
    return subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


@pytest.mark.parametrize(("user", "by"), [(0, "ip"), (1000, "sudo -n ip")])
def test_a_prefix_is_routed_for_a_command_and_then_no_longer(tree: Path, user: int, by: str) -> None:
    for name, script in (("id", f"echo {user}"), ("ip", ROUTE), ("sudo", f'shift; shift; set -- "$@"{ROUTE}')):
        program(tree, name, script)
    (tree.parent / "bin/rm").symlink_to(shutil.which("rm") or "rm")
    done = with_prefix(tree)
    assert done.returncode == 3, "that of the command"
    said = done.stderr.splitlines()
    assert "called: tested a b" in said and "with proc,routed-prefix" in said and "routed" in said
    assert f"called: {by} -6 route del local 2001:db8:1::/64 dev lo" in said
    assert not (tree / "route").exists()


def test_a_prefix_that_was_routed_before_stays(tree: Path) -> None:
    program(tree, "id", "echo 0")
    program(tree, "ip", ROUTE)
    done = with_prefix(tree, before="echo > route;")
    assert "with proc,routed-prefix" in done.stderr
    assert (tree / "route").exists()


def test_where_no_prefix_can_be_routed_it_says_so_and_requires_none(tree: Path) -> None:
    program(tree, "id", "echo 1000")
    program(tree, "sudo", "echo 'a password is required' >&2; exit 1")
    done = with_prefix(tree)
    assert done.returncode == 3
    assert "with-prefix: no prefix can be routed here" in done.stderr
    assert "with proc" in done.stderr.splitlines()


def test_without_a_docker_engine_it_says_what_to_do(tree: Path) -> None:
    program(tree, "make")
    (tree / ".ci/prepare").write_text(f"#!{shutil.which('bash')}\n")
    done = run(tree, "run")
    assert done.returncode == 1
    assert "No Docker engine answers" in done.stderr and "apt-get install docker.io" in done.stderr
    assert "make test-compose" not in called(done)


def test_the_hosted_workflow_runs_the_same_script() -> None:
    workflow: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text("utf-8"))
    jobs = workflow["jobs"]
    commands = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()}
    assert commands == {"linux": [".ci/run"], "macos": ["make demo CYCLES=2", "make test"]}
    assert {name: job["runs-on"] for name, job in jobs.items()} == {"linux": "ubuntu-latest", "macos": "macos-latest"}
    assert workflow["permissions"] == {"contents": "read"}
    used = [step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step]
    assert len(used) >= len(jobs)
    assert [action for action in used if not re.fullmatch(r"[\w-]+/[\w-]+@v\d+\.\d+\.\d+", action)] == []


def test_a_step_of_the_acceptance_says_what_it_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance, "OUTPUTS", tmp_path)
    says, fails = (sys.executable, "-c", "print('12 passed')"), (sys.executable, "-c", "raise SystemExit('1 failed')")
    held, failed = acceptance.run("good", (says, says)), acceptance.run("bad", (says, fails, says))
    assert (held.held, held.found, failed.held, failed.found) == (True, "12 passed", False, "1 failed")
    measured = acceptance.run("bench", (says,))
    rows = [line.split()[:2] for line in acceptance.table([held, failed, measured]).splitlines()[1:]]
    assert rows == [["good", "held"], ["bad", "FAILED"], ["bench", "measured"]]
    assert (tmp_path / "bad.txt").read_text().splitlines() == ["12 passed", "1 failed"]


def test_the_acceptance_measures_beside_another_checkout_where_one_is_named() -> None:
    bench, *others = acceptance.commands_of("bench", "other/python -m ami_hes serve")
    assert bench[1:] == ("bench", "--meters", "2,100,1000", "--against", "other/python -m ami_hes serve")
    assert tuple(others) == acceptance.STEPS["bench"][1:]
    assert acceptance.commands_of("tests", "other") == acceptance.STEPS["tests"]


def test_each_size_tries_a_property_with_more_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {}
    for size in sizes.SHARE:
        monkeypatch.setattr(sizes, "chosen", size)
        drawn[size] = [sizes.examples(of_ci) for of_ci in (8, 60, 400)]
    assert drawn == {"test": [8, 12, 60], "ci": [8, 60, 400], "acceptance": [40, 300, 2_000]}

"""CIS, HES and simulated meters read no clock, wait for none and throw no dice but by what they are handed (`Environment`)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SERVICES = ("cis/src", "hes/src", "meter-sim/src")
MODULES = {"time", "random", "secrets", "uuid"}
"""Their functions are clocks and dice; types may be used, and what is a function of its arguments."""
TYPES = {"UUID", "uuid5", "NAMESPACE_URL"}
CALLS = {"now", "utcnow", "today", "sleep", "time", "monotonic", "perf_counter", "call_later", "call_at", "urandom"}
ENVIRONMENT = {"environment", "_environment", "means", "_means", "context", "_context", "self"}
"""Whose `now` and `sleep` are those that were handed in."""
ALLOWED = {
    "hes/src/ami_hes/engine/memory_commands.py": "an engine keeps the pauses of its deliveries itself, as a broker does",
    "hes/src/ami_hes/engine/memory_queue.py": "an engine keeps the pauses of its deliveries itself, as a broker does",
    "hes/src/ami_hes/store/migrations/r0002_attempts_and_keys.py": "an upgrade notes when it ran, outside of any process",
    "hes/src/ami_hes/store/restored.py": "a store is restored by command, outside of any process",
    "meter-sim/src/ami_meter_sim/population/store.py": "a journal's file has a name that no other process has, however chance is played",
    "cis/src/ami_cis/client.py": "the command line, a program of its own that asks the process",
}


def offences(source: str) -> Iterator[str]:
    """What reads a clock or throws dice by itself, with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module in MODULES:
            yield from (f"{node.lineno}: {node.module}.{one.name}" for one in node.names if one.name not in TYPES)
        elif isinstance(node, ast.Import):
            yield from (f"{node.lineno}: {one.name}" for one in node.names if one.name in MODULES)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CALLS:
            owner = node.func.value
            name = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
            gives_way = node.func.attr == "sleep" and [ast.unparse(one) for one in node.args] == ["0"]
            if name not in ENVIRONMENT and not gives_way:
                yield f"{node.lineno}: {ast.unparse(node.func)}"


@pytest.mark.parametrize("service", SERVICES)
def test_no_clock_is_read_outside_of_the_environment(service: str) -> None:
    found = {
        str(path.relative_to(ROOT)): wrong
        for path in sorted((ROOT / service).rglob("*.py"))
        if (wrong := list(offences(path.read_text("utf-8")))) and str(path.relative_to(ROOT)) not in ALLOWED
    }
    assert not found, "time and chance come from the Environment; of sockets from real_time and real_sleep"


def test_what_is_allowed_is_still_needed() -> None:
    assert all(list(offences((ROOT / path).read_text("utf-8"))) for path in ALLOWED)


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from time import monotonic",
        "from uuid import uuid4",
        "datetime.now(UTC)",
        "datetime.datetime.now()",
        "await asyncio.sleep(1)",
        "asyncio.get_running_loop().time()",
        "loop.call_later(1, work)",
        "os.urandom(8)",
    ],
)
def test_the_search_finds_each_of_them(source: str) -> None:
    assert list(offences(source.removeprefix("await "))), source


def test_the_search_leaves_what_is_handed_in() -> None:
    handed = "self._environment.now(); environment.sleep(1); self.now(); asyncio.sleep(0); real_sleep(1); real_time()"
    assert not list(offences(handed))

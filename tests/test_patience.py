"""No test fails because the machine is slow: what waits for something that has to come names the one long limit, or waits less than a second for nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import PATIENCE_S

TESTS = Path(__file__).parent
ELSEWHERE = ("interop/peers", "fuzz")
"""What runs in other environments, or measures how slow something is."""
HTTP = {f"httpx.{name}" for name in ("AsyncClient", "Client", "delete", "get", "patch", "post", "put", "request")}
"""Whose own limit is 5 s."""


def modules() -> list[Path]:
    return [path for path in sorted(TESTS.rglob("*.py")) if not str(path.relative_to(TESTS)).startswith(ELSEWHERE)]


def limits(call: ast.Call) -> Iterator[ast.expr | None]:
    """The limits that a call sets; None for one that it leaves to a library."""
    name = ast.unparse(call.func)
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if name in HTTP:
        yield given.get("timeout")
    elif name == "asyncio.timeout":
        yield call.args[0]
    elif name == "asyncio.wait_for":
        yield call.args[1] if len(call.args) > 1 else given["timeout"]
    elif name == "subprocess.run" or name.endswith((".communicate", ".create_connection", ".urlopen")):
        yield given.get("timeout", ast.Constant(PATIENCE_S))


def short(limit: ast.expr | None) -> bool:
    return limit is None or (isinstance(limit, ast.Constant) and 1 <= limit.value < PATIENCE_S / 2)


def hurried(source: str) -> list[int]:
    """The lines of its hurried calls."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return sorted(call.lineno for call in calls if any(map(short, limits(call))))


def test_no_test_is_in_a_hurry() -> None:
    found = [f"{path.relative_to(TESTS)}:{line}" for path in modules() for line in hurried(path.read_text("utf-8"))]
    assert not found, "use patience.PATIENCE_S: " + ", ".join(found)


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("httpx.get(url)", [1]),
        ("httpx.get(url, timeout=20)", [1]),
        ("httpx.get(url, timeout=PATIENCE_S)", []),
        ("asyncio.wait_for(one, 5)", [1]),
        ("asyncio.wait_for(one, timeout=0.2)", []),
        ("async def one():\n    async with asyncio.timeout(20): ...", [2]),
        ("subprocess.run(one)\nsubprocess.run(one, timeout=40)", [2]),
    ],
)
def test_a_hurried_call_is_seen(source: str, lines: list[int]) -> None:
    assert hurried(source) == lines

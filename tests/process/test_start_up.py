"""What a program has no use for while it starts is not loaded then, because each takes a part of the second that a start takes."""

from __future__ import annotations

import subprocess
import sys

import pytest

LISTED = """
import sys
import {program}.__main__
print(*sys.modules)
"""
FORBIDDEN = {
    "ami_cis": {"alembic", "cryptography", "fastapi", "numpy", "structlog"},
    "ami_cli": {"alembic", "cryptography", "fastapi", "httpx", "lxml", "numpy", "sqlalchemy", "structlog", "zeep"},
    "ami_hes": {"alembic", "fastapi", "numpy", "zeep"},
    "ami_meter_sim": {"alembic", "fastapi", "httpx", "lxml", "rich", "structlog", "zeep"},
}


@pytest.mark.parametrize("program", FORBIDDEN)
def test_what_a_start_does_not_load(program: str) -> None:
    source = LISTED.format(program=program)
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert program in loaded
    assert loaded.isdisjoint(FORBIDDEN[program]), sorted(loaded & FORBIDDEN[program])

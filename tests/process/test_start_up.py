"""What a program has no use for while it starts is not loaded then, because each takes a part of the second that a start takes."""

from __future__ import annotations

import subprocess
import sys

import pytest

LISTED = """
import sys
import {module}
print(*sys.modules)
"""
FORBIDDEN = {
    "ami_cis.__main__": {"alembic", "cryptography", "fastapi", "numpy", "structlog"},
    "ami_cli.__main__": {
        "alembic",
        "cryptography",
        "fastapi",
        "httpx",
        "lxml",
        "numpy",
        "sqlalchemy",
        "structlog",
        "zeep",
    },
    "ami_hes.__main__": {"alembic", "fastapi", "numpy", "zeep"},
    "ami_meter_sim.__main__": {
        "alembic",
        "fastapi",
        "httpx",
        "lxml",
        "numpy",
        "rich",
        "sqlalchemy",
        "structlog",
        "zeep",
    },
    "ami_meter_sim.app": {"alembic", "fastapi", "httpx", "lxml", "rich", "structlog", "zeep"},
}


@pytest.mark.parametrize("module", FORBIDDEN)
def test_what_a_start_does_not_load(module: str) -> None:
    source = LISTED.format(module=module)
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert module.partition(".")[0] in loaded
    assert loaded.isdisjoint(FORBIDDEN[module]), sorted(loaded & FORBIDDEN[module])

"""What a program has no use for while it starts is not loaded then, because each takes a part of the second that a start takes."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIST_OF_COMMANDS = """
import sys
from {package}.__main__ import app
app(["--help"], standalone_mode=False)
print("----", *sys.modules)
"""
SERVICES = {
    "alembic",
    "ami_cim",
    "ami_dlms",
    "cryptography",
    "fastapi",
    "httpx",
    "lxml",
    "numpy",
    "pydantic",
    "sqlalchemy",
    "starlette",
    "structlog",
    "uvicorn",
    "zeep",
}
"""What only a sub-command has use for."""
LISTED = """
import sys
import {module}
print(*sys.modules)
"""
FORBIDDEN = {
    "ami_cis.app": {"alembic", "cryptography", "fastapi", "numpy", "structlog"},
    "ami_cli.demo_command": {
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
    "ami_hes.app": {"alembic", "fastapi", "numpy", "zeep"},
    "ami_meter_sim.app": {"alembic", "fastapi", "httpx", "lxml", "rich", "structlog", "zeep"},
}
ASKING = """
import sys
from importlib import import_module
from {package}.__main__ import COMMANDS
modules = sorted({{late.where.partition(":")[0] for name, late in COMMANDS.items() if name != "store"}})
for module in modules:
    import_module(module)
print(len(modules), "----", *sys.modules)
"""
ASKED_ONLY = {
    "ami_cis.app",
    "ami_cis.store",
    "ami_cis.workflows",
    "ami_dlms.security",
    "ami_hes.app",
    "ami_hes.meters",
    "ami_hes.store",
    "alembic",
    "cryptography",
    "fastapi",
    "jinja2",
    "lxml",
    "numpy",
    "sqlalchemy",
    "starlette",
    "structlog",
    "uvicorn",
    "zeep",
}
"""What a process has use for, and a command that asks one has not (docs/adr/0051)."""


@pytest.mark.parametrize("module", FORBIDDEN)
def test_what_a_start_does_not_load(module: str) -> None:
    source = LISTED.format(module=module)
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert module.partition(".")[0] in loaded
    assert loaded.isdisjoint(FORBIDDEN[module]), sorted(loaded & FORBIDDEN[module])


@pytest.mark.parametrize("package", ["ami_cis", "ami_cli", "ami_hes", "ami_meter_sim"])
def test_the_list_of_commands_loads_no_service(package: str) -> None:
    source = LIST_OF_COMMANDS.format(package=package)
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True)
    listed, _, modules = done.stdout.partition("----")
    assert "Commands" in listed
    loaded = {name.partition(".")[0] for name in modules.split()}
    assert package in loaded
    assert loaded.isdisjoint(SERVICES), sorted(loaded & SERVICES)


@pytest.mark.parametrize("package", ["ami_cis", "ami_hes"])
def test_commands_that_ask_a_process_load_nothing_of_it(package: str) -> None:
    source = ASKING.format(package=package)
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True)
    number, _, modules = done.stdout.partition("----")
    assert int(number) >= 5
    loaded = set(modules.split())
    assert f"{package}.client" in loaded
    assert loaded.isdisjoint(ASKED_ONLY), sorted(loaded & ASKED_ONLY)

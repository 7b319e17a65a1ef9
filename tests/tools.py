"""What tests need beside Python: `@pytest.mark.needs("curl")` says it, and nothing else may skip a test.

Where a tool is missing the test is skipped, and the run ends with the list of what it skipped and why. Where AMI_REQUIRE names
the tool (AMI_REQUIRE=curl,docker), the test fails instead. CI requires all of them; a routed prefix where the machine lets it
route one (.ci/with-prefix), and `make acceptance` everywhere.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import nats_server
import pytest
import warm_start

ROOT = Path(__file__).resolve().parents[1]
VARIABLE = "AMI_REQUIRE"


@dataclass(frozen=True)
class Tool:
    """How a tool is found, and how one gets it."""

    found: Callable[[], bool]
    how: str


def _program(name: str) -> Tool:
    return Tool(lambda: shutil.which(name) is not None, f"{name} is not installed (.ci/prepare)")


def _environment(name: str, how: str) -> Tool:
    return Tool((ROOT / ".venv" / name / "bin/python").exists, how)


def _docker() -> bool:
    return shutil.which("docker") is not None and not subprocess.run(["docker", "info"], capture_output=True).returncode


def _postgresql() -> bool:
    """The programs of a server; Debian keeps them out of the search path."""
    return bool(shutil.which("initdb") or list(Path("/usr/lib/postgresql").glob("*/bin/initdb")))


def _nats() -> bool:
    """A server of NATS, by its wheel or otherwise."""
    return nats_server.program() is not None


PREFIX = "2001:db8:1::/64"
"""Of IPv6, as the how-to routes it."""


def _routed() -> bool:
    """Whether addresses of the prefix are this machine's."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
            one.connect((str(ip_network(PREFIX)[7]), 9))  # sends nothing
    except (AttributeError, OSError):  # other systems have no SO_BINDTODEVICE
        return False
    return True


def _loopback_block() -> bool:
    """Whether all of 127.0.0.0/8 are addresses of this machine: of macOS it is 127.0.0.1 alone."""
    try:
        with socket.socket() as one:
            one.bind(("127.0.0.2", 0))
    except OSError:
        return False
    return True


def _loads_lua() -> bool:
    """Whether the plug-in can be tried with the tshark that is installed."""
    from ami_cli.wireshark.installed import find_wireshark

    found = find_wireshark()
    return found is not None and found.program == "tshark" and not list(found.doubts(is_root=os.geteuid() == 0))


TOOLS = {
    "capinfos": _program("capinfos"),
    "chromium": _program("chromium"),
    "curl": _program("curl"),
    "docker": Tool(_docker, "no Docker engine answers `docker info`"),
    "glibc": Tool(lambda: platform.libc_ver()[0] == "glibc", "the C library of this system is not that of GNU"),
    "kubernetes-validate": Tool(
        lambda: find_spec("kubernetes_validate") is not None,
        "the schemas of Kubernetes are not installed (make manifests)",
    ),
    "linux": Tool(lambda: sys.platform == "linux", "this system is not Linux"),
    "loopback-block": Tool(_loopback_block, "127.0.0.2 is no address of this machine, as it is on Linux"),
    "nats": Tool(_nats, "no nats-server is installed (make setup, or the package nats-server)"),
    "opentelemetry": Tool(
        lambda: (
            find_spec("opentelemetry") is not None and find_spec("opentelemetry.sdk") is not None
        ),  # the API alone comes with others
        "the exporter of OpenTelemetry is not installed (make telemetry)",
    ),
    "postgresql": Tool(_postgresql, "no PostgreSQL server is installed (.ci/prepare)"),
    "proc": Tool(Path("/proc/self/clear_refs").exists, "this system has no /proc, as Linux has"),
    "pyarrow": Tool(
        lambda: find_spec("pyarrow") is not None,
        "pyarrow is not installed (make parquet)",
    ),
    "routed-prefix": Tool(
        _routed, f"no prefix is routed here (.ci/with-prefix, or ip route add local {PREFIX} dev lo)"
    ),
    "tshark": _program("tshark"),
    "tshark-lua": Tool(
        _loads_lua, "no tshark that loads Lua for this user (.ci/prepare; from 4.4 on none does for root)"
    ),
    "warm-start": Tool(warm_start.possible, "processes are started cold (COLD_STARTS, or no Linux)"),
    "supply": _environment("supply", "what writes and checks SBOMs is not installed (make sbom)"),
    "atheris": _environment("fuzz", "the fuzzer is not installed (make fuzz)"),
    "dlms-cosem": _environment("interop/dlms-cosem", "the peer is not installed (make interop)"),
    "gurux-dlms": _environment("interop/gurux", "the peer is not installed (make interop)"),
}


@cache
def is_here(name: str) -> bool:
    return TOOLS[name].found()


def required(environment: str | None) -> Collection[str]:
    """The tools that AMI_REQUIRE names; raises a usage error for one that there is not."""
    names = {name.strip() for name in (environment or "").split(",")} - {""}
    if unknown := names - TOOLS.keys():
        raise pytest.UsageError(f"{VARIABLE}: {sorted(unknown)[0]} is none of {', '.join(TOOLS)}")
    return names


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*names): tools of tests/tools.py without which the test is skipped")
    required(os.environ.get(VARIABLE))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or fail, before any fixture is made."""
    for name in (name for mark in item.iter_markers("needs") for name in mark.args):
        if is_here(name):
            continue
        if name in required(os.environ.get(VARIABLE)):
            pytest.fail(f"{VARIABLE} names {name}: {TOOLS[name].how}", pytrace=False)
        pytest.skip(f"{name}: {TOOLS[name].how}")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The list of skips, each reason once."""
    reports = terminalreporter.stats.get("skipped", [])
    reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in reports)
    if reasons:
        terminalreporter.section("skipped")
    for reason, times in reasons.most_common():
        terminalreporter.line(f"{times:5}  {reason}")

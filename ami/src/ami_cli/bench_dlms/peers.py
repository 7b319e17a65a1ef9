"""Foreign stacks for comparison, where somebody has installed them: each in a process and virtual environment of its own.

Nothing here imports them. Their scripts and the way to make the environments are in tests/interop of the sources.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ami_cli.bench_dlms.cores import ASKING, pin
from ami_cli.bench_dlms.ends import DlmsBenchError

NAMES = ("dlms-cosem", "gurux")
PEER_S = 120


@dataclass(frozen=True, slots=True)
class Peer:
    """One foreign stack: its interpreter and its script."""

    name: str
    python: Path
    script: Path

    def run(self, given: dict[str, Any]) -> dict[str, Any]:
        """What its script prints for this; DlmsBenchError when it fails."""
        command = [str(self.python), str(self.script), json.dumps(given)]
        try:
            outcome: dict[str, Any] = json.loads(_printed(command))
        except (OSError, subprocess.SubprocessError, ValueError) as trouble:
            raise DlmsBenchError(f"{self.name} does not run: {trouble}") from None
        if "error" in outcome:
            raise DlmsBenchError(f"{self.name}: {outcome['error']}")
        return outcome


def _printed(command: list[str]) -> bytes:
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:  # noqa: S603 - of this tree
        try:
            pin(process.pid, ASKING)
            return process.communicate(timeout=PEER_S)[0]
        finally:
            process.kill()


def installed(root: Path) -> dict[str, Peer]:
    """The stacks that can be run, below the root of the sources."""
    found = {}
    for name in NAMES:
        python = root / ".venv" / "interop" / name / "bin" / "python"
        script = root / "tests" / "interop" / "peers" / f"{name.replace('-', '_')}_load.py"
        if python.exists() and script.exists():
            found[name] = Peer(name, python, script)
    return found

"""The Wireshark of this machine, asked by its own programs: where it looks for plug-ins in Lua, and whether it will take ours."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("tshark", "wireshark")
FOLDER = re.compile(r"^Personal Lua Plugins:\s*(\S.*)$", re.MULTILINE)
VERSION = re.compile(r"\b(\d+)\.(\d+)\.\d+")
LUA = re.compile(r"\bwith Lua (5\.\d)")
OLDEST, IGNORES_LUA_AS_ROOT = (4, 0), (4, 4)
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Wireshark:
    """What a program says of itself: (4, 0), 5.2 or empty when it was built without Lua, and the folder."""

    program: str
    version: tuple[int, int]
    lua: str
    folder: Path | None

    def doubts(self, *, is_root: bool) -> Iterator[str]:
        """Why it may not load the plug-in, or not all of it."""
        if not self.lua:
            yield f"this {self.program} was built without Lua: it loads no plug-in"
        if self.version < OLDEST:
            yield f"this {self.program} is {self.version[0]}.{self.version[1]}: the plug-in is tried from 4.0 on"
        if is_root and self.version >= IGNORES_LUA_AS_ROOT:
            yield f"{self.program} {self.version[0]}.{self.version[1]} ignores Lua when it runs as root: run it as another user"


def find_wireshark() -> Wireshark | None:
    """The first of its programs that is installed and answers."""
    for program in PROGRAMS:
        path = shutil.which(program)
        if path is not None and (said := _ask(path, "--version")) is not None:
            version, lua = VERSION.search(said), LUA.search(" ".join(said.split()))
            folder = FOLDER.search(_ask(path, "-G", "folders") or "")
            return Wireshark(
                program,
                (int(version[1]), int(version[2])) if version else (0, 0),
                lua[1] if lua else "",
                Path(folder[1].strip()) if folder else None,
            )
    return None


def _ask(*command: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 (a program that was found on the search path, and words of ours)
            command, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None

"""Foreign programs, each in a process and a virtual environment of its own."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from matrix import COSEM_CLIENT, GURUX_CLIENT, GURUX_METER

ROOT = Path(__file__).resolve().parents[2]
PEERS = Path(__file__).parent / "peers"
PATIENCE_S = 30
SCRIPTS = {
    GURUX_CLIENT: ("gurux", "gurux_client.py"),
    GURUX_METER: ("gurux", "gurux_server.py"),
    COSEM_CLIENT: ("dlms-cosem", "dlms_cosem_client.py"),
}

DISTRIBUTIONS = {peer: {"gurux": "gurux-dlms"}.get(place, place) for peer, (place, _) in SCRIPTS.items()}
"""Of each peer, as `tests/tools.py` knows it."""


def python_of(peer: str) -> Path:
    return ROOT / ".venv" / "interop" / SCRIPTS[peer][0] / "bin" / "python"


@asynccontextmanager
async def running(peer: str, given: Mapping[str, Any]) -> AsyncIterator[Process]:
    """The peer's script at work; it is ended if it does not end by itself."""
    process = await asyncio.create_subprocess_exec(
        str(python_of(peer)), str(PEERS / SCRIPTS[peer][1]), json.dumps(given), stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def play(peer: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a client's script found: how opening went, and then each piece of work."""
    async with running(peer, given) as process:
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        assert process.returncode == 0, err.decode()
        found: dict[str, Any] = json.loads(out)
        return found

"""A process has uvloop's event loop where it is installed, and works without it."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from ami_process.event_loop import run

WITHOUT = """
import sys
sys.modules["uvloop"] = None
from ami_process.event_loop import run

async def module():
    import asyncio
    return type(asyncio.get_running_loop()).__module__

print(run(module()))
"""


async def loop_module() -> str:
    await asyncio.sleep(0)
    return type(asyncio.get_running_loop()).__module__


def test_the_loop_is_that_of_uvloop() -> None:
    assert run(loop_module()).startswith("uvloop")


def test_without_it_asyncio_has_one_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("asyncio.")

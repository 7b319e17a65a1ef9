"""How long the way of one request is: the modules and functions of ours that one disconnect of one meter enters, counted in one run.

CIS, HES and meter run in this process, on sockets, as for docs/one-request.md; counted is from the order to its reply, the threads of
the stores included (`sys.setprofile`). Run it with: python tests/way_of_a_request.py config/demo.toml
"""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path
from types import FrameType

from ami_cis.workflows.controls import Controls
from ami_cli import one_request


class Way:
    """What was entered while it is open."""

    def __init__(self) -> None:
        self.entered: set[tuple[str, str]] = set()
        self.open = False

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if self.open and event == "call" and "/src/ami_" in frame.f_code.co_filename:
            name = frame.f_code.co_filename.rpartition("/src/")[2]
            self.entered.add((name, frame.f_code.co_qualname))

    def described(self) -> str:
        modules = {module for module, _ in self.entered}
        packages = {
            package: len({m for m in modules if m.startswith(f"{package}/")})
            for package in sorted({m.split("/")[0] for m in modules})
        }
        return f"{len(modules)} modules, {len(self.entered)} functions; modules by package: {packages}"


def main(config: str) -> None:
    way, run = Way(), Controls.run

    async def counted(self: Controls, *order: object) -> object:
        way.open = True
        try:
            return await run(self, *order)  # type: ignore[arg-type]
        finally:
            way.open = False

    Controls.run = counted  # type: ignore[method-assign, assignment]
    threading.setprofile(way)
    sys.setprofile(way)
    asyncio.run(one_request.page(Path(config)))
    sys.setprofile(None)
    sys.stdout.write(way.described() + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

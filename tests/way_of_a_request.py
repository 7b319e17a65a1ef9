"""How long the way of one request is: the modules and functions of ours that one disconnect of one meter enters, counted in one run.

CIS, HES and meter run in this process, on sockets, as for docs/one-request.md; counted is from the order to its reply, the threads of
the stores included (`sys.setprofile`). The order is sent twice: what only the first enters is done once per process or per association
(codecs are made, the WSDL is read, the association is opened). What a comprehension becomes is no function, for it depends on the version of Python,
and neither is what only watches the run (`ami_cli`) or is entered while a module is imported.

Run it with: python tests/way_of_a_request.py config/demo.toml [MODULES]; MODULES is a file that gets every function by its module.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from ami_cis.workflows.controls import Controls
from ami_cli import one_request

Function = tuple[str, str]
"""Its module, as a path from the package on, and its qualified name."""
OURS = "/src/ami_"
WATCHES = "ami_cli/"
NO_FUNCTIONS = ("<genexpr>", "<listcomp>", "<setcomp>", "<dictcomp>")


class Way:
    """What was entered while it is open."""

    def __init__(self) -> None:
        self.entered: set[Function] = set()
        self.open = False

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if not self.open or event != "call" or OURS not in code.co_filename or code.co_name in NO_FUNCTIONS:
            return
        module = code.co_filename.rpartition("/src/")[2]
        if not module.startswith(WATCHES) and not any(one.f_code.co_name == "<module>" for one in _callers(frame)):
            self.entered.add((module, code.co_qualname))

    def take(self) -> set[Function]:
        """What was entered since it was asked last."""
        entered, self.entered = self.entered, set()
        return entered


def _callers(frame: FrameType) -> Iterator[FrameType]:
    """Itself and those that called it, as far as they are ours: the frame of a module that is being imported is among them."""
    one: FrameType | None = frame
    while one is not None and (OURS in one.f_code.co_filename or "importlib" in one.f_code.co_filename):
        yield one
        one = one.f_back


def table(first: set[Function], second: set[Function]) -> Iterator[str]:
    """A row per package: modules and functions of the first order, and functions of the second."""
    modules = Counter(_package(module) for module in {module for module, _ in first})
    functions, again = (Counter(_package(module) for module, _ in each) for each in (first, second))
    for package in sorted(modules):
        yield f"{package:16} {modules[package]:8} {functions[package]:10} {again[package]:8}"
    yield f"{'together':16} {modules.total():8} {len(first):10} {len(second):8}"


def _package(module: str) -> str:
    return module.split("/")[0]


def main(config: str, kept: str | None = None) -> None:
    way, run, orders = Way(), Controls.run, list[set[Function]]()

    async def counted(self: Controls, *order: object) -> object:
        outcome = None
        for _ in range(2):
            way.open = True
            outcome = await run(self, *order)  # type: ignore[arg-type]
            way.open = False
            orders.append(way.take())
        return outcome

    Controls.run = counted  # type: ignore[method-assign, assignment]
    threading.setprofile(way)
    sys.setprofile(way)
    asyncio.run(one_request.page(Path(config)))
    sys.setprofile(None)
    first, second = orders
    print(f"{'':16} {'modules':>8} {'functions':>10} {'second':>8}", *table(first, second), sep="\n")
    if kept is not None:
        lines = (
            f"{module} {name}{'' if (module, name) in second else ' (first only)'}\n" for module, name in sorted(first)
        )
        Path(kept).write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

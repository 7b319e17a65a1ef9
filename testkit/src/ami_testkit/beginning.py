"""`ami()`: a system for as long as a block lasts.

The starter of this process begins before the rest of the kit is loaded, since both take their time.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ami_testkit.processes import starter

if TYPE_CHECKING:
    from ami_testkit.system import System


@contextlib.contextmanager
def ami(**options: Any) -> "Iterator[System]":
    """A system; keywords are those of `Options`. State and logs are kept when the block fails, and the failure says where."""
    starter()
    from ami_testkit.options import Options
    from ami_testkit.system import System

    system = System(Options(**options))
    failed = False
    try:
        yield system
    except BaseException as problem:
        failed = True
        problem.add_note(f"the state and the logs of this system are kept in {system.directory}\n{system.logs()}")
        raise
    finally:
        system.close(keep=failed)

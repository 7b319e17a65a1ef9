"""The child process of `worker`: reads heads and bodies from standard input, writes what came of them to standard output, in turn.

It ends with its input, so it never outlives its parent, and gives way to all other processes on the processor."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

from ami_process.garbage import collect_seldom
from ami_process.platforms import NeedsPosix
from ami_process.worker import LENGTH, Ending

try:
    import resource
except ModuleNotFoundError as missing:
    raise NeedsPosix(missing) from None

NICE = 5
OOM_SCORE_ADJ = "500"
TRACEBACK = 20_000
"""Characters of a traceback that are reported, from its end."""


def main(function: str, cpu_s: str, memory: str) -> None:
    """Call the function until there is nothing more to call it with."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all, and the parent decides
    os.nice(NICE)
    with suppress(OSError):  # Linux: if memory runs out for all, this process goes and not its parent
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE_ADJ)
    module, _, name = function.partition(":")
    work = getattr(import_module(module), name)
    with suppress(ValueError, OSError):  # macOS bounds no address space, and a limit that is lower already stays
        resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    collect_seldom()  # a piece makes hundreds of thousands of objects, and drops all of them at its end
    came, goes = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # the pipe belongs to the answers
    while (head := _read(came)) is not None and (body := _read(came)) is not None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        most = int(used.ru_utime + used.ru_stime) + 1 + int(cpu_s)
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))
        ending, answer = _called(work, head, body)
        goes.write(ending.to_bytes(1) + len(answer).to_bytes(LENGTH))
        goes.write(answer)
        goes.flush()


def _called(work: Callable[[bytes, bytes], bytes], head: bytes, body: bytes) -> tuple[Ending, bytes]:
    try:
        return Ending.RETURNED, work(head, body)
    except MemoryError:
        raise SystemExit(1) from None
    except Exception:  # noqa: BLE001 (reported on the other side)
        return Ending.RAISED, traceback.format_exc()[-TRACEBACK:].encode("utf-8", "backslashreplace")


def _read(came: BinaryIO) -> bytes | None:
    length = came.read(LENGTH)
    return came.read(int.from_bytes(length)) if len(length) == LENGTH else None


if __name__ == "__main__":
    main(*sys.argv[1:])

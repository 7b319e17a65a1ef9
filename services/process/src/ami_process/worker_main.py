"""The child process of `worker`: reads arguments from standard input, writes what came of them to standard output, in turn.

It ends with its input, so it never outlives its parent, and steps back behind everybody else who wants the processor."""

import os
import pickle
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from ami_process.worker import LENGTH

NICE = 5
OOM_SCORE_ADJ = "500"


def main(function: str, cpu_s: str, memory: str) -> None:
    """Call the function until there is nothing more to call it with."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all, and the parent decides
    os.nice(NICE)
    with suppress(OSError):  # Linux: if memory runs out for all, this process goes and not its parent
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE_ADJ)
    module, _, name = function.partition(":")
    work = getattr(import_module(module), name)
    resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    came, goes = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # the pipe belongs to the answers
    while asked := _read(came):
        used = resource.getrusage(resource.RUSAGE_SELF)
        most = int(used.ru_utime + used.ru_stime) + 1 + int(cpu_s)
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))
        answer = pickle.dumps(_called(work, pickle.loads(asked)))  # noqa: S301 (our own parent wrote it)
        goes.write(len(answer).to_bytes(LENGTH) + answer)
        goes.flush()


def _called(work: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[bool, Any]:
    try:
        return True, work(*arguments)
    except MemoryError:
        raise SystemExit(1) from None
    except Exception as error:  # noqa: BLE001 (raised again on the other side)
        return False, error


def _read(came: BinaryIO) -> bytes:
    length = came.read(LENGTH)
    return came.read(int.from_bytes(length)) if len(length) == LENGTH else b""


if __name__ == "__main__":
    main(*sys.argv[1:])

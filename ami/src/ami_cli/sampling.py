"""Where the time of a running process goes, layer by layer: a sampling profiler on the interval timer of the CPU.

Every few milliseconds of CPU time the kernel interrupts the main thread; the innermost frame that belongs to a known
layer is counted. A sample costs microseconds, so the process runs at its own speed, unlike under a tracing profiler.
Time in C (AES, libxml2, the kernel) counts for the Python frame that called it. POSIX only.
"""

from __future__ import annotations

import signal
from collections import Counter
from types import FrameType, TracebackType

INTERVAL_S = 0.002

LAYERS = (
    ("/ami_dlms/security/", "DLMS ciphering"),
    ("/cryptography/", "DLMS ciphering"),
    ("/ami_dlms/association/", "DLMS association"),
    ("/ami_dlms/", "DLMS APDUs and data"),
    ("/ami_cim/", "CIM messages"),
    ("/ami_mapping/", "mapping"),
    ("/ami_hes/store/", "store"),
    ("/sqlalchemy/", "store"),
    ("/ami_process/store/", "store"),
    ("/sqlite3/", "store"),
    ("/ami_hes/meters/", "HES sessions"),
    ("/ami_hes/", "HES jobs and recipes"),
    ("/starlette/", "HTTP"),
    ("/uvicorn/", "HTTP"),
    ("/h11/", "HTTP"),
    ("/httpx/", "HTTP"),
    ("/httpcore/", "HTTP"),
    ("/asyncio/", "event loop and sockets"),
    ("/selectors.py", "event loop and sockets"),
)
OTHER = "other"

HES = "/ami_hes/"
STEPS = {
    "connect": "connecting",
    "Session.open": "opening the association",
    "Session.get_many": "reading the device id and the state, before and after",
    "Session.action": "the ACTION, its attempt kept before it leaves",
    "Meters._release": "releasing and closing",
    "CommandWorker._work_off": "a command: place, deadline, outcome, event",
    "CommandWorker._keep_results": "results and the answer",
}
"""Functions of the HES: what a sample belongs to is the innermost of them."""
NO_STEP = "the event loop between them, closing sockets, the request's XML"


def layer_of(frame: FrameType | None) -> str:
    """The layer of the innermost frame that belongs to one."""
    while frame is not None:
        name = frame.f_code.co_filename
        for part, layer in LAYERS:
            if part in name:
                return layer
        frame = frame.f_back
    return OTHER


def step_of(frame: FrameType | None) -> str:
    """The step of a command's way that the innermost frame belongs to."""
    while frame is not None:
        code = frame.f_code
        if code.co_qualname in STEPS and HES in code.co_filename:
            return STEPS[code.co_qualname]
        frame = frame.f_back
    return NO_STEP


class Sampler:
    """Counts samples while it is entered; `shares` and `steps` are fractions of all of them, the greatest first."""

    def __init__(self, interval_s: float = INTERVAL_S) -> None:
        self._interval_s = interval_s
        self.samples: Counter[str] = Counter()
        self._by_step: Counter[str] = Counter()

    def _sample(self, _signal: int, frame: FrameType | None) -> None:
        self.samples[layer_of(frame)] += 1
        self._by_step[step_of(frame)] += 1

    def __enter__(self) -> Sampler:
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, self._interval_s, self._interval_s)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)

    @property
    def shares(self) -> list[tuple[str, float]]:
        """By layer."""
        return _fractions(self.samples)

    @property
    def steps(self) -> list[tuple[str, float]]:
        """By step."""
        return _fractions(self._by_step)


def _fractions(counted: Counter[str]) -> list[tuple[str, float]]:
    whole = sum(counted.values())
    return [(name, count / whole) for name, count in counted.most_common()]

"""A core for each end: otherwise the scheduler now and then puts two ends that wake each other on one, and halves both."""

from __future__ import annotations

import os

SERVING, ASKING = 0, 1


def pin(process_id: int, end: int) -> None:
    """Keep a process on the core of its end, where the system can do so and has two."""
    if not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(process_id, {cores[end]})

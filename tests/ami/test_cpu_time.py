"""What a process has used is told as finely as it is by the process itself, with what its ended threads have used."""

from __future__ import annotations

import os
import threading
import time

import pytest

from ami_cli.cpu_time import used_s

pytestmark = pytest.mark.needs("linux")


def test_what_has_been_used_lies_between_what_the_process_says_of_itself() -> None:
    def work() -> None:
        sum(range(200_000))

    for _ in range(3):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        before, seen, after = time.process_time(), used_s(os.getpid()), time.process_time()
        assert before <= seen <= after

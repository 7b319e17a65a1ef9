"""Services that run inside this process keep their events to themselves."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

CRITICAL = 50


@contextmanager
def quiet() -> Iterator[None]:
    """No structlog event below critical (none is used here) gets out while this is entered; afterwards all is as before."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)

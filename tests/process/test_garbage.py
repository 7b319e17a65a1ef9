"""The collector of a process that is ready leaves alone what stays, and still finds what refers to itself."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from ami_process.garbage import NEW_BEFORE_A_LOOK, collect_seldom


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


class _Ring:
    def __init__(self) -> None:
        self.itself = self


def test_what_there_is_stays_and_is_not_looked_at_again() -> None:
    frozen = gc.get_freeze_count()
    collect_seldom()
    assert gc.get_freeze_count() > frozen
    assert gc.get_threshold()[0] == NEW_BEFORE_A_LOOK
    assert gc.isenabled()


def test_what_refers_to_itself_goes_after_as_many_new_objects() -> None:
    collect_seldom()
    ring = weakref.ref(_Ring())
    assert ring() is not None
    made = [[number] for number in range(NEW_BEFORE_A_LOOK + 1_000)]
    assert ring() is None, f"{len(made)} objects were made"

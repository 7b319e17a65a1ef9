"""A meter that nobody talks to any more is a row again, at once: a million of them may not wait for the garbage collector."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import IMPORT, PROFILE, SWITCH, Bench, Dialogue, attribute, gmac, gmac_client, session, setup

from ami_dlms.association import Get, GetResult, Opened
from ami_meter_sim.fleet import NEW_OBJECTS, ROUNDS_BEFORE_A_WHOLE_ONE, SWITCHED_AFTER_S, YOUNG_ROUNDS, serve_evenly


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def test_the_interpreter_serves_evenly() -> None:
    """What only a process may do to itself is put back here."""
    thresholds, switched = gc.get_threshold(), sys.getswitchinterval()
    try:
        serve_evenly()
        assert gc.get_threshold() == (NEW_OBJECTS, YOUNG_ROUNDS, ROUNDS_BEFORE_A_WHOLE_ONE)
        assert sys.getswitchinterval() == pytest.approx(SWITCHED_AFTER_S)
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(switched)


@pytest.mark.usefixtures("no_collector")
def test_a_meter_goes_with_its_last_session(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    dialogue = Dialogue(session(bench.start(setup(management=gmac()))), gmac_client())
    assert isinstance(dialogue.open(), Opened)
    for which in (IMPORT, SWITCH, PROFILE):
        assert isinstance(dialogue.ask(Get(attribute(which, 3))), GetResult)
    bench.read(PROFILE)
    meter, its_session = weakref.ref(bench.meter), weakref.ref(dialogue.session)
    del dialogue
    assert its_session() is None
    assert meter() is bench.meter
    del bench.meter
    assert meter() is None


def test_a_meter_that_could_not_be_made_goes_without_a_word(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with pytest.raises(AttributeError):
        bench.start(setup(model=None))

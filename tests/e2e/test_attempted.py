"""Once a control may have left, no reply says that nothing was switched: every step x fault x life, real HES processes (M-021).

In each of the three runs one HES process works a meter for every cell of the matrix at once. In the first the meters
misbehave while it lives; in the second its registry changes while each of them is at its step; in the third it is killed there,
and another life finds them changed.
"""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import httpx
import pytest
from harness import System, configuration
from lying_meters import Fault, Lab, LyingMeter, Step
from patience import PATIENCE_S
from stranger import DISCONNECT, Stranger, by_mrid

from ami_dlms import data
from ami_dlms.enums import ActionResult

UNCERTAIN = "may or may not have switched"
NEVER = re.compile(r"nothing was|not sent|not switched|before the control was sent|was never sent", re.IGNORECASE)
UNCERTAIN_CODES = {"4.1", "5.3"}
ROWS = 50
"""Of an import at once."""
LIMITS = {"apdu_timeout_s": 4.0, "deadline_s": 50.0}


@dataclass
class Told:
    """What the reply says of one meter, and what the meter knows itself."""

    meter: LyingMeter
    ok: bool
    code: str
    reason: str


def told(answer: Any, meters: list[tuple[LyingMeter, str]]) -> list[Told]:
    failures = {error.ID["_value_1"]: error for error in answer.failures}
    return [
        Told(meter, mrid not in failures, *((e.code, e.reason) if (e := failures.get(mrid)) else ("", "")))
        for meter, mrid in meters
    ]


def says_uncertain(one: Told) -> None:
    """Code and words say that the meter may or may not have switched, and nothing in them says otherwise."""
    assert not one.ok
    assert one.code in UNCERTAIN_CODES, one.reason
    assert UNCERTAIN in one.reason
    assert not NEVER.search(one.reason), one.reason


def says_nothing_was_switched(one: Told) -> None:
    """Code and words say that the control was never sent."""
    assert not one.ok and UNCERTAIN not in one.reason
    assert one.code != "5.3" and NEVER.search(one.reason), one.reason


def says_what_was_read(one: Told, state: str) -> None:
    """The meter itself has answered and was read: the reply says what was read and claims nothing else."""
    assert not one.ok
    assert one.code == "5.3", one.reason
    assert f"the meter reads back {state} (" in one.reason
    assert not NEVER.search(one.reason), one.reason


# --- one life

AFTER_THE_ACTION = (Step.ACTION_CAME, Step.ACTION_DONE, Step.READ_BACK, Step.HALF_READ_BACK)
FAULTS = (
    Fault.LOST,
    Fault.RESET,
    Fault.SILENT,
    Fault.FORGED,
    Fault.CLEAR,
    Fault.EXCEPTION,
    Fault.GARBAGE,
    Fault.REFUSED,
)
ONE_LIFE = [(step, fault, away) for step in AFTER_THE_ACTION for fault in FAULTS for away in (False, True)]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    one = Lab()
    try:
        yield one
    finally:
        one.close()


@pytest.fixture(scope="module")
def one_life(tmp_path_factory: pytest.TempPathFactory, lab: Lab) -> Iterator[dict[Any, Told]]:
    meters = [lab.meter(faults={step: fault}, away_afterwards=away) for step, fault, away in ONE_LIFE]
    ami = system(tmp_path_factory.mktemp("one-life"), [meter.entry() for meter in meters])
    try:
        ami.start_hes()
        answer = Stranger(ami.hes_url).switch(DISCONNECT, [by_mrid(meter.entry()) for meter in meters])
        yield dict(zip(ONE_LIFE, told(answer, [(m, m.entry()["mrid"]) for m in meters]), strict=True))
    finally:
        ami.close()


@pytest.mark.parametrize("away", [False, True], ids=["readable afterwards", "away afterwards"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("step", AFTER_THE_ACTION)
def test_a_fault_after_the_action(one_life: dict[Any, Told], step: Step, fault: Fault, away: bool) -> None:
    one = one_life[step, fault, away]
    assert one.meter.reached.is_set() and one.meter.actions == 1
    answered = step in (Step.READ_BACK, Step.HALF_READ_BACK)
    if answered and not away:
        assert one.ok, one.reason  # it was read again over a new connection
        assert (one.meter.output, one.meter.state) == (False, 0)
    elif fault is Fault.REFUSED and not away:
        says_what_was_read(one, "connected" if step is Step.ACTION_CAME else "disconnected")
    else:
        says_uncertain(one)


def system(directory: Path, entries: list[dict[str, Any]]) -> System:
    config = configuration(directory, meters=1) | {"meters": entries}
    config["hes"] |= LIMITS
    return System(directory, config)


# --- one life, and a registry that changes meanwhile


class Change(StrEnum):
    """What is imported, or taken out, while the meter is at its step."""

    REMOVED = "the meter is taken out"
    RENAMED = "it has another name"
    NAME_TAKEN = "it is taken out, and another device gets its name"
    SWAPPED = "it has another name, and another device gets its own"
    MOVED = "its address is that of another device"
    OTHER_KEYS = "it has other keys"


BY_THE_REGISTRY = [
    (step, change, then)
    for step in (Step.STATE_READ, *AFTER_THE_ACTION)
    for change in Change
    for then in (Fault.WAIT, Fault.WAIT_LOST)
]


def rows_of(meter: LyingMeter, change: Change, taker: LyingMeter) -> list[dict[str, Any]]:
    """What is imported for a change, one after the other."""
    renamed, named = meter.entry(name=f"N{meter.number}"), taker.entry(name=meter.name)
    match change:
        case Change.REMOVED:
            return []
        case Change.RENAMED:
            return [renamed]
        case Change.NAME_TAKEN:
            return [named]
        case Change.SWAPPED:
            return [renamed, named]
        case Change.MOVED:
            return [meter.entry(address=taker.entry()["address"])]
        case Change.OTHER_KEYS:
            return [meter.entry(encryption_key="00" * 16)]


def imported(client: httpx.Client, entries: list[dict[str, Any]]) -> None:
    """Import these rows over the REST API."""
    for first in range(0, len(entries), ROWS):
        rows = [{"place": one["name"], "columns": one} for one in entries[first : first + ROWS]]
        answer = client.post("/api/v1/meters", json={"rows": rows}).json()
        assert {one["outcome"] for one in answer["rows"]} <= {"accepted", "changed"}, answer


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory, lab: Lab) -> Iterator[dict[Any, tuple[Told, LyingMeter]]]:
    meters = [lab.meter(faults={step: then}) for step, _, then in BY_THE_REGISTRY]
    takers = [lab.meter() for _ in meters]
    ami = system(tmp_path_factory.mktemp("registry"), [])
    ami.config["hes"] |= {"max_sessions": len(meters), "apdu_timeout_s": LIMITS["deadline_s"]}
    try:
        ami.start_hes()
        with (
            ThreadPoolExecutor(1) as pool,
            httpx.Client(base_url=ami.hes_url, trust_env=False, timeout=PATIENCE_S) as client,
        ):
            imported(client, [meter.entry() for meter in meters])
            everybody = [by_mrid(meter.entry()) for meter in meters]
            asking = pool.submit(Stranger(ami.hes_url).switch, DISCONNECT, everybody)
            for meter in meters:
                assert meter.reached.wait(PATIENCE_S), "the HES is not at the meter's step"
            cells = list(zip(BY_THE_REGISTRY, meters, takers, strict=True))
            for (_, change, _), meter, _ in cells:
                if change in (Change.REMOVED, Change.NAME_TAKEN):
                    assert client.delete(f"/api/v1/meters/{meter.name}").status_code == 200
            imported(client, [row for (_, change, _), meter, taker in cells for row in rows_of(meter, change, taker)])
            lab.go_on(meters)
            replies = told(asking.result(60), [(meter, meter.entry()["mrid"]) for meter in meters])
        yield dict(zip(BY_THE_REGISTRY, zip(replies, takers, strict=True), strict=True))
    finally:
        ami.close()


@pytest.mark.parametrize("then", [Fault.WAIT, Fault.WAIT_LOST], ids=["answers", "hangs up"])
@pytest.mark.parametrize("change", Change)
@pytest.mark.parametrize("step", [Step.STATE_READ, *AFTER_THE_ACTION])
def test_a_registry_that_changes_at_a_step(
    changed: dict[Any, tuple[Told, LyingMeter]], step: Step, change: Change, then: Fault
) -> None:
    """What has begun is ended at the device that it was begun at, and its reply is about the mRID that was asked for."""
    one, taker = changed[step, change, then]
    assert taker.asked == [], "another device was asked"
    assert one.meter.actions == (step is not Step.STATE_READ or then is Fault.WAIT)
    if step is Step.ACTION_CAME and then is Fault.WAIT:
        says_what_was_read(one, "connected")
    elif then is Fault.WAIT or step in (Step.READ_BACK, Step.HALF_READ_BACK):
        assert one.ok, one.reason
        assert (one.meter.output, one.meter.state) == (False, 0)
    elif step is Step.STATE_READ:
        says_nothing_was_switched(one)
    else:
        says_uncertain(one)


# --- two lives

STEPS = (Step.STATE_READ, *AFTER_THE_ACTION, Step.RELEASE)


class Second(StrEnum):
    """What the second life of the HES finds."""

    HONEST = "the meter as it was"
    AWAY = "nobody at the meter's address"
    SILENT = "a meter that says nothing"
    GARBAGE = "a meter that sends octets that mean nothing"
    OTHER_KEYS = "a meter with other keys"
    REFUSES_ASSOCIATION = "a meter that refuses the association"
    FORGES = "a meter whose answer has a wrong tag"
    ANSWERS_IN_CLEAR = "a meter that answers unencrypted"
    EXCEPTION = "a meter that answers with an exception"
    OTHER_DEVICE = "another device at the meter's address"
    MODE_0 = "a meter whose control mode is 0 by now"
    LOST_AGAIN = "a meter that hangs up after the ACTION again, and is away"
    REFUSES_CONTROL = "a meter that refuses the control"
    REMOVED = "a registry without the meter"
    NAME_TAKEN = "a registry that gives its name to another device"
    SWAPPED = "a registry that gives its name to another device, and another name to it"
    RENAMED = "a registry that has another name for it"


TWO_LIVES = [(step, second) for step in STEPS for second in Second]
ENDS_WELL = (Second.HONEST, Second.SWAPPED, Second.RENAMED)


def change(meter: LyingMeter, second: Second) -> None:
    """The meter as the second life finds it; its clock has stood still since the first one died."""
    meter.faults.clear()
    match second:
        case Second.AWAY:
            meter.away = True
        case Second.SILENT:
            meter.silent = True
        case Second.GARBAGE:
            meter.garbage = True
        case Second.OTHER_KEYS:
            meter.encryption_key = bytes(16)
        case Second.REFUSES_ASSOCIATION:
            meter.authentication = "none"
        case Second.FORGES:
            meter.faults[Step.STATE_READ] = Fault.FORGED
        case Second.ANSWERS_IN_CLEAR:
            meter.faults[Step.STATE_READ] = Fault.CLEAR
        case Second.EXCEPTION:
            meter.faults[Step.STATE_READ] = Fault.EXCEPTION
        case Second.OTHER_DEVICE:
            meter.values = {key: data.octet_string(b"another") for key in meter.values}
        case Second.MODE_0:
            meter.mode = 0
        case Second.LOST_AGAIN:
            meter.faults[Step.ACTION_CAME] = Fault.LOST
            meter.away_afterwards = True
        case Second.REFUSES_CONTROL:
            meter.result = ActionResult.HARDWARE_FAULT


def entries_of(meter: LyingMeter, second: Second, taker: LyingMeter) -> list[dict[str, Any]]:
    """What the registry of the second life says."""
    if second is Second.REMOVED:
        return []
    if second in (Second.NAME_TAKEN, Second.SWAPPED):
        own = [] if second is Second.NAME_TAKEN else [meter.entry(name=f"N{meter.number}")]
        return [taker.entry(name=meter.name), *own]
    return [meter.entry(**({"name": f"N{meter.number}"} if second is Second.RENAMED else {}))]


@pytest.fixture(scope="module")
def two_lives(tmp_path_factory: pytest.TempPathFactory, lab: Lab) -> Iterator[dict[Any, tuple[Told, LyingMeter]]]:
    meters = [lab.meter(faults={step: Fault.HOLD}) for step, _ in TWO_LIVES]
    takers = [lab.meter() for _ in TWO_LIVES]
    ami = system(tmp_path_factory.mktemp("two-lives"), [meter.entry() for meter in meters])
    mine = str(uuid.uuid4())
    everybody = [by_mrid(meter.entry()) for meter in meters]
    try:
        ami.config["hes"] |= {"max_sessions": len(meters), "apdu_timeout_s": LIMITS["deadline_s"]}
        hes = ami.start_hes()
        first = threading.Thread(target=_ask_in_vain, args=(ami, everybody, mine))
        first.start()
        for meter in meters:
            assert meter.reached.wait(PATIENCE_S), "the HES is not at the meter's step"
        hes.kill()
        first.join(PATIENCE_S)
        assert not hes.seen("meter_done"), "each control is at its step"
        ami.config["hes"] |= LIMITS
        cells = list(zip(TWO_LIVES, meters, takers, strict=True))
        ami.config["meters"] = [e for (_, second), meter, taker in cells for e in entries_of(meter, second, taker)]
        for (_, second), meter, _ in cells:
            change(meter, second)
        ami.start_hes()
        answer = Stranger(ami.hes_url).switch(DISCONNECT, everybody, message_id=mine)
        replies = told(answer, [(meter, meter.entry()["mrid"]) for meter in meters])
        yield dict(zip(TWO_LIVES, zip(replies, takers, strict=True), strict=True))
    finally:
        ami.close()


def _ask_in_vain(ami: System, meters: list[dict[str, Any]], message_id: str) -> None:
    with pytest.raises(OSError):
        Stranger(ami.hes_url).switch(DISCONNECT, meters, message_id=message_id)


@pytest.mark.parametrize("second", Second)
@pytest.mark.parametrize("step", STEPS)
def test_a_life_that_ended_at_a_step(two_lives: dict[Any, tuple[Told, LyingMeter]], step: Step, second: Second) -> None:
    one, taker = two_lives[step, second]
    left = step is not Step.STATE_READ
    assert "ACTION" not in taker.asked, "another device has the name now, and was asked"
    if second in ENDS_WELL:
        assert one.ok, one.reason
        assert (one.meter.output, one.meter.state) == (False, 0)
    elif second is Second.REFUSES_CONTROL:
        says_what_was_read(one, "connected" if step in (Step.STATE_READ, Step.ACTION_CAME) else "disconnected")
    elif left or second is Second.LOST_AGAIN:
        says_uncertain(one)
    else:
        says_nothing_was_switched(one)
    assert one.meter.actions == (left + (second in (*ENDS_WELL, Second.LOST_AGAIN, Second.REFUSES_CONTROL)))


def test_the_matrix_has_every_step_and_fault() -> None:
    """A step or a fault that is added to the meters is asked for here as well."""
    assert set(STEPS) == set(Step) and {*FAULTS, Fault.HOLD, Fault.WAIT, Fault.WAIT_LOST} == set(Fault)

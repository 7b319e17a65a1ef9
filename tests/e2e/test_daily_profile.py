"""Two days of a whole population, collected by schedule: what arrives at the CIS is what the physics of the houses says, value by value.

On the second day one meter in twenty has a fault. What is missing or wrong then says so, and nothing false is reported as good.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path

import pytest
from town import TYPES, Kept, Town, town

DAY = datetime(2026, 3, 27, tzinfo=UTC)
GOOD, MISSING, SUSPECT = ("1.0.0",), ("2.5.259",), ("2.5.258",)


class Effect(Enum):
    """What a fault may do to the values of a day."""

    NOTHING_ARRIVES = "the command fails with a code"
    GAPS = "intervals are missing, and the others are right"
    DOUBT = "what is not right is suspect"
    NONE = "all values are right"
    ANY = "all values are right, or the command fails with one of the codes: chance decides, which of two frames is read, or whether the association was still open"


FAULTS: dict[str, tuple[Effect, tuple[str, ...]]] = {
    "silent": (Effect.NOTHING_ARRIVES, ("4.1",)),
    "profile-gap": (Effect.GAPS, ()),
    "wrong-scaler": (Effect.DOUBT, ()),
    "tampered-tag": (Effect.NOTHING_ARRIVES, ("7.4",)),
    "profile-overlap": (Effect.DOUBT, ()),
    "garbage": (Effect.NOTHING_ARRIVES, ("5.3",)),
    "profile-duplicate": (Effect.NONE, ()),
    "cut": (Effect.NOTHING_ARRIVES, ("5.2",)),
    "busy": (Effect.NOTHING_ARRIVES, ("5.3",)),
    "wrong-device-id": (Effect.NOTHING_ARRIVES, ("5.2",)),
    "truncated": (Effect.NOTHING_ARRIVES, ("5.3",)),
    "wrong-key": (Effect.NOTHING_ARRIVES, ("7.4",)),
    "wrong-title": (Effect.NOTHING_ARRIVES, ("7.4",)),
    "replays": (
        Effect.ANY,
        ("7.4",),
    ),  # a day is one request: in an association that is open there was no answer before it
    "half-open": (Effect.NOTHING_ARRIVES, ("4.1",)),
    "oversized": (Effect.NOTHING_ARRIVES, ("5.3",)),
    "drop": (Effect.ANY, ("4.1",)),
    "slow-then-double-answer": (Effect.NOTHING_ARRIVES, ("4.1",)),
    "address-changed": (Effect.NOTHING_ARRIVES, ("5.2",)),
    "duplicate": (Effect.ANY, ("7.4", "5.3")),
    "slice": (Effect.NONE, ()),
    "splits-every-byte": (Effect.NONE, ()),
    "counter-ahead": (Effect.NONE, ()),
    "counter-behind": (Effect.NONE, ()),
    "clock-off": (Effect.NONE, ()),
    "clock-jumps": (Effect.NONE, ()),
}
"""What a reading shows of each fault, the most telling ones first: effect, and the codes with which a command may end that fails."""
SIZES = [
    pytest.param(6, 4, id="6"),
    pytest.param(200, len(FAULTS), id="200", marks=pytest.mark.ci),
    pytest.param(10_000, 500, id="10,000", marks=[pytest.mark.acceptance, pytest.mark.timeout(3600)]),
]

Values = Mapping[datetime, Kept]
Shown = Mapping[datetime, Decimal]


@pytest.mark.needs("loopback-block")
@pytest.mark.parametrize(("count", "faulty"), SIZES)
def test_what_arrives_is_what_the_physics_says_and_what_is_not_so_says_so(
    tmp_path: Path, count: int, faulty: int
) -> None:
    with town(tmp_path, count) as whole:
        run = whole.collect(DAY)
        assert (run["meters"], run["delivered"]) == (count, count)
        check(whole, DAY, dict.fromkeys(whole.names, Effect.NONE))

        disturbed = dict(zip(_spread(whole.names, faulty), _in_turn(FAULTS), strict=False))
        whole.disturb(disturbed)
        done_before = len(whole.hes.seen("meter_done"))
        run = whole.collect(DAY + timedelta(days=1))
        done = {one["meter"]: one for one in whole.hes.seen("meter_done")[done_before:]}
        ended = {meter: (disturbed.get(meter), done[meter]["ok"], done[meter]["reply_code"]) for meter in whole.names}
        assert {one for one in ended.values() if not may_end(*one)} == set()
        effects = {meter: effect_of(fault, ok) for meter, (fault, ok, _) in ended.items()}
        assert run["delivered"] == sum(one is not Effect.NOTHING_ARRIVES for one in effects.values())
        check(whole, DAY + timedelta(days=1), effects)


def may_end(fault: str | None, ok: bool, code: str | None) -> bool:
    """Whether a command may end so under this fault."""
    effect, codes = (Effect.NONE, ()) if fault is None else FAULTS[fault]
    right = ok and code is None and effect is not Effect.NOTHING_ARRIVES
    return right or (not ok and code in codes)


def effect_of(fault: str | None, ok: bool) -> Effect:
    """Which of its effects a fault had on a meter whose command has ended so."""
    effect = Effect.NONE if fault is None else FAULTS[fault][0]
    if effect is Effect.ANY:
        return Effect.NONE if ok else Effect.NOTHING_ARRIVES
    return effect


def check(whole: Town, day: datetime, effects: Mapping[str, Effect]) -> None:
    """Every value of every meter."""
    kept, physics = whole.kept(day), whole.physics(day)
    expected = {
        (meter, code) for meter, effect in effects.items() if effect is not Effect.NOTHING_ARRIVES for code in TYPES
    }
    assert kept.keys() == expected
    for of_what in expected:
        came, shown, effect = kept[of_what], physics[of_what], effects[of_what[0]]
        said = {one.qualities for one in came.values()}
        assert false_but_good(came, shown) == {}, of_what
        assert shown.keys() <= came.keys(), of_what
        if effect is Effect.DOUBT:
            assert SUSPECT in said, of_what
            assert said <= {GOOD, SUSPECT}, of_what
            continue
        assert came.keys() == shown.keys(), of_what
        missing = {at for at, one in came.items() if one.value is None}
        assert {came[at].qualities for at in missing} == ({MISSING} if effect is Effect.GAPS else set()), of_what
        assert {came[at].qualities for at in came.keys() - missing} == {GOOD}, of_what


def false_but_good(came: Values, shown: Shown) -> Values:
    """What is said to be good and is not what the physics has at that time."""
    return {
        at: one
        for at, one in came.items()
        if one.qualities in (GOOD, ()) and (one.value is None or Decimal(one.value) != shown.get(at))
    }


def _spread(names: list[str], some: int) -> Iterable[str]:
    """This many of them, all over the population."""
    return (names[number * len(names) // some] for number in range(some))


def _in_turn(faults: Iterable[str]) -> Iterable[str]:
    names = list(faults)
    while True:
        yield from names

"""Each fault of a simulated meter, and what the head-end then tells the CIS: code, level and reason, by the table of docs/faults.md.

All in one population and one head-end over real sockets: a meter for each row of the table, asked together with all others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

import pytest
from faulty_fleet import LAST_GASP, START, TIME_LIMIT_S, Event, FaultyFleet, Told, at_once, faulty_fleet

from ami_meter_sim.faults import FAULTS
from ami_meter_sim.faults.told import ASKED, told

ROWS = told()
LATER = timedelta(minutes=2)


class Found(NamedTuple):
    """What came of all rows, each by its place in the table."""

    replies: dict[int, Told]
    events: dict[int, list[Event]]
    fleet: FaultyFleet


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    places = range(len(ROWS))
    with faulty_fleet(tmp_path_factory.mktemp("fleet"), len(ROWS)) as fleet:
        of = {asked: [place for place in places if ROWS[place].asked == asked] for asked in ASKED}

        def names(*asked: str) -> list[str]:
            return [fleet.names[place] for one in asked for place in of[one]]

        well = fleet.read(names("read", "quarters"))
        assert {(one.code, len(one.values)) for one in well.values()} == {(None, 1)}, (
            "without its fault each can be read"
        )
        fleet.disturb({fleet.names[place]: {"fault": ROWS[place].fault} | ROWS[place].parameters for place in places})
        answers = at_once(
            lambda: fleet.disconnect(names("control", "action")),
            lambda: fleet.read(names("read")),
            lambda: fleet.read_day(names("quarters")),
            lambda: fleet.roll_keys(names("keys")),
        )
        again = fleet.read(names("keys"))
        assert {one.code for one in again.values()} == {None}, "a meter whose key is in doubt can be read"
        replies = {fleet.names.index(name): one for answer in answers for name, one in answer.items()}
        for name in names("event"):
            fleet.simulator.post("/power", {"on": False, "name": name})
        fleet.simulator.move_to(START + LATER)
        expected = sum(bool(ROWS[place].code) for place in of["event"])
        came = fleet.last_gasps(expected)
        events = {place: [one for one in came if one.mrid == fleet.mrids[place]] for place in of["event"]}
        yield Found(replies, events, fleet)


def case(place: int) -> str:
    return f"{ROWS[place].fault}-{ROWS[place].asked}"


@pytest.mark.needs("loopback-block")
@pytest.mark.parametrize("place", range(len(ROWS)), ids=case)
def test_what_the_cis_is_told(found: Found, place: int) -> None:
    row = ROWS[place]
    if row.code or row.asked == "event":
        found.fleet.meters.wait_for("fault_happened", meter=found.fleet.names[place], fault=row.fault)
    if row.asked == "event":
        assert [(one.code, one.created_at) for one in found.events[place]] == ([(row.code, START)] if row.code else [])
        return
    said = found.replies[place]
    assert (said.code or "", said.level or "") == (row.code, row.level), said.reason
    if row.code:
        assert_fits(said.reason, row.says)
        assert said.values == ()
    elif row.asked != "control" and row.asked != "action":
        assert said.values != ()
        assert " ".join(sorted({one for value in said.values for one in value.qualities})) == row.says


def test_what_was_said_of_a_sent_control_is_never_that_nothing_was_done() -> None:
    for row in ROWS:
        if row.asked == "action" and row.code and "reads back" not in row.says:
            assert "The control was sent: the meter may or may not have switched" in row.says, row.fault


def test_each_fault_has_its_rows() -> None:
    """A control and a read each, and a push where it concerns pushes."""
    asked = Counter((row.fault, row.asked) for row in ROWS)
    assert set(asked.values()) == {1}
    for name, fault in FAULTS.items():
        wanted = {"control", "read"} | ({"event"} if "push" in fault.kind.directions else set())
        assert wanted <= {one for of, one in asked if of == name}, name
    assert {row.code for row in ROWS if row.asked == "event"} == {"", LAST_GASP}


def test_the_time_limit_fits_the_table() -> None:
    """Who answers twice answers after it."""
    (late,) = {row.parameters["seconds"] for row in ROWS if row.fault == "slow-then-double-answer"}
    assert late > TIME_LIMIT_S


def assert_fits(said: str, pattern: str) -> None:
    """The words of the pattern in their order; three dots stand for anything."""
    at = 0
    for words in pattern.split("…"):
        place = said.find(words.strip(), at)
        assert place >= 0, f"{words!r} is not in {said!r}"
        at = place + len(words.strip())

"""What a process counts of its lanes and groups, and that no number of groups makes more of it than can be borne."""

from __future__ import annotations

from datetime import UTC, datetime

from ami_hes.commands import Command, CommandJob, Lane, MeterId
from ami_hes.jobs import Tally
from ami_hes.jobs.tally import MOST_GROUPS, OTHER

JOB = CommandJob(Command("r1", MeterId("M1", "m1"), "", ""), Lane.READ, datetime(2026, 11, 20, tzinfo=UTC))


def test_groups_beyond_a_number_are_counted_together() -> None:
    tally = Tally()
    names = [f"feeder=F{number}" for number in range(MOST_GROUPS + 3)]
    for name in ["", *names]:
        tally.began(JOB, name, 0.2)
        tally.ended(JOB, name, ok=True)
    assert len(tally.of_groups_in_hand) == MOST_GROUPS + 1
    assert (tally.of_groups_in_hand[OTHER], tally.of_groups_done[OTHER, True]) == (3, 3)
    for name in ["", *names]:
        tally.left(name)
    assert not +tally.of_groups_in_hand
    assert tally.done == {(Lane.READ, True): MOST_GROUPS + 4}
    assert tally.waited[Lane.READ].cumulative()[:2] == [0, MOST_GROUPS + 4]

"""Receivers that don't answer take nothing from the others: the bulkhead alone, without a clock."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule
from sizes import examples

from ami_hes.jobs.destinations import Destinations, Post

ROOM, PER = 10, 3


def filled(*destinations: str) -> Destinations[str]:
    one: Destinations[str] = Destinations(room=ROOM, per_destination=PER)
    for number, destination in enumerate(destinations):
        one.add(destination, f"{destination}{number}")
    return one


def begun(destinations: Destinations[str]) -> list[Post[str]]:
    posts = []
    while (post := destinations.next()) is not None:
        posts.append(post)
    return posts


def test_destinations_take_turns_and_one_has_no_more_than_its_share() -> None:
    posts = begun(filled("a", "a", "a", "a", "b", "c"))
    assert [post.item for post in posts] == ["a0", "b4", "c5", "a1", "a2"]


def test_what_failed_rests_and_is_then_tried_with_one_post() -> None:
    destinations = filled("a", "a", "a")
    first, second, third = begun(destinations)
    assert destinations.failed(first) == 1
    assert destinations.failed(second) is None
    destinations.add("a", first.item)
    destinations.add("a", second.item)
    assert begun(destinations) == []
    destinations.wake("a")
    assert begun(destinations) == []  # the third is still under way
    destinations.answered(third)
    assert [post.item for post in begun(destinations)] == ["a0", "a1"]


def test_failures_in_a_row_are_counted_and_an_answer_ends_the_row() -> None:
    destinations = filled("a")
    for times in (1, 2, 3):
        (post,) = begun(destinations)
        assert destinations.failed(post) == times
        destinations.add("a", post.item)
        destinations.wake("a")
    (post,) = begun(destinations)
    assert post.lingers
    destinations.add("a", "more")
    destinations.answered(post)
    (post,) = begun(destinations)
    assert not post.lingers


def test_who_answers_finds_half_of_the_room_whatever_the_others_do() -> None:
    deaf = [f"deaf{number}" for number in range(40)]
    destinations = filled(*deaf, "living")
    moments = 0
    posts = begun(destinations)
    while "living" not in [post.destination for post in posts]:
        moments += 1
        for post in posts:
            if not destinations.linger(post):
                destinations.failed(post)
        posts = begun(destinations)
    assert moments <= 40 // (ROOM - ROOM // 2)


def test_what_lasts_while_half_the_room_lasts_has_to_end() -> None:
    destinations = filled(*(f"d{number}" for number in range(ROOM)))
    assert [destinations.linger(post) for post in begun(destinations)] == [True] * 5 + [False] * 5


def test_what_waits_can_be_taken_away() -> None:
    destinations = filled("a", "a", "a", "a")
    begun(destinations)
    assert list(destinations.waiting("a")) == ["a3"]
    destinations.remove("a", "a3")
    assert list(destinations.waiting("a")) == []


def test_a_destination_that_is_done_leaves_nothing_behind() -> None:
    destinations = filled("a", "b")
    a, b = begun(destinations)
    destinations.answered(a)
    destinations.failed(b)
    destinations.wake("b")
    for name in ("a", "b"):
        with pytest.raises(KeyError):
            destinations.waiting(name)


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order: the bounds hold, nothing is lost, nothing is begun twice."""

    posts = Bundle("posts")

    def __init__(self) -> None:
        super().__init__()
        self.destinations: Destinations[int] = Destinations(room=ROOM, per_destination=PER)
        self.under_way: dict[int, Post[int]] = {}
        self.resting: set[str] = set()
        self.waiting: set[int] = set()
        self.added = 0

    @rule(name=st.sampled_from("abcdefghijklmno"))
    def add(self, name: str) -> None:
        self.destinations.add(name, self.added)
        self.waiting.add(self.added)
        self.added += 1

    @precondition(lambda self: self.waiting)
    @rule(target=posts)
    def begin(self) -> int | None:
        post = self.destinations.next()
        if post is None:
            return None
        assert post.destination not in self.resting
        assert post.item not in self.under_way
        self.waiting.remove(post.item)
        self.under_way[post.item] = post
        return post.item

    @rule(item=posts)
    def linger(self, item: int | None) -> None:
        if item in self.under_way:
            self.destinations.linger(self.under_way[item])

    @rule(item=consumes(posts), ends_well=st.booleans())
    def end(self, item: int | None, ends_well: bool) -> None:
        post = None if item is None else self.under_way.pop(item, None)
        if post is None:
            return
        if ends_well:
            self.destinations.answered(post)
            return
        assert (self.destinations.failed(post) is None) == (post.destination in self.resting)
        self.resting.add(post.destination)
        self.destinations.add(post.destination, post.item)
        self.waiting.add(post.item)

    @precondition(lambda self: self.resting)
    @rule()
    def wake(self) -> None:
        self.destinations.wake(self.resting.pop())

    @invariant()
    def bounds_hold(self) -> None:
        assert self.destinations.under_way == len(self.under_way) <= ROOM
        assert self.destinations.lingering == sum(post.lingers for post in self.under_way.values()) <= ROOM // 2
        names = [post.destination for post in self.under_way.values()]
        assert all(names.count(name) <= PER for name in names)

    def teardown(self) -> None:
        """Everything comes to its end once everybody answers."""
        for name in self.resting:
            self.destinations.wake(name)
        for post in self.under_way.values():
            self.destinations.answered(post)
        while self.waiting:
            post = self.destinations.next()
            assert post is not None
            self.waiting.remove(post.item)
            self.destinations.answered(post)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=examples(60), stateful_step_count=60, deadline=None)

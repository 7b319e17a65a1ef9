"""Frozen classes behave as frozen, slotted dataclasses of the library do."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from typing import Any

import pytest

from dlms.frozen import frozen


@frozen
class Ours:
    """Every kind of field."""

    number: int
    text: str = "text"
    items: list[int] = field(default_factory=list)
    secret: bytes = field(default=b"secret", repr=False)
    derived: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "derived", 2 * self.number)


@dataclass(frozen=True, slots=True)
class Theirs:
    """The same, made by the library."""

    number: int
    text: str = "text"
    items: list[int] = field(default_factory=list)
    secret: bytes = field(default=b"secret", repr=False)
    derived: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "derived", 2 * self.number)


@frozen
class Empty:
    """No field at all."""


@frozen
class Shown:
    """Its own words for itself."""

    number: int

    def __repr__(self) -> str:
        return "shown"


Made = type[Ours] | type[Theirs]
KINDS = pytest.mark.parametrize("kind", [Ours, Theirs])


@KINDS
def test_values_and_defaults(kind: Made) -> None:
    made = kind(1, secret=b"x")
    assert (made.number, made.text, made.items, made.secret, made.derived) == (1, "text", [], b"x", 2)
    assert made.items is not kind(1).items
    assert kind.__match_args__ == ("number", "text", "items", "secret")
    assert [one.name for one in fields(made)] == ["number", "text", "items", "secret", "derived"]
    assert kind.__slots__ == ("number", "text", "items", "secret", "derived")


@KINDS
@pytest.mark.parametrize("given", [{}, {"number": 1, "other": 2}, {"number": 1, "derived": 2}])
def test_what_is_missing_or_unknown(kind: Any, given: dict[str, int]) -> None:
    with pytest.raises(TypeError):
        kind(**given)


def test_it_shows_itself_alike_and_hides_alike() -> None:
    assert (
        repr(Ours(1)) == repr(Theirs(1)).replace("Theirs", "Ours") == "Ours(number=1, text='text', items=[], derived=2)"
    )
    assert (repr(Shown(1)), repr(Empty())) == ("shown", "Empty()")


@KINDS
def test_equal_by_values_of_one_class(kind: Made) -> None:
    assert kind(1) == kind(1) != kind(2)
    assert Ours(1) != Theirs(1)
    assert (kind(1) == 1) is False


def test_hashed_by_values() -> None:
    assert hash(Shown(1)) == hash(Shown(1))
    assert {Shown(1): "found"}[Shown(1)] == "found"
    assert hash(Empty()) == hash(Empty())
    with pytest.raises(TypeError):
        hash(Ours(1))


@KINDS
def test_nothing_changes_it(kind: Made) -> None:
    made = kind(1)
    for name in ("number", "other"):
        with pytest.raises((FrozenInstanceError, TypeError)):
            setattr(made, name, 3)
        with pytest.raises((FrozenInstanceError, TypeError, AttributeError)):
            delattr(made, name)
    assert not hasattr(made, "__dict__")


@KINDS
def test_copies(kind: Made) -> None:
    made = kind(1, items=[1])
    for other in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made)), replace(made)):
        assert other == made
        assert other.derived == 2
    assert replace(made, number=5).derived == 10


def test_match() -> None:
    match Ours(1, "a"):
        case Ours(number, text):
            assert (number, text) == (1, "a")

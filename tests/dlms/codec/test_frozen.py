"""Frozen classes behave as frozen, slotted dataclasses of the library do."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import KW_ONLY, FrozenInstanceError, dataclass, field, fields, replace
from time import process_time
from typing import Any

import pytest

from ami_dlms.frozen import frozen


@frozen
class Ours:
    """Every kind of field."""

    number: int
    text: str = "text"
    items: tuple[int, ...] = ()
    secret: bytes = field(default=b"secret", repr=False)
    note: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ValueError("negative")


@dataclass(frozen=True, slots=True)
class Theirs:
    """The same, made by the library."""

    number: int
    text: str = "text"
    items: tuple[int, ...] = ()
    secret: bytes = field(default=b"secret", repr=False)
    note: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ValueError("negative")


@frozen
class Empty:
    """No field at all."""


@frozen
class Shown:
    """Its own words for itself."""

    number: int

    def __repr__(self) -> str:
        return "shown"


@frozen
class ByKeyword:
    """All by keyword, with and without defaults in any order."""

    _: KW_ONLY
    first: int = 1
    second: int


Made = type[Ours] | type[Theirs]
KINDS = pytest.mark.parametrize("kind", [Ours, Theirs])


@KINDS
def test_values_and_defaults(kind: Made) -> None:
    made = kind(1, secret=b"x")
    names = ("number", "text", "items", "secret", "note")
    assert tuple(getattr(made, name) for name in names) == (1, "text", (), b"x", "")
    assert kind.__match_args__ == kind.__slots__ == tuple(one.name for one in fields(made)) == names
    with pytest.raises(ValueError, match="negative"):
        kind(-1)


@KINDS
@pytest.mark.parametrize("given", [{}, {"number": 1, "other": 2}])
def test_what_is_missing_or_unknown(kind: Any, given: dict[str, int]) -> None:
    with pytest.raises(TypeError):
        kind(**given)


def test_it_shows_itself_alike_and_hides_alike() -> None:
    assert repr(Ours(1)) == repr(Theirs(1)).replace("Theirs", "Ours")
    assert repr(Ours(1)) == "Ours(number=1, text='text', items=(), note='')"
    assert (repr(Shown(1)), repr(Empty())) == ("shown", "Empty()")


@KINDS
def test_equal_by_values_of_one_class(kind: Made) -> None:
    assert kind(1, note="a") == kind(1, note="b") != kind(2)
    assert Ours(1) != Theirs(1)
    assert (kind(1) == 1) is False


def test_hashed_by_values() -> None:
    assert hash(Shown(1)) == hash(Shown(1))
    assert {Shown(1): "found"}[Shown(1)] == "found"
    assert hash(Empty()) == hash(Empty())
    assert hash(Ours(1, note="a")) == hash(Ours(1, note="b"))


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
    made = kind(1, items=(1,))
    for other in (copy.copy(made), copy.deepcopy(made), replace(made)):
        assert other == made
        assert repr(other) == repr(made)
    assert replace(made, number=5) == kind(5, items=(1,))


def test_match() -> None:
    match Ours(1, "a"):
        case Ours(number, text):
            assert (number, text) == (1, "a")


def test_by_keyword_alone() -> None:
    assert repr(ByKeyword(second=2)) == "ByKeyword(first=1, second=2)"
    assert ByKeyword.__match_args__ == ()
    for given in ((1, 2), ()):
        with pytest.raises(TypeError):
            ByKeyword(*given)  # type: ignore[misc]


@pytest.mark.parametrize("unfit", [field(default_factory=list), field(init=False), field(kw_only=True)])
def test_what_it_can_not_do_is_refused_at_once(unfit: Any) -> None:
    with pytest.raises(TypeError):
        frozen(type("Unfit", (), {"__annotations__": {"first": int, "unfit": list}, "unfit": unfit}))


def test_a_missing_argument_is_told_by_its_name() -> None:
    with pytest.raises(TypeError, match=r"Shown.__init__\(\) missing 1 required positional argument: 'number'"):
        Shown()  # type: ignore[call-arg]


def _seconds(work: Callable[[], object], times: int) -> float:
    begun = process_time()
    for _ in range(times):
        work()
    return process_time() - begun


def _ratio(ours: Callable[[], object], theirs: Callable[[], object], times: int) -> float:
    """The least time of ours by the least time of theirs, measured in turns so that a busy machine slows both."""
    pairs = [(_seconds(ours, times), _seconds(theirs, times)) for _ in range(7)]
    return min(pair[0] for pair in pairs) / min(pair[1] for pair in pairs)


def test_it_costs_less_to_declare_and_to_make_than_the_library_s() -> None:
    """What it is for; without that it would have to go. About 0.2 and 0.67 when it was written."""

    def declared() -> type:
        return type("Declared", (), {"__annotations__": {"first": int, "second": int, "third": int}})

    library = dataclass(frozen=True, slots=True)
    assert _ratio(lambda: frozen(declared()), lambda: library(declared()), 30) < 0.5
    assert _ratio(lambda: Ours(1), lambda: Theirs(1), 5_000) < 1.0

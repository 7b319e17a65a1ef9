"""`&` and `|` of flags that are asked for with every APDU: the library makes a member anew each time, which costs ten times as much.

A class of flags takes them over by name, since the library gives each class its own ones where it does not.
"""

from __future__ import annotations

from enum import IntFlag
from functools import lru_cache
from typing import TypeVar

F = TypeVar("F", bound=IntFlag)


def both(one: F, other: int) -> F:
    """What is in both."""
    found = int.__and__(one, other)
    return found if found is NotImplemented else _member(type(one), found)


def either(one: F, other: int) -> F:
    """What is in one of them."""
    found = int.__or__(one, other)
    return found if found is NotImplemented else _member(type(one), found)


@lru_cache(maxsize=1024)
def _member(kind: type[F], number: int) -> F:
    return kind(number)

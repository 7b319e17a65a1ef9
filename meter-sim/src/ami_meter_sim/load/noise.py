"""Noise that needs no state: the finaliser of splitmix64 over a key and a counter, the same integers in Python and in numpy.

Strategy: a key is a 64-bit number per seed and stream; the draw at a counter is a function of both. Draws below a bound take
the upper 32 bits, so that a product of two numbers below 2^32 stays inside 64 bits in numpy too.
"""

from functools import lru_cache
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Keys = NDArray[np.uint64]

MASK = 0xFFFF_FFFF_FFFF_FFFF
GOLDEN = 0x9E37_79B9_7F4A_7C15
_FIRST = 0xBF58_476D_1CE4_E5B9
_SECOND = 0x94D0_49BB_1331_11EB
_FOUR = tuple([number * GOLDEN for number in range(4)])
_U27, _U30, _U31, _U32, _U_GOLDEN, _U_FIRST, _U_SECOND = (
    np.uint64(one) for one in (27, 30, 31, 32, GOLDEN, _FIRST, _SECOND)
)


def mix(number: int) -> int:
    """64 bits well mixed."""
    number = (number ^ (number >> 30)) * _FIRST & MASK
    number = (number ^ (number >> 27)) * _SECOND & MASK
    return number ^ (number >> 31)


def _mix_each(numbers: Keys) -> Keys:
    """The same in its place."""
    numbers ^= numbers >> _U30
    numbers *= _U_FIRST
    numbers ^= numbers >> _U27
    numbers *= _U_SECOND
    numbers ^= numbers >> _U31
    return numbers


def _wrapped(number: "int | Integers | Keys") -> Keys:
    """64 bits, negative numbers as their complement; at least one dimension, because numpy warns of scalars that wrap."""
    if isinstance(number, int):
        return np.array([number & MASK], np.uint64)
    return number.view(np.uint64) if number.ndim else number.reshape(1).view(np.uint64)


@lru_cache(64)
def _begun(seed: int) -> int:
    """What all streams of a seed have in common: a house draws a dozen of them."""
    return mix((seed + GOLDEN) & MASK)


@overload
def key(seed: int, stream: int) -> int: ...
@overload
def key(seed: Keys, stream: int) -> Keys: ...
@overload
def key(seed: int, stream: Integers) -> Keys: ...
def key(seed: "int | Keys", stream: "int | Integers") -> "int | Keys":
    """The key of one stream of a seed; of arrays, one each."""
    if isinstance(seed, int) and isinstance(stream, int):
        return mix((_begun(seed) + stream * GOLDEN) & MASK)
    mixed = _mix_each(_wrapped(seed) + _U_GOLDEN)
    return _mix_each(mixed + _wrapped(stream) * _U_GOLDEN)


def below(key: int, counter: int, bound: int) -> int:
    """A draw in 0..bound-1; the bound is at most 2^32."""
    number = (key + counter * GOLDEN) & MASK
    number = (number ^ (number >> 30)) * _FIRST & MASK
    number = (number ^ (number >> 27)) * _SECOND & MASK
    return ((number ^ (number >> 31)) >> 32) * bound >> 32


def each_below(key: "int | Keys", counter: "int | Integers", bound: "int | Integers") -> Integers:
    """As `below`, of arrays that fit each other."""
    numbers = _mix_each(_wrapped(key) + _wrapped(counter) * _U_GOLDEN)
    numbers >>= _U32
    numbers = numbers * _wrapped(bound)
    numbers >>= _U32
    return numbers.view(np.int64)


@overload
def draw(key: int, counter: int, bound: int) -> int: ...
@overload
def draw(key: "int | Keys", counter: "int | Integers", bound: "int | Integers") -> "int | Integers": ...
def draw(key: "int | Keys", counter: "int | Integers", bound: "int | Integers") -> "int | Integers":
    """A draw for one key, or one for each."""
    if isinstance(key, int) and isinstance(counter, int) and isinstance(bound, int):
        return below(key, counter, bound)
    return each_below(key, counter, bound)


def bell(key: Any, counter: Any, middle: int, half_width: int) -> Any:
    """A draw around a middle, or one for each: the sum of four, within +-half_width, with a standard deviation of 0.29 of it."""
    quarter = half_width // 2 + 1
    if isinstance(key, int) and isinstance(counter, int):
        first, drawn = key + 4 * counter * GOLDEN, middle - half_width
        for ahead in _FOUR:  # as `below`, without a call for each: a house has ten of them
            number = (first + ahead) & MASK
            number = (number ^ (number >> 30)) * _FIRST & MASK
            number = (number ^ (number >> 27)) * _SECOND & MASK
            drawn += ((number ^ (number >> 31)) >> 32) * quarter >> 32
        return drawn
    draws = [draw(key, 4 * counter + number, quarter) for number in range(4)]
    return middle - half_width + draws[0] + draws[1] + draws[2] + draws[3]

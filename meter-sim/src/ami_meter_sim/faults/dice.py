"""Chance that can be repeated: every draw is a hash of (seed, meter, fault, number of the draw).

So the same seed decides the same for a meter in every run, however many other meters there are and whatever they do.
"""

from hashlib import blake2b

_WHOLE = 2**64


class Dice:
    """The draws of one fault at one meter, in their order."""

    __slots__ = ("_drawn", "_key")

    def __init__(self, seed: int, *stream: str) -> None:
        self._key = blake2b(f"{seed}/{'/'.join(stream)}".encode(), digest_size=32).digest()
        self._drawn = 0

    def fraction(self) -> float:
        """A number from 0 to, not including, 1."""
        return int.from_bytes(self._next(8), "big") / _WHOLE

    def octets(self, length: int) -> bytes:
        """Octets without meaning."""
        return b"".join(self._next(64) for _ in range(-(-length // 64)))[:length]

    def fraction_of(self, what: bytes) -> float:
        """The number that belongs to this; it is the same whenever it is asked for, and takes no draw."""
        return int.from_bytes(blake2b(what, key=self._key, digest_size=8).digest(), "big") / _WHOLE

    def _next(self, length: int) -> bytes:
        self._drawn += 1
        return blake2b(self._drawn.to_bytes(8, "big"), key=self._key, digest_size=length).digest()


def fraction(seed: int, *stream: str) -> float:
    """The first number of these dice."""
    return Dice(seed, *stream).fraction()

"""The port to keys that change at meters: which keys a meter may have, and that it has proved one of them.

A new key is kept before it leaves for the meter, and the former one stays until an association was opened under the new one. Between
the two a meter may have either, whatever was lost: an answer, the connection, this process. Each session tries both (docs/adr/0026).
"""

from collections.abc import Sequence
from typing import Protocol

from ami_hes.meters.registry import Meter


class KeyChanges(Protocol):
    """`field` is one of the entry's secrets, as encryption_key."""

    def candidates(self, meter: Meter) -> Sequence[Meter]:
        """The meter with the keys that it may have, the likeliest first; one alone where nothing is in doubt."""

    def sent(self, meter: Meter, field: str) -> bytes | None:
        """The new key that may have left for the meter, as long as no association was opened under it."""

    def sent_by(self, meter: Meter, field: str) -> str | None:
        """The request by which that key was sent."""

    def changed_by(self, meter: Meter, field: str) -> str | None:
        """The request by which the key that is in force came; None for the one of the entry."""

    def is_of_entry(self, meter: Meter, field: str) -> bool:
        """Whether the meter has the key that its entry says, as far as is known: none was changed since, and none is in doubt."""

    async def keep(self, meter: Meter, field: str, key: bytes, request_id: str) -> None:
        """Keep a new key before it leaves; committed when it returns. Raises StoreUnavailable, and then it must not leave."""

    async def taken(self, meter: Meter, field: str) -> None:
        """The key that was sent is in force, which was seen otherwise than by an association; committed when it returns. Raises StoreUnavailable."""

    async def proved(self, meter: Meter) -> None:
        """The meter has opened an association with the keys of this candidate: what it has proved counts, and is committed."""


class NothingChanges:
    """Where no registry is kept: a meter has the keys of its entry."""

    def candidates(self, meter: Meter) -> Sequence[Meter]:
        return (meter,)

    def sent(self, _: Meter, __: str) -> bytes | None:
        return None

    def sent_by(self, _: Meter, __: str) -> str | None:
        return None

    def changed_by(self, _: Meter, __: str) -> str | None:
        return None

    def is_of_entry(self, _: Meter, __: str) -> bool:
        return True

    async def keep(self, meter: Meter, field: str, _: bytes, __: str) -> None:
        raise LookupError(f"{field} of {meter.name} can't be kept: there is no store of keys")

    async def taken(self, _: Meter, __: str) -> None:
        """Nothing was sent."""

    async def proved(self, _: Meter) -> None:
        """Nothing was in doubt."""

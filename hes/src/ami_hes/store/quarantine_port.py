"""The port to callers that no entry of the registry names, and the plain values that pass through it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredCaller:
    """What a caller says of itself; nothing of it is proved."""

    name: str
    """The logical device name that it gives, or its system title as hexadecimal digits where it gives none."""
    system_title: str | None
    """As hexadecimal digits, where it was said."""
    address: str
    """From where it called last, host and port."""
    first_seen_at: datetime
    last_seen_at: datetime
    calls: int


class QuarantineStore(Protocol):
    """A bounded number of callers. All methods raise StoreUnavailable."""

    async def load(self) -> Sequence[StoredCaller]: ...

    async def keep(self, callers: Sequence[StoredCaller], forgotten: Sequence[str]) -> None:
        """These as they are now, and none of these names; committed when it returns."""

"""The narrow port to what is owed to others beside the answers of their requests: events for subscribers, and what is posted again."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from ami_hes.store.ports import StoredRequest


class Owed(NamedTuple):
    """What is to be posted again."""

    request_id: str
    address: str


class Outgoing(Protocol):
    """Every method has committed when it returns, or raises StoreUnavailable."""

    async def publish(self, event: StoredRequest, subscriber: str) -> bool:
        """Keep an event, which has its answer, for a subscriber; whether it is owed now. The same event again changes nothing."""

    async def published(self, subscriber: str, since: datetime, until: datetime) -> list[str]:
        """The MessageIDs of events that were made for a subscriber since a moment and before another, oldest first."""

    async def dead_letters(self) -> list[str]:
        """The MessageIDs of what was given up, oldest first."""

    async def owe_again(
        self, request_ids: Sequence[str], since: datetime, *, whole: bool, addresses: Mapping[str, str]
    ) -> list[Owed]:
        """Those of them that were taken or given up are owed from now on, as if they had never been posted; what is owed already stays so.

        `whole`: from the first part on, else from the first that was not taken. `addresses` are those of subscribers by name, now.
        """

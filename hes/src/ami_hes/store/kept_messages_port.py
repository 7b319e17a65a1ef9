"""The narrow port to messages that are acknowledged before they are carried out, and are carried out from what is kept."""

from typing import NamedTuple, Protocol


class WaitingMessage(NamedTuple):
    """A message that is not carried out yet."""

    request_id: str
    source: str | None
    """Header.Source."""
    octets: int
    principal: str | None = None
    principal_by: str | None = None


class KeptMessage(NamedTuple):
    """As it is kept."""

    octets: bytes
    in_question: bool
    """The store was restored from a copy that was made while it waited: what was done of it since then is not known."""


class KeptMessages(Protocol):
    """Every method has committed when it returns, or raises StoreUnavailable."""

    async def keep(self, request_id: str, octets: bytes) -> None:
        """The message of a request that is accepted; what is kept already stays."""

    async def read(self, request_id: str) -> KeptMessage | None: ...

    async def drop(self, request_id: str) -> None:
        """Its request has its answer."""

    async def waiting(self) -> list[WaitingMessage]:
        """Those whose request has no answer yet, oldest first; all others are dropped."""

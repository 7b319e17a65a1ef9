"""The narrow port to the audit log. Entries are written and never changed; the oldest are dropped by age alone, which is an entry itself."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from ami_hes.audit import AuditEntry, Chain, Link


class AuditPage(NamedTuple):
    """Some entries in order, and the chain as it was at the same moment."""

    links: Sequence[Link]
    chain: Chain


class AuditLog(Protocol):
    """The audit log. Every method has committed when it returns, or raises StoreUnavailable.

    What a transaction of another port does (`Results.accept`, `Results.answer`) has its entries in that same transaction.
    """

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        """Behind the last one."""

    async def page(self, after: int, limit: int, *, until: datetime | None = None) -> AuditPage:
        """The entries behind the number `after`, in order; `until`: no later ones."""

    async def latest(self, limit: int) -> AuditPage:
        """The last ones, in order."""

    async def of_request(self, request_id: str) -> Sequence[Link]:
        """All entries about a request, in order."""

    async def forget(self, before: datetime, now: datetime) -> int:
        """Drop the oldest entries up to the first one that is not older; how many. The chain goes on, and says so itself."""

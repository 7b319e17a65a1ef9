"""The narrow port to the audit log. Entries are written and never changed; the oldest are dropped by age alone, which is an entry itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from ami_hes.audit import AuditEntry, Chain, Link


class AuditPage(NamedTuple):
    """Some entries in order, and the chain as it was at the same moment."""

    links: Sequence[Link]
    chain: Chain


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSearch:
    """Which entries are looked for: those that are so in everything that is said here."""

    principal: str = ""
    meter: str = ""
    """Its name: entries that list it, and those of requests that have a command for it."""
    request: str = ""
    what: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def wants(self, entry: Mapping[str, object]) -> bool:
        """Whether an entry (`parse_entry`) is so, as far as it says itself: its time and its meters are not looked at."""
        said = ((self.principal, "principal"), (self.request, "request"), (self.what, "what"))
        return all(not wanted or entry.get(name) == wanted for wanted, name in said)


class AuditFound(NamedTuple):
    """Some entries, the latest first, and the chain as it was at the same moment. `next`: there may be more before this number."""

    links: Sequence[Link]
    chain: Chain
    next: int | None


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

    async def of_request(self, request_id: str, after: int, limit: int) -> AuditPage:
        """The entries about a request behind the number `after`, in order."""

    async def search(self, search: AuditSearch, before: int | None, limit: int) -> AuditFound:
        """The latest that are so, of those before a number; a bounded number of entries is looked at, so there may be none and still more before."""

    async def forget(self, before: datetime, now: datetime) -> int:
        """Drop the oldest entries up to the first one that is not older; how many. The chain goes on, and says so itself."""

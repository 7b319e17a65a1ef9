"""What every process with a store reports about it; apart from the store itself, so that a reader of events needs no database."""

from dataclasses import dataclass

from ami_process.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreMigrated(Event):
    """A store of an older version was upgraded."""

    severity = "info"

    store: str
    """Its path."""
    found: str
    """The schema that it had."""
    now: str
    """The schema that it has."""
    copy: str | None
    """Where the store as it was before has been kept; null for a database, which is copied by `pg_dump`."""

"""One entry of the audit log, and its canonical form: the JSON text that is hashed, kept and exported.

Canonical is: one object, keys sorted, no white space, everything beyond ASCII escaped (`\\u00fc`), members without a value left out.
So the same entry has the same octets in every program that can write JSON. No entry holds a key or the values of a reading.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, NamedTuple, Self

MOST_LISTED = 20
"""Meters that are named in an entry; their number and their digest go over all of them."""
MOST_TEXT = 500
"""Characters of any text of an entry: some of it comes from outside."""


class What(StrEnum):
    """What has happened. The store keeps the word."""

    ACCEPTED = "accepted"
    """A request is kept and will be carried out."""
    ENDED = "ended"
    """It has its answer: `outcome` is its result."""
    REFUSED = "refused"
    """Nothing of it was kept."""
    WRITTEN = "written"
    """The REST API was asked to change something; `outcome` is the HTTP status."""
    SIGNED_IN = "signed-in"
    """At the console; `principal` is whose token it was."""
    SIGNED_OUT = "signed-out"
    SIGN_IN_REFUSED = "sign-in-refused"
    """What was shown there was no token."""
    APPROVAL_WANTED = "approval-wanted"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    """Nobody has approved it in time."""
    CONTROLS_STOPPED = "controls-stopped"
    CONTROLS_RESUMED = "controls-resumed"
    MORE_REFUSED = "more-refused"
    """So many refused attempts of a principal were counted and not written one by one."""
    STORE_CHANGED = "store-changed"
    """A command changed the closed store: keys sealed anew, a copy brought back."""
    CUT = "cut"
    """Older entries were dropped as `hes.keep_audit_days` says; the chain is checked from there on."""


class MetersOf(NamedTuple):
    """Which meters an entry is about: `digest` is SHA-256 over their mRIDs, sorted, each followed by a line feed."""

    number: int
    digest: str
    listed: tuple[str, ...]
    """The first by name."""

    @classmethod
    def of(cls, meters: Iterable[tuple[str, str]]) -> Self | None:
        """Of (name, mRID); None where there is none."""
        found = sorted(set(meters))
        if not found:
            return None
        mrids = "".join(f"{mrid}\n" for mrid in sorted(mrid for _, mrid in found))
        names = tuple(name[:MOST_TEXT] for name, _ in found[:MOST_LISTED])
        return cls(len(found), sha256(mrids.encode()).hexdigest(), names)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """What is said of one happening, before it has its place in the chain."""

    what: What
    at: datetime
    principal: str
    """Who asked; for what the head-end does by itself, `hes`."""
    by: str = ""
    """How it was known who asks: `header` is what a message says of itself, which nobody has proved."""
    verb: str = ""
    noun: str = ""
    """Of a message; of the REST API its path."""
    asked: str = ""
    """What for, in a few words: codes of controls, operations."""
    meters: MetersOf | None = None
    request: str = ""
    """MessageID, or the id of a campaign."""
    approved_by: str = ""
    outcome: str = ""
    reason: str = ""
    number: int | None = None
    """Of entries that count: attempts, or dropped entries."""


def canonical(seq: int, entry: AuditEntry) -> str:
    """The text that is kept and hashed for the entry at this place of the chain."""
    meters = entry.meters
    fields: dict[str, Any] = {
        "seq": seq,
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "what": str(entry.what),
        "meters": None if meters is None else meters.number,
        "meters_sha256": None if meters is None else meters.digest,
        "meters_listed": None if meters is None else list(meters.listed),
        "number": entry.number,
    }
    texts = ("principal", "by", "verb", "noun", "asked", "request", "approved_by", "outcome", "reason")
    fields |= {name: getattr(entry, name)[:MOST_TEXT] or None for name in texts}
    given = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(given, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def parse_entry(text: str) -> dict[str, Any]:
    """The members of an entry as it is kept; ValueError for what is none."""
    found = json.loads(text)
    if not isinstance(found, dict) or not isinstance(found.get("seq"), int) or not isinstance(found.get("at"), str):
        raise ValueError("no entry of an audit log")
    return found

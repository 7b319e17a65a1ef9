"""What was asked for, what was promised and what came of it: the customers' own book, against which the system is judged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple


class Final(NamedTuple):
    """A final reply: its MessageID, what it says, and a digest of all of it."""

    message_id: str
    result: str
    digest: str

    @classmethod
    def of(cls, message_id: str, result: str, body: bytes) -> Final:
        return cls(message_id, result, sha256(body).hexdigest())


@dataclass
class Entry:
    """One request."""

    message_id: str
    what: str
    way: str
    """How it was asked: `direct`, `direct, later` (at a ReplyAddress), `CIS`, `CIS, later`."""
    meter: str
    step: int
    connects: bool | None = None
    """Of a control, the position of the switch that was asked for."""
    asked_at: float = field(default_factory=time.monotonic)
    accepted: bool = False
    """It was acknowledged, or has an answer other than that nothing was accepted."""
    refused: str = ""
    """Why nothing of it was accepted."""
    finals: list[Final] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def refuse(self, reason: str) -> None:
        self.refused = reason
        self.ended.set()

    def reply(self, final: Final) -> None:
        self.accepted = True
        self.finals.append(final)
        self.ended.set()

    @property
    def result(self) -> str:
        return self.finals[0].result if self.finals else ""


@dataclass
class Ledger:
    """All of them."""

    entries: dict[str, Entry] = field(default_factory=dict)
    strange: list[str] = field(default_factory=list)
    """Replies to what nobody has asked."""

    def open(self, entry: Entry) -> Entry:
        self.entries[entry.message_id] = entry
        return entry

    def reply(self, correlation_id: str, final: Final) -> None:
        """One that has come to the ReplyAddress."""
        entry = self.entries.get(correlation_id)
        if entry is None:
            self.strange.append(f"a reply to {correlation_id}, which was not asked")
        else:
            entry.reply(final)

    def under_way(self) -> Iterator[Entry]:
        return (one for one in self.entries.values() if not one.ended.is_set())

    def last_control(self, meter: str) -> Entry | None:
        """Of those that have an answer."""
        controls = [one for one in self.entries.values() if one.meter == meter and one.connects is not None]
        return next((one for one in reversed(controls) if one.finals), None)

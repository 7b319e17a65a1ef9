"""The invocation counters of one meter's keys, reserved ahead so that a restart reuses none and one write serves many frames.

In the row of the meter both lie side by side: what is reserved (on disk) and what is exact (in memory), so that a meter that goes
and comes back goes on exactly where it was, and only a crash leaves a gap.

Sending: values below the written limit may be used. Receiving: the written value is ahead of the lowest acceptable one, so
after a crash the meter refuses up to `RECEIVE_AHEAD` unused values; the invocation counter object tells a
client where to go on. After a clean end both are exact.
"""

from operator import attrgetter
from typing import Self

from ami_dlms.security import ReceiveCounter, SendCounter
from ami_dlms.security.counters import COUNTER_END
from ami_meter_sim.population.row import Row

SEND_AHEAD = 1000
SEND_REMAINING = 500
RECEIVE_AHEAD = 100
_FIRST: tuple[str, ...] = ("send_reserved", "receive_reserved", "send_next", "receive_lowest")
_FIELDS = {1: _FIRST, 2: tuple([f"{name}_2" for name in _FIRST])}
"""Security setup -> the fields of its counters in the row."""
_READ = {security_setup: attrgetter(*fields) for security_setup, fields in _FIELDS.items()}


class Counters:
    """`send_from` and `receive_from` are what has to stand on disk; without exact values the first ones are those."""

    __slots__ = ("_fields", "_noted", "_seen", "receive", "receive_from", "send", "send_from")

    def __init__(
        self, send_from: int, receive_from: int, send_next: int | None = None, receive_lowest: int | None = None
    ) -> None:
        self.send = SendCounter(send_from if send_next is None else send_next, send_from)
        self.receive = ReceiveCounter(receive_from if receive_lowest is None else receive_lowest)
        self.send_from = send_from
        self.receive_from = receive_from
        self._fields = _FIRST
        self._noted: tuple[int | None, ...] = (None,) * len(_FIRST)
        self._seen: tuple[int, int] | None = None

    @classmethod
    def of(cls, row: Row, security_setup: int = 1) -> Self:
        """Those of a meter's first or second security setup, as it left them."""
        counters = cls(*_READ[security_setup](row))
        counters._fields = _FIELDS[security_setup]
        counters._noted = counters._values()
        return counters

    @classmethod
    def anew(cls, security_setup: int) -> Self:
        """From 0, for a key that was never used."""
        counters = cls(0, 0)
        counters._fields = _FIELDS[security_setup]
        return counters

    def _values(self) -> tuple[int, ...]:
        return self.send_from, self.receive_from, self.send.next_value, self.receive.lowest_acceptable

    def note(self, row: Row) -> None:
        """Put down in the row what has changed since they were noted last. Raises StateError, and is tried again then."""
        values, before = self._values(), self._noted
        if values == before:
            return
        for name, value, noted in zip(self._fields, values, before, strict=True):
            if value != noted:
                setattr(row, name, value)
        self._noted = values

    @property
    def moved(self) -> bool:
        """Whether one of them was used since they were covered last."""
        return self._seen != (self.send.next_value, self.receive.lowest_acceptable)

    def cover(self, row: Row) -> None:
        """Put them down; what is on disk covers the next exchange, so there is nothing to do until one of them is used. Raises StateError."""
        self.note(row)
        self._seen = self.send.next_value, self.receive.lowest_acceptable

    def follow(self, row: Row) -> bool:
        """Cover them, if what is on disk is ahead of the next exchange; False, and nothing is put down, where it is not. Raises StateError."""
        seen = self.send.next_value, self.receive.lowest_acceptable
        if seen == self._seen:
            return True
        if not self.settled:
            return False
        self.note(row)
        self._seen = seen
        return True

    @property
    def settled(self) -> bool:
        """Whether what is on disk is ahead of everything used so far, with room for the next exchange."""
        enough = self.send.remaining >= SEND_REMAINING or self.send.limit == COUNTER_END
        return enough and self.receive_from >= self.receive.lowest_acceptable and self.send_from == self.send.limit

    def reserve(self) -> None:
        """Say what is to be written next."""
        if self.send.remaining < SEND_REMAINING:
            self.send_from = min(self.send.limit + SEND_AHEAD, COUNTER_END)
        if self.receive_from < self.receive.lowest_acceptable:
            self.receive_from = min(self.receive.lowest_acceptable + RECEIVE_AHEAD, COUNTER_END)

    def written(self) -> None:
        """It is on disk: the new values may be used."""
        self.send.extend(self.send_from)

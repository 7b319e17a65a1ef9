"""General block transfer at a server: the exchange that is under way, and which answer goes back through it."""

from __future__ import annotations

from ami_dlms import apdu
from ami_dlms.apdu.blocks import ABORT, GeneralBlockTransfer
from ami_dlms.association.blocks.general_block_transfer import GeneralTransfer, Step, one_way
from ami_dlms.association.events import RequestKey


class ServerTransfers:
    """One association's blocks.

    `window` is how many of them we take in one go, `most` how many octets they make together at most, `limit` how long an
    APDU the client takes.
    """

    def __init__(self, window: int, limit: int, most: int) -> None:
        self._window = window
        self._limit = limit
        self._most = most
        self._current: GeneralTransfer | None = None
        self._answered_in: dict[RequestKey, GeneralTransfer] = {}

    def receive(self, block: GeneralBlockTransfer) -> Step | None:
        """What a block leads to; None for a confirmation of what was never sent. ProtocolError when it grows too long."""
        if self._current is None and not block.block_data:
            return None
        if self._current is None or not self._current.continues(block):
            self._current = self._begin()
        return self._current.receive(block)

    def forget(self) -> None:
        """The client has gone on without blocks."""
        self._current = None

    def answer_through_here(self, key: RequestKey) -> None:
        """The request with this key came through the exchange under way, so its answer goes back through it."""
        if self._current is not None:
            self._answered_in[key] = self._current

    def answer(self, key: RequestKey, octets: bytes) -> tuple[bytes, ...]:
        """An answer as the client takes it; nothing when the client has begun another exchange in blocks meanwhile."""
        transfer = self._answered_in.pop(key, None)
        if transfer is not None:
            return transfer.send(octets) if octets and transfer is self._current else ()
        if len(octets) <= self._limit:
            return (octets,) if octets else ()
        self._current = self._begin()
        return self._current.send(octets)

    def answer_at_once(self, octets: bytes) -> tuple[bytes, ...]:
        """An answer to the request whose last block has just come."""
        return () if self._current is None else self._current.send(octets)

    def push(self, octets: bytes) -> tuple[bytes, ...]:
        """Something unsolicited, in blocks that the client will not confirm."""
        return one_way(octets, self._limit)

    def abort(self) -> tuple[bytes, ...]:
        """What tells the client that the exchange in blocks is given up; nothing when there is none."""
        under_way, self._current = self._current, None
        return () if under_way is None else (apdu.encode(ABORT),)

    def timeout(self) -> tuple[bytes, ...]:
        """What to send when nothing came for too long."""
        return () if self._current is None else self._current.timeout()

    def _begin(self) -> GeneralTransfer:
        return GeneralTransfer(client=False, window=self._window, room=self._limit, limit=self._most)

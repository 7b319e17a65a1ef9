"""Reads a message where it delays no other: a light one in its turn on the event loop, another one in the worker's process.

What a message is, the reader doesn't know: it is given pure functions for both ways (`MessageReading`)."""

from typing import Generic, Protocol, TypeVar

from ami_process.turns import Turns
from ami_process.worker import Worker

M = TypeVar("M")
M_co = TypeVar("M_co", covariant=True)


class MessageReading(Protocol[M_co]):
    """How messages of one kind are read. `charset` is what came with the octets."""

    def is_light(self, octets: bytes) -> bool:
        """Whether reading takes so little that it need not leave the event loop."""

    def read(self, octets: bytes, charset: str | None) -> M_co:
        """The message."""

    def order(self, octets: bytes, charset: str | None) -> tuple[bytes, int]:
        """What the worker's function is given beside the octets, and how many octets its answer may have."""

    def read_answer(self, answer: bytes) -> M_co:
        """The message in the answer of the worker's function; raises what `read` would raise."""


class MessageReader(Generic[M]):
    """Reads messages of one kind, in the order in which they come."""

    def __init__(self, reading: MessageReading[M], worker: Worker) -> None:
        self._reading = reading
        self._worker = worker
        self._turns = Turns()

    async def read(self, octets: bytes, charset: str | None) -> M:
        """The message; raises what `reading` does, and WorkerBusy, WorkerLost, WorkerFailed."""
        if self._reading.is_light(octets):
            return await self._turns.call(lambda: self._reading.read(octets, charset))
        head, room = self._reading.order(octets, charset)
        return self._reading.read_answer(await self._worker.call(head, octets, room=room))

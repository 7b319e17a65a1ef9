"""Events inside one process: those who listen are called at once, in the order in which they began to listen."""

from collections import OrderedDict

from ami_hes.engine.ports import Listener

KEPT = 10_000
"""Ids that are remembered, so that the same one twice counts once."""


class MemoryEvents:
    """The Events port."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Listener]] = {}
        self._published: OrderedDict[tuple[str, str], None] = OrderedDict()

    def listen(self, subject: str, listener: Listener) -> None:
        """Have it called with id and body of each event of a subject from now on."""
        self._listeners.setdefault(subject, []).append(listener)

    async def publish(self, subject: str, event_id: str, body: bytes) -> None:
        key = (subject, event_id)
        if key in self._published:
            return
        self._published[key] = None
        if len(self._published) > KEPT:
            self._published.popitem(last=False)
        self.call(subject, event_id, body)

    def call(self, subject: str, event_id: str, body: bytes) -> None:
        """Those who listen, also where it has been published before."""
        for listener in self._listeners.get(subject, ()):
            listener(event_id, body)

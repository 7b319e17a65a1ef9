"""The charge of several front ends (`ami_hes.engine.charge`): given and withdrawn as the lock of the store is had and lost, and asked over NATS."""

import json
from collections.abc import Awaitable, Callable

from ami_hes.engine.charge import Charge
from ami_hes.engine.nats_link import EngineUnavailable, NatsLink
from ami_hes.store import StoreUnavailable

_NAME = "front"
WITHIN_S = 10.0


class NatsCharge(Charge):
    """At first it is nobody's."""

    def __init__(self, link: NatsLink) -> None:
        super().__init__()
        self._link = link
        self._given.clear()
        self._stop_answering: Callable[[], Awaitable[None]] | None = None

    async def give(self) -> None:
        """It is this process's from now on. Raises EngineUnavailable, and then it is not."""
        if not self.is_mine:
            self._stop_answering = await self._link.answer(_NAME, self._say)
            self._over.clear()
            self._given.set()

    async def withdraw(self) -> None:
        """It is not any more; when this returns, nothing of it goes on here."""
        self._given.clear()
        self._over.set()
        if self._stop_answering is not None:
            await self._stop_answering()
            self._stop_answering = None
        await self._idle.wait()

    async def ask(self, what: str, body: bytes) -> bytes:
        if self.is_mine:
            return await super().ask(what, body)
        asked = json.dumps({"what": what, "body": body.decode("latin-1")}).encode()
        said = await self._link.ask(_NAME, asked, WITHIN_S)
        if not said:
            raise EngineUnavailable("no front end is in charge just now, one will be in a moment")
        return said[1:]

    async def _say(self, said: bytes) -> bytes:
        """Nothing where it can't be done now."""
        try:
            asked = json.loads(said)
            return b"+" + await super().ask(asked["what"], asked["body"].encode("latin-1"))
        except (ValueError, KeyError, TypeError, AttributeError, StoreUnavailable):
            return b""

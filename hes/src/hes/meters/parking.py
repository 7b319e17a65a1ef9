"""Connections that meters have opened, between sessions: kept open, watched for notifications and for their end.

The newest connection of a meter replaces an older one, because a meter that calls again has lost the old one
(docs/mapping.md, M-023).
"""

import asyncio
from collections import defaultdict

import structlog

from dlms.errors import DlmsError
from hes.meters.link import Link
from hes.meters.push import Notifications
from hes.meters.registry import Meter

log = structlog.get_logger()


class Parking:
    """The waiting connections by meter."""

    def __init__(self, notifications: Notifications) -> None:
        self._notifications = notifications
        self._lots: dict[str, tuple[Link, asyncio.Task[None]]] = {}
        self._arrived: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._closed = False

    def park(self, meter: Meter, link: Link) -> None:
        """Keep a connection until a session takes it or the meter closes it."""
        if self._closed:
            link.close()
            return
        older = self._lots.pop(meter.name, None)
        if older is not None:
            older[1].cancel()
            older[0].close()
        self._lots[meter.name] = link, asyncio.create_task(self._watch(meter, link))
        self._arrived[meter.name].set()

    async def take(self, meter: Meter, until: float) -> Link:
        """The meter's connection, as soon as there is one; TimeoutError when it does not call in time."""
        async with asyncio.timeout_at(until):
            while (lot := self._lots.pop(meter.name, None)) is None:
                self._arrived[meter.name].clear()
                await self._arrived[meter.name].wait()
        link, watcher = lot
        watcher.cancel()
        await asyncio.wait([watcher])
        return link

    async def close(self) -> None:
        """Close all of them."""
        self._closed = True
        for link, watcher in self._lots.values():
            watcher.cancel()
            link.close()
        self._lots.clear()

    async def _watch(self, meter: Meter, link: Link) -> None:
        try:
            while True:
                pdu = await link.next_frame(None)
                self._notifications.take(pdu.apdu, peer=link.peer, transport="tcp")
        except (OSError, DlmsError) as error:
            if self._lots.get(meter.name, (None,))[0] is link:
                del self._lots[meter.name]
            link.close()
            log.info("hung_up", meter=meter.name, peer=link.peer, reason=str(error))

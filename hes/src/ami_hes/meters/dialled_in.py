"""Connections that meters have opened, between sessions: kept open, watched for notifications and for their end.

Who dials in claims a name, and only keys prove it. A connection over which the keys were proved, or a session was opened,
is never closed for one that merely claims the same name: claims wait beside it, few of them, and are tried when it fails
(docs/mapping.md, M-023). Whoever knows the names of many meters may claim all of them: so what has to be proved and was not waits in a bounded
number of connections, from one address and in all.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from functools import partial

from ami_cim.identity import mrid_key
from ami_dlms.errors import DlmsError
from ami_hes.engine.dialled_in_port import AloneHere, Claims
from ami_hes.events import HungUp, MovedAway, Replaced
from ami_hes.meters.allowance import Allowance
from ami_hes.meters.confirming import WayBack
from ami_hes.meters.link import Link
from ami_hes.meters.push import Notifications
from ami_hes.meters.registry import Meter
from ami_hes.store import NotOwned
from ami_process.environment import real_time
from ami_process.events import Emit
from ami_process.sockets import counted_address

MAX_CLAIMS = 2  # connections of one meter over which nothing has been proved yet
MAX_UNPROVED, MAX_UNPROVED_PER_ADDRESS = (
    1_000,
    250,
)  # connections in the name of meters with keys over which none was proved

CLAIMS_PER_HOST, CLAIMS_IN_ALL, CLAIMS_WINDOW_S = 200, 2_000, 60.0
"""Lines of the log about connections without proof that came to an end, in a minute."""


class Standing(Enum):
    """What is known of a connection; later ones are preferred."""

    REFUTED = 0
    """The keys were asked for and not proved: a stranger, or another key than the registry's."""
    CLAIMED = 1
    PROVED = 2


@dataclass(slots=True, eq=False)
class _Connection:
    link: Link
    standing: Standing
    since: float
    watcher: asyncio.Task[None]


class DialledInConnections:
    """The waiting connections by meter."""

    def __init__(self, notifications: Notifications, emit: Emit) -> None:
        self._emit = emit
        self._notifications = notifications
        self._waiting: dict[str, list[_Connection]] = defaultdict(list)
        self._in_use: dict[str, Link] = {}
        self._lent: dict[str, Link] = {}
        """What a session has taken, whatever was proved over it."""
        self._moved: set[str] = set()
        """Those that have dialled in at another process since."""
        self.claims: Claims = AloneHere()
        self._unproved: dict[str, dict[_Connection, Meter]] = {}
        """By address, the oldest first."""
        self._told = Allowance(CLAIMS_PER_HOST, CLAIMS_IN_ALL, CLAIMS_WINDOW_S)
        self._arrived: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._closed = False

    def add(self, meter: Meter, link: Link, standing: Standing) -> None:
        """Keep a connection until a session takes it or the meter closes it.

        A newer proof replaces an older one: a meter that calls again has lost its old connection. A newer claim replaces
        the oldest claim when there are too many.
        """
        if self._closed or link.closed:
            self.lost(meter, link)
            return
        if self._lent.get(meter.name) is link:
            del self._lent[meter.name]
        if self._in_use.get(meter.name) is link:  # it was established before, and what it was lent for changes nothing
            standing = Standing.PROVED
            del self._in_use[meter.name]
        since = real_time()
        waiting = self._waiting[meter.name]
        added = _Connection(link, standing, since, asyncio.create_task(self._watch(meter, link)))
        waiting.append(added)
        if meter.proves_itself and standing is not Standing.PROVED:
            self._make_room(meter, added)
        proved = [connection for connection in waiting if connection.standing is Standing.PROVED]
        claims = [connection for connection in waiting if connection.standing is not Standing.PROVED]
        for connection in proved[:-1] + claims[:-MAX_CLAIMS]:
            self._replace(meter, connection)
        self._arrived[meter.name].set()

    def arrived(self, meter: Meter, link: Link, standing: Standing) -> None:
        """As `add`, for a new connection: commands may be waiting for it."""
        self._moved.discard(meter.name)
        self.add(meter, link, standing)
        if self.has(meter):
            self.claims.arrived(mrid_key(meter.mrid))

    def lost(self, meter: Meter, link: Link) -> None:
        """A connection that a session had is of no use any more."""
        link.close()
        self._look(meter)

    def has(self, meter: Meter) -> bool:
        """Whether there is a connection of it, waiting or with a session."""
        lent = self._lent.get(meter.name)
        return bool(self._waiting.get(meter.name)) or (lent is not None and not lent.closed)

    def let_go(self, meter: Meter) -> None:
        """It has dialled in at another process: close what is here; who waits for it, or asks for it before it is here again, gets NotOwned."""
        had = self.has(meter)
        self._moved.add(meter.name)
        for connection in list(self._waiting.get(meter.name, ())):
            self._leaves(meter, connection)
            connection.watcher.cancel()
            connection.link.close()
        for lent in (self._lent.pop(meter.name, None), self._in_use.pop(meter.name, None)):
            if lent is not None:
                lent.close()
        self._arrived[meter.name].set()
        if had:
            self._emit(MovedAway(meter=meter.name))

    def has_moved(self, meter: Meter) -> bool:
        """Whether it has dialled in at another process, and not here since."""
        return meter.name in self._moved

    def close_all(self) -> None:
        """All that are here: meters have to dial in again."""
        for waiting in self._waiting.values():
            for connection in list(waiting):
                connection.link.close()
        for lent in (*self._lent.values(), *self._in_use.values()):
            lent.close()

    def _look(self, meter: Meter) -> None:
        if not self.has(meter):
            self._lent.pop(meter.name, None)
            self.claims.left(mrid_key(meter.mrid))

    def is_waiting(self, meter: Meter) -> bool:
        """Whether there is a connection that a session could take, or try."""
        return bool(self._waiting.get(meter.name))

    def is_established(self, meter: Meter) -> bool:
        """Whether there is a connection over which this meter has proved itself, waiting or in use."""
        in_use = self._in_use.get(meter.name)
        return (in_use is not None and not in_use.closed) or any(
            connection.standing is Standing.PROVED for connection in self._waiting[meter.name]
        )

    def establish(self, meter: Meter, link: Link) -> None:
        """A session has been opened over this connection."""
        self._in_use[meter.name] = link

    async def take(self, meter: Meter, until: float, *, began: float, but: Collection[Link] = ()) -> Link:
        """The meter's connection, none of those in `but`, as soon as there is one; TimeoutError when it does not call in time.

        The one over which it has proved itself is taken first, then the newest claim, then one that was refuted before the
        work on the meter `began`: who is refuted from then on has just been tried. NotOwned where it has gone to another process.
        """
        connection = await self._awaited(meter, until, began, but)
        self._leaves(meter, connection)
        self._lent[meter.name] = connection.link
        if connection.standing is Standing.PROVED:
            self._in_use[meter.name] = connection.link
        connection.watcher.cancel()
        await asyncio.wait([connection.watcher])
        return connection.link

    async def wait(self, meter: Meter, until: float) -> None:
        """Until there is a connection that `take` would give; raises as that."""
        await self._awaited(meter, until, real_time(), ())

    async def _awaited(self, meter: Meter, until: float, began: float, but: Collection[Link]) -> _Connection:
        async with asyncio.timeout_at(until):
            while (connection := self._best(meter, but, began)) is None:
                if meter.name in self._moved:
                    raise NotOwned
                self._arrived[meter.name].clear()
                await self._arrived[meter.name].wait()
        return connection

    async def close(self) -> None:
        """Close all of them."""
        self._closed = True
        for waiting in self._waiting.values():
            for connection in waiting:
                connection.watcher.cancel()
                connection.link.close()
        self._waiting.clear()
        self._unproved.clear()

    def _best(self, meter: Meter, but: Collection[Link], began: float) -> _Connection | None:
        candidates = [
            connection
            for connection in self._waiting[meter.name]
            if connection.link not in but and (connection.standing is not Standing.REFUTED or connection.since <= began)
        ]
        return max(enumerate(candidates), key=lambda one: (one[1].standing.value, one[0]))[1] if candidates else None

    def _make_room(self, meter: Meter, added: _Connection) -> None:
        """Count one that was not proved; where there are too many the oldest goes, of its address or of the one that has most."""
        address = counted_address(added.link.host)
        here = self._unproved.setdefault(address, {})
        here[added] = meter
        if len(here) <= MAX_UNPROVED_PER_ADDRESS:
            if sum(map(len, self._unproved.values())) <= MAX_UNPROVED:
                return
            here = max(self._unproved.values(), key=len)
        connection, of = next(iter(here.items()))
        self._replace(of, connection)

    def _leaves(self, meter: Meter, connection: _Connection) -> None:
        self._waiting[meter.name].remove(connection)
        address = counted_address(connection.link.host)
        here = self._unproved.get(address, {})
        here.pop(connection, None)
        if not here:
            self._unproved.pop(address, None)

    def _replace(self, meter: Meter, connection: _Connection) -> None:
        self._leaves(meter, connection)
        connection.watcher.cancel()
        connection.link.close()
        self._look(meter)
        if connection.standing is Standing.PROVED or self._told.takes(counted_address(connection.link.host)):
            self._emit(Replaced(meter=meter.name, peer=connection.link.peer, standing=connection.standing.name.lower()))

    async def _watch(self, meter: Meter, link: Link) -> None:
        try:
            while True:
                pdu = await link.next_frame(None)
                way = WayBack(link.peer, link.transport, partial(link.answer, pdu), ports=(pdu.source, pdu.destination))
                await self._notifications.take_in_turn(pdu.apdu, way)
        except (OSError, DlmsError) as error:
            gone = [one for one in self._waiting[meter.name] if one.link is link]
            for connection in gone:
                self._leaves(meter, connection)
            proved = any(one.standing is Standing.PROVED for one in gone)
            link.close()
            self._look(meter)
            if proved or self._told.takes(counted_address(link.host)):
                self._emit(HungUp(meter=meter.name, peer=link.peer, reason=str(error)))

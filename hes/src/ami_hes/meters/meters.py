"""All meters of the registry: how each is reached, and one holder each.

`Meters.hold(meter, until=...)` gives a session on an open, secured association, or a MeterFault that says why not.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from ami_hes.engine.dialled_in_port import Claims
from ami_hes.meters.association import Timeouts
from ami_hes.meters.callers import CallerPlaces
from ami_hes.meters.commissioning import Commissioning, NothingCommissioned
from ami_hes.meters.confirming import Confirmations
from ami_hes.meters.counters import InvocationCounters
from ami_hes.meters.datagrams import DatagramFigures
from ami_hes.meters.dialled_in import DialledInConnections, Standing
from ami_hes.meters.faults import MeterFault
from ami_hes.meters.kept import KeptSessions
from ami_hes.meters.key_changes import KeyChanges, NothingChanges
from ami_hes.meters.known_objects import KnownObjects
from ami_hes.meters.known_scalers import KnownScalers
from ami_hes.meters.link import Link, Traffic, connect
from ami_hes.meters.listener import Listener
from ami_hes.meters.moved import KeepsAddresses, MovedMeters
from ami_hes.meters.push import Notifications, TakesPushes
from ami_hes.meters.pushed import NotesPushes
from ami_hes.meters.quarantine import Quarantine
from ami_hes.meters.received import ReceiveCounters
from ami_hes.meters.refusals import Refusals
from ami_hes.meters.registry import Meter, Registry
from ami_hes.meters.serial_port import connect_serial
from ami_hes.meters.session import Afterwards, Session, SessionContext
from ami_hes.meters.session_slots import SessionSlots
from ami_hes.meters.shared_meters import Look, SharedMeters
from ami_hes.meters.trace import ApduTrace, recording
from ami_hes.store.firmware_port import FirmwareStore
from ami_hes.store.ports import Counters, ReceivedCounters, ScalerUnits
from ami_hes.store.readings_port import Readings
from ami_mapping.lookup import ReadingTable
from ami_mapping.lookup import readings as general_readings
from ami_packs.pack_folders import Packs, shipped_packs
from ami_process.environment import Environment, real_time
from ami_process.store.errors import StoreUnavailable
from ami_registry import Transport

LINGER_S = 60.0  # how long a late answer is awaited after its command has failed
RELEASE_S = 1.0  # how long a meter may take to say goodbye
_NOT_OF_KEYS = {("transport", "unreachable"), ("transport", "not-dialled-in"), ("deadline", "no-connection")}
"""Rows of the fault table that no other key would mend."""
MAX_TRIES = 8  # connections of a meter that dials in over which one session is tried


@dataclass(frozen=True, slots=True, kw_only=True)
class MetersSettings:
    """Values out of the settings' section [hes]."""

    host: str
    port: int
    system_title: bytes
    apdu_timeout_s: float = 5.0
    max_sessions: int = 100
    max_callers: int = 64
    max_callers_per_address: int = 32
    max_counter_jump: int = 2**20
    keep_open_s: float = 0.0
    max_kept_open: int = 1_000
    datagram_buffer_octets: int = 0
    """Of the socket for pushes by UDP; 0: as the system has it."""
    log_apdus: bool = False
    fast_path: bool = True
    mapping: ReadingTable | None = None
    """With the rows of partners; None: the general one."""
    packs: Packs = field(default_factory=shipped_packs)
    """What is known of the standards of meters."""


class Meters:
    """All meters of the registry, and the listener for those that dial in."""

    def __init__(
        self,
        registry: Registry,
        counters: Counters,
        received: ReceivedCounters,
        settings: MetersSettings,
        environment: Environment,
        readings: Readings | None = None,
        scalers: ScalerUnits | None = None,
        keys: KeyChanges | None = None,
        taker: TakesPushes | None = None,
        commissioning: Commissioning | None = None,
        quarantine: Quarantine | None = None,
        addresses: KeepsAddresses | None = None,
        firmware: FirmwareStore | None = None,
    ) -> None:
        """`commissioning` keeps how far each meter is, `quarantine` who has called unknown, `addresses` where meters are that have moved, `firmware` the images that meters are brought to. `keys` says which keys a meter may have while they change; without it those of its entry. `readings` is where what is read of meters is kept, `taker` what keeps the events that they push; nothing is without them. Without `scalers` they are known in this life alone."""
        self.registry = registry
        self.keys = keys or NothingChanges()
        self.commissioning = commissioning or NothingCommissioned()
        self.settings = settings
        self.environment = environment
        self.objects = KnownObjects()
        self.taker = taker
        self.scalers = KnownScalers(scalers, environment)
        self.readings = readings
        self.firmware = firmware
        self.traffic = Traffic()
        self.sessions = Counter({"opened": 0, "resumed": 0, "failed": 0})
        """How sessions with meters began; those that prove who has dialled in are left out."""
        self.listening: tuple[str, int] | None = None
        self.quarantine = quarantine or Quarantine(None, environment)
        self._received = ReceiveCounters(received)
        self._slots = SessionSlots(settings.max_sessions)
        self._own = own = InvocationCounters(counters, settings.max_counter_jump)
        confirmations = Confirmations(
            settings.system_title, own, self._slots, settings.apdu_timeout_s, environment.emit
        )
        self._refusals = Refusals(environment.emit, taker)
        self._notifications = Notifications(
            registry, self._received, confirmations, environment.emit, taker, self.quarantine.note, self._refusals
        )
        self._dialled_in = DialledInConnections(self._notifications, environment.emit)
        self._kept = KeptSessions(settings.keep_open_s, settings.max_kept_open, self._release)
        self._moved = MovedMeters(addresses, self._slots, self._prove, self._connect, environment.emit)
        self._shared = SharedMeters(registry, self._dialled_in, own)
        self._listener = self._new_listener()
        self._context = self._new_context(own)

    def _new_listener(self) -> Listener:
        settings = self.settings
        return Listener(
            self.registry,
            self._dialled_in,
            self._notifications,
            self._prove,
            traffic=self.traffic,
            places=CallerPlaces(settings.max_callers, settings.max_callers_per_address),
            log_apdus=settings.log_apdus,
            buffer_octets=settings.datagram_buffer_octets,
            figures=DatagramFigures(),
            emit=self.environment.emit,
            strangers=self.quarantine.note,
            moved=self._moved.look,
            sharing=self._shared,
        )

    def _new_context(self, own: InvocationCounters) -> SessionContext:
        settings = self.settings
        return SessionContext(
            settings.system_title,
            own,
            self._received,
            self._notifications,
            self.environment.random_bytes,
            settings.fast_path,
        )

    @property
    def table(self) -> ReadingTable:
        """The mapping that meters are read by; loaded when it is first looked at."""
        return self.settings.mapping or general_readings()

    @property
    def at_work(self) -> int:
        """Sessions that are held now."""
        return self._slots.taken

    @property
    def datagrams(self) -> DatagramFigures:
        """What came by UDP, and what became of it."""
        return self._listener.datagrams

    @property
    def refused(self) -> Mapping[str, int]:
        """What came in the name of a meter and was not believed, by kind."""
        return self._refusals.counts

    @property
    def buffer_limited_by(self) -> str | None:
        """What keeps the buffer for them smaller than the settings want it; None where nothing does."""
        return self._listener.buffer_limited_by

    def is_there(self, meter: Meter) -> bool:
        """Whether a session can be tried now: a meter that dials in has to have done so."""
        return meter.address is not None or self._dialled_in.is_waiting(meter)

    async def start(self, *, listen: bool = True) -> None:
        """Begin to listen, unless another process does so; OSError when the port is taken."""
        await self._received.load()
        await self.scalers.load()
        await self.quarantine.start()
        if listen:
            await self.listen()

    async def listen(self) -> None:
        """Take connections and pushes from now on; OSError when the port is taken."""
        self.listening = await self._listener.start(self.settings.host, self.settings.port)

    def share(self, claims: Claims, look: Look) -> None:
        """Other processes listen as well: to be said before this one does."""
        self._shared.share(claims, look)

    def has(self, mrid: str) -> bool:
        """The Connections port."""
        meter = self.registry.find_by_mrid(mrid)
        return meter is not None and self._dialled_in.has(meter)

    def let_go(self, mrid: str) -> None:
        """The Connections port."""
        meter = self.registry.find_by_mrid(mrid)
        if meter is not None:
            self._dialled_in.let_go(meter)

    def forget_counters(self, mrid: str) -> None:
        """The Connections port."""
        meter = self.registry.find_by_mrid(mrid)
        if meter is not None:
            self._own.forget_key(meter)

    def close_all(self) -> None:
        """The Connections port."""
        self._dialled_in.close_all()

    def is_connected(self, meter: Meter) -> bool:
        """The Presence port of commands."""
        return meter.address is not None or self._dialled_in.has(meter)

    def has_moved(self, meter: Meter) -> bool:
        """The Presence port of commands."""
        return self._dialled_in.has_moved(meter)

    async def taken_over(self) -> None:
        """Another process may have worked meters that are this one's from now on: what was known of their counters is old. Raises StoreUnavailable."""
        await self._received.load()
        self._own.forget()

    async def leave(self) -> None:
        """Keep no association open: another process may have its meter next."""
        await self._kept.give_up()

    async def stop(self) -> None:
        """Close the listener and every connection that is kept or waits."""
        await self._listener.stop()
        await self._slots.close()
        await self._kept.close()
        await self._dialled_in.close()
        await self._notifications.close()
        await self._refusals.close()
        await self.quarantine.stop()

    def note_pushes(self, notes: NotesPushes) -> None:
        """Have traces kept of what meters push from now on."""
        self._notifications.notes = notes

    @asynccontextmanager
    async def hold(self, meter: Meter, *, until: float) -> AsyncIterator[Session]:
        """The meter, for one user at a time; everything has to end by then (of `real_time`). Raises MeterFault."""
        if until <= real_time():
            raise MeterFault("deadline", "passed")
        if meter.behind:
            raise MeterFault("identity", "no-address", detail=meter.place)
        async with self._slots.slot(meter, until):
            timeouts = Timeouts(self.settings.apdu_timeout_s, until)
            candidates = self.keys.candidates(meter)
            session = await self._resumed(candidates, timeouts)
            if session is None and len(candidates) > 1 and meter.address is None:
                candidates = await self._candidates_of_a_call(meter, timeouts)
            session = session or await self._opened_by(candidates, timeouts)
            session.suspect = self._suspect
            try:
                yield session
            except BaseException as error:
                session.healthy = session.healthy and isinstance(error, MeterFault)
                raise
            finally:
                await self._leave(session)

    async def _resumed(self, candidates: Sequence[Meter], timeouts: Timeouts) -> Session | None:
        """The session that the last holder has left open, unless the registry has another entry for the meter since."""
        session = await self._kept.take(meter := candidates[0])
        if session is not None and session.meter not in candidates:
            await self._release(session)
            return None
        if session is not None:
            began = real_time()
            session.resume(timeouts, lambda: self._link(meter, timeouts, began))
            _note_connection("an association that was kept open", meter, session.link)
            self.sessions["resumed"] += 1
        return session

    async def _candidates_of_a_call(self, meter: Meter, timeouts: Timeouts) -> Sequence[Meter]:
        """Once it has dialled in: by what it has proved then it is known which keys are the likeliest."""
        try:
            await self._dialled_in.wait(meter, timeouts.until)
        except TimeoutError:
            self.sessions["failed"] += 1
            raise MeterFault("transport", "not-dialled-in") from None
        return self.keys.candidates(meter)

    async def _opened_by(self, candidates: Sequence[Meter], timeouts: Timeouts) -> Session:
        """A session under the first of these keys that opens one; which it was is committed. Any key but the right one ends as any fault."""
        for meter in candidates[:-1]:
            try:
                session = await self._opened(meter, timeouts, expected_to_fail=True)
            except MeterFault as fault:
                if (fault.kind, fault.name) in _NOT_OF_KEYS or fault.kind == "identity":
                    raise
            else:
                return await self._proved(session)
        session = await self._opened(candidates[-1], timeouts)
        return session if len(candidates) == 1 else await self._proved(session)

    async def _proved(self, session: Session) -> Session:
        try:
            await self.keys.proved(session.meter)
        except StoreUnavailable as problem:  # both keys are kept, and the next session proves it
            await self._release(session)
            raise MeterFault("internal", "store", detail=str(problem)) from None
        except BaseException:
            session.link.close()
            raise
        return session

    async def _opened(self, meter: Meter, timeouts: Timeouts, *, expected_to_fail: bool = False) -> Session:
        """A session over the first connection on which it can be opened; `expected_to_fail` where other keys are tried as well.

        Where the meter dials in, strangers may claim its name: so one that fails is not the end, the next is awaited.
        """
        began = real_time()
        tried: list[Link] = []
        first: MeterFault | None = None
        while True:
            try:
                link = await self._link(meter, timeouts, began, tried)
            except MeterFault as fault:
                self.sessions["failed"] += 1
                raise first or fault from None
            session = Session(meter, link, timeouts, self._context)
            try:
                await session.open(None if meter.address is None else lambda: self._link(meter, timeouts, began))
            except BaseException as error:
                session.healthy = session.healthy and isinstance(error, MeterFault)
                await self._leave(session)
                if not isinstance(error, MeterFault):
                    raise
                if not expected_to_fail:
                    self._suspect(session, error)
                first = first or error
                tried.append(link)
                if meter.address is not None or len(tried) == MAX_TRIES:
                    self.sessions["failed"] += 1
                    raise first from None
            else:
                if meter.address is None:
                    self._dialled_in.establish(meter, link)
                self.sessions["opened"] += 1
                return session

    async def _prove(self, meter: Meter, link: Link, until: float) -> None:
        """Have who claims to be this meter prove its keys over its connection; raises MeterFault."""
        session = Session(meter, link, Timeouts(self.settings.apdu_timeout_s, until), self._context)
        try:
            await session.open()
        except MeterFault as fault:
            self._suspect(session, fault)
            raise
        if len(self.keys.candidates(meter)) > 1:
            # so its next session does not begin with a key that has not come to it; where the store is away the meter
            # has proved itself all the same, both keys are kept, and that session says which
            try:
                with suppress(StoreUnavailable):
                    await self.keys.proved(session.meter)
            except BaseException:
                link.close()
                raise
        await session.release()

    def _suspect(self, session: Session, fault: MeterFault) -> None:
        """A session failed by what may be the doing of somebody else than its meter."""
        if session.meter.keyed:
            self._refusals.suspect(session.meter, fault, session.link.peer, session.link.transport)

    async def _link(self, meter: Meter, timeouts: Timeouts, began: float, but: Sequence[Link] = ()) -> Link:
        if meter.address is None:
            try:
                link = await self._dialled_in.take(meter, timeouts.until, began=began, but=but)
            except TimeoutError:
                raise MeterFault("transport", "not-dialled-in") from None
            _note_connection("the connection that the meter has opened", meter, link)
            return link
        return await self._called(meter, meter.address, timeouts)

    async def _connect(self, meter: Meter, until: float) -> Link:
        """A connection to a meter with an address."""
        if meter.address is None:
            raise MeterFault("transport", "not-dialled-in")
        return await self._called(meter, meter.address, Timeouts(self.settings.apdu_timeout_s, until))

    async def _called(self, meter: Meter, address: tuple[str, int] | str, timeouts: Timeouts) -> Link:
        """A connection to there, as a part of a trace."""
        noted = recording()
        if noted is None:
            return await self._connected(meter, address, timeouts)
        entry = noted.begin("connection", f"connecting to {meter.place}", meter.place, meter.transport.value)
        try:
            link = await self._connected(meter, address, timeouts)
        except MeterFault as fault:
            noted.end(entry, "failed", str(fault))
            raise
        noted.end(entry)
        return link

    async def _connected(self, meter: Meter, address: tuple[str, int] | str, timeouts: Timeouts) -> Link:
        trace = ApduTrace(meter.name, self.environment.emit) if self.settings.log_apdus else None
        try:
            if isinstance(address, str):
                link = await connect_serial(meter, address, timeouts, trace)
            else:
                udp = meter.transport is Transport.UDP
                link = await connect(address, timeouts.next_answer, udp=udp, trace=trace)
        except TimeoutError:
            raise MeterFault("deadline", "no-connection", detail=meter.place) from None
        except OSError as error:
            raise MeterFault("transport", "unreachable", detail=f"{meter.place}: {error.strerror or error}") from None
        link.traffic = self.traffic
        return link

    async def _leave(self, session: Session) -> None:
        afterwards = session.afterwards
        if afterwards is None:
            if not self._kept.keep(session):
                await self._release(session)
        elif not await self._slots.linger(session.meter, lambda: self._linger(session, afterwards)):
            await self._release(session)

    async def _linger(self, session: Session, afterwards: Afterwards) -> None:
        try:
            async with asyncio.timeout(LINGER_S):
                await afterwards()
        except (MeterFault, TimeoutError):
            session.healthy = False
        except BaseException:
            session.healthy = False
            raise
        finally:
            await self._release(session)

    async def _release(self, session: Session) -> None:
        """Say goodbye; a connection that the meter opened is kept for the next session."""
        session.wait_by(Timeouts(self.settings.apdu_timeout_s, real_time() + RELEASE_S))
        try:
            async with asyncio.timeout(RELEASE_S):
                await session.release()
        except (MeterFault, TimeoutError):
            session.healthy = False
        except BaseException:
            session.link.close()
            raise
        if session.healthy and session.meter.address is None:
            standing = Standing.PROVED if session.opened else Standing.CLAIMED
            self._dialled_in.add(session.meter, session.link, standing)
        elif session.meter.address is None:
            self._dialled_in.lost(session.meter, session.link)
        else:
            session.link.close()


def _note_connection(what: str, meter: Meter, link: Link) -> None:
    """One that was there already, as a part of a trace."""
    noted = recording()
    if noted is not None:
        transport = meter.transport.value if meter.transport.framed else link.transport
        noted.end(noted.begin("connection", what, link.peer, transport))

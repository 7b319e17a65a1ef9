"""The listener for meters that dial in and push: TCP connections that sessions use, notifications over TCP and UDP.

A caller has seconds to say which meter of the registry it is: the logical device name is read over the public
association, on the caller's own connection. That is a claim. A meter with keys proves it right after by its secured
association, unless it is established over another connection already; every session proves the keys again. Callers that
are not known yet are few at a time; whatever does not fit is dropped with one event that says why.
"""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from functools import partial

from ami_dlms.errors import DlmsError
from ami_dlms.framing import wrapper
from ami_dlms.framing.framing import WrapperPdu
from ami_hes.events import DatagramsLost, DialledIn, NotProved
from ami_hes.meters.allowance import Allowance
from ami_hes.meters.association import Timeouts
from ami_hes.meters.callers import Caller, CallerPlaces
from ami_hes.meters.channels import TcpChannel
from ami_hes.meters.confirming import WayBack
from ami_hes.meters.datagrams import BUFFER_LIMIT, Address, DatagramFigures, DatagramSocket
from ami_hes.meters.dialled_in import DialledInConnections, Standing
from ami_hes.meters.faults import MeterFault
from ami_hes.meters.link import Link, Traffic
from ami_hes.meters.public_client import public_association, read_device_name
from ami_hes.meters.push import Notifications
from ami_hes.meters.registry import Meter, Registry
from ami_hes.meters.shared_meters import SharedMeters
from ami_hes.meters.trace import ApduTrace
from ami_hes.store import StoreUnavailable
from ami_process.environment import real_time
from ami_process.events import Emit, format_fault
from ami_process.sockets import counted_address

RECOGNITION_S = 10.0
GREETING_S = 0.2  # who calls to push speaks first, and may hang up right after it
MANAGEMENT_DEVICE = 1
CLAIMS_PER_HOST, CLAIMS_IN_ALL, CLAIMS_WINDOW_S = 200, 2_000, 60.0
"""Lines of the log about callers that did not prove who they are, in a minute; a claim costs nothing."""
BACKLOG = 256  # of the operating system, for a fleet that calls again all at once
_PORT_CHOICES = 20
NoteStranger = Callable[[str, bytes | None, str], None]
"""A name, a system title, and host and port of a caller."""
LookAfterMoved = Callable[[Meter, Link, float], Awaitable[None]]
Prove = Callable[[Meter, Link, float], Awaitable[None]]


class Listener:
    """One TCP and one UDP port. `prove` has a meter prove its keys over a connection until a time of the loop's clock.

    `strangers` is told of callers that no entry names, `moved` of those that claim to be a meter with an address; `sharing` says which meters are this process's.
    """

    def __init__(
        self,
        registry: Registry,
        dialled_in: DialledInConnections,
        notifications: Notifications,
        prove: Prove,
        *,
        places: CallerPlaces,
        traffic: Traffic,
        log_apdus: bool,
        buffer_octets: int,
        figures: DatagramFigures,
        emit: Emit,
        strangers: NoteStranger,
        moved: LookAfterMoved,
        sharing: SharedMeters,
    ) -> None:
        self._registry = registry
        self._dialled_in = dialled_in
        self._notifications = notifications
        self._prove = prove
        self._places = places
        self._traffic = traffic
        self._log_apdus = log_apdus
        self._emit = emit
        self._note_stranger = strangers
        self._look_after_moved = moved
        self._sharing = sharing
        self._unknown: dict[Caller, asyncio.Task[None]] = {}
        self._told = Allowance(CLAIMS_PER_HOST, CLAIMS_IN_ALL, CLAIMS_WINDOW_S)
        self._server: asyncio.Server | None = None
        self._buffer_octets = buffer_octets
        self._datagrams = DatagramSocket(self._take_datagram, figures, self._report_lost, self._report_fault)

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen on both; OSError when a port is taken. Port 0 chooses one that is free for both."""
        loop = asyncio.get_running_loop()
        for choices_left in reversed(range(_PORT_CHOICES)):
            self._server = await loop.create_server(lambda: TcpChannel(self._accept), host, port, backlog=BACKLOG)
            address: tuple[str, int] = self._server.sockets[0].getsockname()[:2]
            try:
                self._datagrams.open(*address, self._buffer_octets)
                return address
            except OSError as error:
                self._server.close()
                if port != 0 or error.errno != errno.EADDRINUSE or not choices_left:
                    raise
        raise AssertionError("the last choice either returns or raises")

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._datagrams.close()
        work = list(self._unknown.values())
        for caller, task in self._unknown.items():
            task.cancel()
            caller.link.close()
        if work:
            await asyncio.wait(work)

    @property
    def datagrams(self) -> DatagramFigures:
        """What came by UDP, and what became of it."""
        return self._datagrams.look()

    @property
    def buffer_limited_by(self) -> str | None:
        """The sysctl that keeps the receive buffer smaller than the settings want it; None where it is as they want it."""
        return BUFFER_LIMIT if self._datagrams.look().granted_octets < self._buffer_octets else None

    def _report_lost(self, number: int) -> None:
        granted = self._datagrams.look().granted_octets
        self._emit(DatagramsLost(number=number, granted_octets=granted, limited_by=self.buffer_limited_by))

    def _report_fault(self, problem: Exception, octets: bytes, address: Address) -> None:
        peer = f"{address[0]}:{address[1]}"
        self._notifications.drop(peer, "udp", f"a fault of this head-end: {format_fault(problem)}", octets)

    async def _take_datagram(self, octets: bytes, address: Address) -> None:
        """One notification per datagram; returns when there is room for the next."""
        peer = f"{address[0]}:{address[1]}"
        try:
            pdu = wrapper.decode_datagram(octets)
        except DlmsError as error:
            self._notifications.drop(peer, "udp", str(error), octets)
            return
        await self._notifications.room()
        ports = (pdu.source, pdu.destination)
        way = WayBack(peer, "udp", partial(self._answer, pdu, address), answers_plain=False, ports=ports)
        self._notifications.take(pdu.apdu, way)

    def _answer(self, pdu: WrapperPdu, address: Address, apdu: bytes) -> bool:
        """Send an APDU back to the sender of this one; False when it did not leave."""
        return self._datagrams.send(wrapper.encode(WrapperPdu(pdu.destination, pdu.source, apdu)), address)

    def _accept(self, channel: TcpChannel) -> None:
        link = Link(channel, channel.peer, trace=ApduTrace("unknown", self._emit) if self._log_apdus else None)
        link.traffic = self._traffic
        link.keep_alive()
        address = counted_address(link.host)
        crowded_out = self._places.crowded_out(list(self._unknown), address)
        if crowded_out is not None:
            self._send_away(crowded_out)
        caller = Caller(link, address)
        self._unknown[caller] = asyncio.create_task(self._receive(caller))
        self._unknown[caller].add_done_callback(lambda done: self._unknown.pop(caller, None))

    def _send_away(self, caller: Caller) -> None:
        if not caller.delivered:
            reason = f"{len(self._unknown)} callers have not said yet who they are: this one makes room for another"
            self._notifications.drop(caller.link.peer, "tcp", reason, caller.link.first)
        self._unknown.pop(caller).cancel()
        caller.link.close()  # here, because work that has not begun yet does not see that it is cancelled

    async def _receive(self, caller: Caller) -> None:
        link = caller.link
        until = real_time() + RECOGNITION_S
        pushed: bool | None = None
        try:
            pushed = await self._greeting(link, until)
            caller.pushed = link.frames
            if pushed is None:
                link.close()
                return
            meter = await self._recognise(link, until)
            standing = await self._standing(meter, link, until)
            await self._sharing.claim(meter, standing)
        except (MeterFault, OSError, DlmsError, StoreUnavailable) as error:
            if not (pushed and _hung_up(error)):
                self._notifications.drop(link.peer, "tcp", str(error), link.first)
            link.close()
        except asyncio.CancelledError:
            link.close()
            raise
        else:
            if standing is Standing.PROVED or self._told.takes(counted_address(link.host)):
                self._emit(DialledIn(meter=meter.name, peer=link.peer, standing=standing.name.lower()))
            self._dialled_in.arrived(meter, link, standing)

    async def _greeting(self, link: Link, until: float) -> bool | None:
        """Give a caller that pushes the first word; True when it did, None when what it said was dropped."""
        try:
            pdu = await link.next_frame(real_time() + GREETING_S)
        except TimeoutError:
            return False
        while (taken := await self._notifications.take_in_turn(pdu.apdu, _way_back(link, pdu))) is None:
            pdu = await link.next_frame(until)
        return True if taken else None

    async def _standing(self, meter: Meter, link: Link, until: float) -> Standing:
        """Have who claims to be this meter prove it.

        Not asked where there is nothing to prove with, nor as long as the meter is established: a caller that claims its name
        then shall cost it neither time nor counters. A claim that can't be proved is kept for the next session, which
        reports why to its requester.
        """
        if not meter.proves_itself or self._dialled_in.is_established(meter):
            return Standing.CLAIMED
        await self._sharing.prepare(meter)
        try:
            await self._prove(meter, link, until)
        except MeterFault as fault:
            if fault.kind == "transport":
                raise
            if fault.kind == "internal":  # of this head-end, as a store that is away: nothing was shown of the caller
                return Standing.CLAIMED
            if self._told.takes(counted_address(link.host)):
                self._emit(NotProved(meter=meter.name, peer=link.peer, reason=str(fault)))
            return Standing.REFUTED
        return Standing.PROVED

    async def _recognise(self, link: Link, until: float) -> Meter:
        name = await self._ask_name(link, Timeouts(RECOGNITION_S, until))
        meter = await self._sharing.look(self._registry.find_by_logical_device_name(name))
        if meter is None:
            self._note_stranger(name, None, link.peer)
            raise MeterFault("identity", "not-registered", detail=name)
        if meter.address is not None:
            await self._look_after_moved(meter, link, until)
            raise MeterFault("identity", "not-dialling", detail=meter.name)
        if link.trace is not None:
            link.trace.meter = meter.name
        return meter

    async def _ask_name(self, link: Link, timeouts: Timeouts) -> str:
        """The logical device name, from the first server wrapper port in use that answers the public client."""
        *others, last = sorted(self._registry.calling_wports() | {MANAGEMENT_DEVICE})
        for server_wport in others:
            try:
                return await _read_name(link, server_wport, self._notifications, timeouts)
            except MeterFault as fault:
                if fault.kind != "association":
                    raise
        return await _read_name(link, last, self._notifications, timeouts)


async def _read_name(link: Link, server_wport: int, notifications: Notifications, timeouts: Timeouts) -> str:
    public = await public_association(link, server_wport, notifications, timeouts)
    name = await read_device_name(public)
    await public.release("releasing the public association")
    return name


def _way_back(link: Link, pdu: WrapperPdu) -> WayBack:
    """Who pushes first is asked who it is after its push is confirmed: some meters take the first answer for the confirmation."""
    ports = (pdu.source, pdu.destination)
    return WayBack(link.peer, link.transport, partial(link.answer, pdu), waits=True, ports=ports)


def _hung_up(error: Exception) -> bool:
    return isinstance(error, ConnectionError) or (isinstance(error, MeterFault) and error.name == "lost")

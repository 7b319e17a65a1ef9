"""A meter on the bench: made without a file of settings, moved in time by hand, read by our own client in memory or over a socket."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from patience import PATIENCE_S
from reported import Reported

from ami_dlms import data
from ami_dlms.association import ClientConnection, ClientSettings, Get, GetResult, Open, Request, Security
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.selection import SelectiveAccess
from ami_dlms.data import Data
from ami_dlms.enums import DataAccessResult, Mechanism
from ami_dlms.framing.framing import Framing
from ami_dlms.obis import Obis
from ami_dlms.security import GlobalKeys, SendCounter
from ami_meter_sim.effects import Effect, Send
from ami_meter_sim.faults import Faults, Rule
from ami_meter_sim.fleet import Fleet
from ami_meter_sim.lines.addresses import OneAddress
from ami_meter_sim.lines.admission import Admission
from ami_meter_sim.lines.connection import Service
from ami_meter_sim.lines.listener import TcpListener
from ami_meter_sim.lines.meter_pushes import WantedPushes
from ami_meter_sim.lines.push import Push, PushEndpoint, PushSender
from ami_meter_sim.lines.udp import UdpListener
from ami_meter_sim.meter.filled_pushes import Pushes, with_pushes
from ami_meter_sim.meter.memory import memory_of
from ami_meter_sim.meter.pushes import SETUPS
from ami_meter_sim.meter.pushes import SWITCH as SWITCHED
from ami_meter_sim.meter.pushing import push_frames
from ami_meter_sim.meter.session import Session
from ami_meter_sim.meter.setup import ManagementAssociation, MeterSetup
from ami_meter_sim.meter.simulated_meter import Meter
from ami_meter_sim.objects.cosem_object import ReadContext
from ami_meter_sim.objects.device import Identity
from ami_meter_sim.objects.model_files import load_model
from ami_meter_sim.objects.push_setup import OperationMethod, PushPlan
from ami_meter_sim.population.store import Store, WantedMeters
from ami_packs.model import MANAGEMENT, Model
from ami_process.environment import Environment
from ami_process.events import Event

START = datetime(2026, 3, 2, 10, 5, tzinfo=UTC)
RESIDENTIAL = load_model("residential")
METER_TITLE = bytes.fromhex("414D4900000003E9")
CLIENT_TITLE = bytes.fromhex("414D490000000001")
KEYS = GlobalKeys(bytes(range(16)), bytes(range(16, 32)))
WRONG_KEYS = GlobalKeys(bytes(range(1, 17)), bytes(range(16, 32)))

CLOCK = (8, "0-0:1.0.0")
IMPORT = (3, "1-0:1.8.0")
EXPORT = (3, "1-0:2.8.0")
POWER = (3, "1-0:1.7.0")
PROFILE = (7, "1-0:99.1.0")
SWITCH = (70, "0-0:96.3.10")
EVENT_LOG = (7, "0-0:99.98.2")
DEVICE_NAME = (1, "0-0:42.0.0")
DEVICE_ID = (1, "0-0:96.1.0")
COUNTER = (1, "0-0:43.1.0")
ASSOCIATION = (15, "0-0:40.0.0")
SAPS = (17, "0-0:41.0.0")
SECURITY_SETUP = (64, "0-0:43.0.0")

ObjectName = tuple[int, str]
STORES: WeakKeyDictionary[Meter, Store] = WeakKeyDictionary()
"""Of every meter on a bench."""
OPENED: list[Store] = []
"""Closed after each test by conftest."""


def attribute(which: ObjectName, number: int) -> AttributeDescriptor:
    return AttributeDescriptor(which[0], Obis.parse(which[1]), number)


def method(which: ObjectName, number: int) -> MethodDescriptor:
    return MethodDescriptor(which[0], Obis.parse(which[1]), number)


def meter_security(**more: Any) -> Security:
    return Security(keys=KEYS, system_title=METER_TITLE, **more)


def client_security(keys: GlobalKeys = KEYS, **more: Any) -> Security:
    return Security(**{"keys": keys, "system_title": CLIENT_TITLE, "peer_system_title": METER_TITLE} | more)


def setup(name: str = "M1001", **more: Any) -> MeterSetup:
    title = more.pop("system_title", METER_TITLE)
    identity = Identity(name, f"AMI{name}".encode(), name[1:].encode(), title)
    return MeterSetup(
        **{"identity": identity, "model": RESIDENTIAL, "further": {}, "logical_devices": ((1, b"AMIM1001"),)} | more
    )


def gmac(**more: Any) -> ManagementAssociation:
    return ManagementAssociation(mechanism=Mechanism.GMAC, security=meter_security(**more))


@dataclass
class Bench:
    """One meter, the time it is told, and its files."""

    directory: Path
    at: datetime = START
    meter: Meter = field(init=False)
    store: Store = field(init=False)
    begun: bool = False

    def start(self, one: MeterSetup | None = None, with_past: bool = False) -> Meter:
        """Begin; a meter that ran before has died after a turn of the event loop, without goodbye.

        The load profile of a new meter is emptied, so that a test sees what comes after, unless it is `with_past`.
        """
        one, new = one or setup(), not self.begun
        if self.begun:
            self.store.journal.write()
            self.store.abandon()
        self.begun, self.store = True, Store.open(self.directory, [WantedMeters(one.identity.name)])
        OPENED.append(self.store)
        self.meter = Meter(one, memory_of(self.store, 0), self.at)
        STORES[self.meter] = self.store
        if new and not with_past:
            self.meter.act(method(PROFILE, 1), data.integer(0), self.at)
        return self.meter

    def later(self, **time: float) -> datetime:
        self.at += timedelta(**time)
        return self.at

    def read(self, which: ObjectName, number: int = 2, selection: SelectiveAccess | None = None) -> Data:
        asked = ReadContext(MANAGEMENT, self.meter.profiles[1], None, selection)
        value = self.meter.get(attribute(which, number), asked, self.at)
        assert isinstance(value, Data), value
        return value

    def refusal(self, which: ObjectName, number: int = 2, selection: SelectiveAccess | None = None) -> DataAccessResult:
        asked = ReadContext(MANAGEMENT, self.meter.profiles[1], None, selection)
        value = self.meter.get(attribute(which, number), asked, self.at)
        assert isinstance(value, DataAccessResult), value
        return value

    def value(self, which: ObjectName, number: int = 2) -> Any:
        return self.read(which, number).value


@contextmanager
def no_room(bench: Bench) -> Iterator[None]:
    """A disk that takes no octet more: the descriptor of the journal's file can only be read meanwhile."""
    segment = bench.store.journal.segments[-1]
    writable = os.dup(segment.file)
    only_read = os.open(segment.path, os.O_RDONLY)
    os.dup2(only_read, segment.file)
    try:
        yield
    finally:
        os.dup2(writable, segment.file)
        os.close(only_read)
        os.close(writable)


def all_die() -> None:
    """What has been opened so far ends without goodbye."""
    while OPENED:
        OPENED.pop().abandon()


class Dialogue:
    """A client joined to a session in memory; what is not octets is kept."""

    def __init__(self, session: Session, connection: ClientConnection) -> None:
        self.session = session
        self.connection = connection
        self.effects: list[Effect] = []

    def ask(self, request: Request) -> Any:
        """The client's event, or None if the meter stays silent."""
        octets = self.connection.send(request)
        while octets:
            for effect in self.session.receive_data(octets):
                if isinstance(effect, Send):
                    self.connection.receive_data(effect.octets)
                else:
                    self.effects.append(effect)
            for meter in self.session.meters:
                STORES[meter].journal.write()
            event = self.connection.next_event()
            octets = self.connection.data_to_send()
            if event is not None:
                return event
        return None

    def open(self) -> Any:
        return self.ask(Open())

    def get(self, which: ObjectName, number: int = 2, selection: SelectiveAccess | None = None) -> GetResult:
        result = self.ask(Get(attribute(which, number), selection))
        assert isinstance(result, GetResult), result
        return result


def public_client(server_wport: int = 1, framing: Framing | None = None) -> ClientConnection:
    return ClientConnection(ClientSettings(client_wport=16, server_wport=server_wport), framing=framing)


def clear_client(server_wport: int = 1, framing: Framing | None = None) -> ClientConnection:
    return ClientConnection(ClientSettings(client_wport=1, server_wport=server_wport), framing=framing)


def lls_client(secret: bytes) -> ClientConnection:
    return ClientConnection(ClientSettings(client_wport=1, server_wport=1, mechanism=Mechanism.LOW, secret=secret))


def gmac_client(
    counter: int = 1, *, security: Security | None = None, server_wport: int = 1, challenge: bytes = b"client's words 1"
) -> ClientConnection:
    settings = ClientSettings(
        client_wport=1,
        server_wport=server_wport,
        mechanism=Mechanism.GMAC,
        security=security or client_security(),
    )
    return ClientConnection(settings, challenge=challenge, send_counter=SendCounter(counter))


def randomness() -> Callable[[int], bytes]:
    """Octets that look random and are the same in every run."""
    numbers = itertools.count(1)
    return lambda length: next(numbers).to_bytes(length, "big")


def misbehaving(*rules: dict[str, Any]) -> Faults:
    """Faults as a file has them."""
    faults = Faults()
    for one in rules:
        faults.set(Rule.parse(one))
    return faults


def session(*meters: Meter, at: datetime = START, faults: Faults | None = None) -> Session:
    behind = {one.setup.server_wport: one for one in meters}
    return Session(behind, now=lambda: at, random_bytes=randomness(), faults=faults)


class Wire:
    """Meters on a real loopback socket; what they tell is kept."""

    def __init__(
        self, *meters: Meter, now: Callable[[], datetime] = lambda: START, faults: Faults | None = None
    ) -> None:
        self.reported = Reported()
        self.died = 0
        environment = Environment(emit=self._take, now=now, random_bytes=randomness())
        self.fleet = Fleet(meters, environment, self._die, faults, STORES[meters[0]])
        self.watch: Callable[[Event], None] = lambda event: None
        self.bench: Bench | None = None
        self.sending: asyncio.Task[None] | None = None
        self.listener: TcpListener | UdpListener | None = None
        self.port = 0

    def _take(self, event: Event) -> None:
        self.reported(event)
        self.watch(event)

    def _die(self) -> None:
        self.died += 1

    async def listen(self, most: int = 4, idle_timeout_s: float = 5.0, **more: Any) -> None:
        """Over TCP, by the wrapper unless `communication` says otherwise."""
        await self._listen(TcpListener, most, idle_timeout_s, **more)

    async def listen_udp(self, most: int = 4, idle_timeout_s: float = 5.0) -> None:
        await self._listen(UdpListener, most, idle_timeout_s)

    async def _listen(
        self, kind: type[TcpListener | UdpListener], most: int, idle_timeout_s: float, **more: Any
    ) -> None:
        behind = {one.setup.server_wport: one for one in self.fleet.meters.values()}
        self.admission = Admission(idle_timeout_s)
        self.listener = kind(Service(self.fleet, **more), self.admission, OneAddress(behind), most * len(behind))
        address = await self.listener.start("127.0.0.1", 0)
        self.port = int(address.rsplit(":", 1)[1])

    def push(self) -> None:
        """From now on meters push where their push setups say."""
        self.sender = PushSender(self.fleet)
        wanted = WantedPushes(self.sender, self.fleet)
        for meter in self.fleet.meters.values():
            wanted.watch(meter)
        self.sending = asyncio.create_task(self.sender.run())

    async def stop(self) -> None:
        if self.sending is not None:
            self.sending.cancel()
        if self.listener is not None:
            await self.listener.stop()
            self.admission.close()

    def events(self, name: str) -> list[dict[str, Any]]:
        return self.reported.seen(name)


def pushing_to(address: tuple[str, int], *reasons: str, model: Model = RESIDENTIAL, **more: Any) -> Model:
    """The model with push setups for these reasons that have this destination."""
    given = {"transport": "udp", "host": address[0], "port": address[1], "reasons": frozenset(reasons)}
    return with_pushes(model, Pushes(**given | more))


A_PUSH = PushPlan(SETUPS[SWITCHED], data.unsigned(1), None, None, 0, OperationMethod.UNCONFIRMED_RETRY_ON_FAILURE)


def one_push(meter: Meter, where: PushEndpoint, why: str) -> Push:
    """A push of this meter, whatever its push setups say."""
    return Push(meter=meter.name, frames=lambda at: push_frames(meter, A_PUSH, at), destination=where, why=why)


async def send(fleet: Fleet, *pushes: Push) -> PushSender:
    """Send these and no others, and return when nothing waits any more."""
    sender = PushSender(fleet)
    for one in pushes:
        sender.want(one, fleet.environment.now())
    task = asyncio.create_task(sender.run())
    while sender.waiting and not task.done():
        await asyncio.sleep(0)
    task.cancel()
    return sender


class Caller:
    """Our client on a real connection."""

    def __init__(
        self, connection: ClientConnection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connection = connection
        self.reader = reader
        self.writer = writer

    @classmethod
    async def call(cls, port: int, connection: ClientConnection) -> Caller:
        return cls(connection, *await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, request: Request) -> Any:
        """The client's event; None when the meter closes the connection."""
        self.writer.write(self.connection.send(request))
        while (event := self.connection.next_event()) is None:
            if answer := self.connection.data_to_send():
                self.writer.write(answer)
            octets = await asyncio.wait_for(self.reader.read(65536), PATIENCE_S)
            if not octets:
                return None
            self.connection.receive_data(octets)
        return event

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()

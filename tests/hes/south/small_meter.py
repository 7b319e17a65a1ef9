"""A small meter on a real socket, made of the protocol core's server role alone, and the HES's southern side before it.

It misbehaves where a test says so. Nothing here is shared with meter_sim: two meters that were written apart agree more
convincingly than one.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from patience import PATIENCE_S
from reported import as_read

from ami_dlms import apdu, data
from ami_dlms.apdu.acse import Aare, Aarq, Diagnostic
from ami_dlms.apdu.ciphered import GeneralGloCiphering, ServiceCiphering
from ami_dlms.apdu.faults import ExceptionResponse
from ami_dlms.association import (
    Action,
    ActionOutcome,
    Answer,
    AssociationOpened,
    AssociationProfile,
    AssociationReleased,
    AttributeAccess,
    Discarded,
    Get,
    NotificationConfirmed,
    Requested,
    Security,
    ServerConnection,
    Set,
    lookup_among,
)
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import (
    ActionResult,
    ApplicationContext,
    AssociationResult,
    DataAccessResult,
    Mechanism,
    ServiceError,
    StateError,
)
from ami_dlms.framing import wrapper
from ami_dlms.obis import Obis
from ami_dlms.security import GlobalKeys, ReceiveCounter, SendCounter
from ami_hes.commands import Command, MeterId, Outcome
from ami_hes.end_device_events import EventTaker
from ami_hes.meters import Meters, MetersSettings, Registry
from ami_hes.operations import Assignment, Attempt
from ami_hes.operations import control as recipes
from ami_hes.served import describe, run
from ami_hes.store import CounterRange, Database, SqlCounters, SqlDeviceEvents, SqlReceivedCounters, StoreUnavailable
from ami_mapping.controls import Control, DisconnectState
from ami_mapping.recipes import Taken
from ami_process.clocks import Clock
from ami_process.environment import REAL, Environment, real_time

DISCONNECT, CONNECT = "3.31.0.23", "3.31.0.18"
DISCONNECT_CONTROL = Obis.parse("0-0:96.3.10*255")
LOGICAL_DEVICE_NAME = Obis.parse("0-0:42.0.0*255")
INVOCATION_COUNTER = Obis.parse("0-0:43.1.1*255")
DEVICE_ID = Obis.parse("0-0:96.1.0*255")
HES_TITLE = bytes.fromhex("414D490000000001")
MECHANISMS = {
    "none": Mechanism.LOWEST,
    "lls": Mechanism.LOW,
    "hls-sha256": Mechanism.SHA256,
    "hls-gmac": Mechanism.GMAC,
}


async def eventually(condition: Callable[[], Any]) -> Any:
    """Give the loop its turns until something is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not (found := condition()):
            await asyncio.sleep(0)
    return found


class Everything:
    """Access rights that deny nothing; unknown objects are refused by the meter itself."""

    def attribute(self, descriptor: AttributeDescriptor) -> AttributeAccess:
        return AttributeAccess.READ | AttributeAccess.WRITE

    def method(self, descriptor: MethodDescriptor) -> bool:
        return True


@dataclass
class SmallMeter:
    number: int = 1001
    mode: int = 4
    authentication: str = "hls-gmac"
    encryption_key: bytes = field(default_factory=lambda: os.urandom(16))
    authentication_key: bytes = field(default_factory=lambda: os.urandom(16))
    password: bytes = b"a password"
    lies: bool = False
    dies_after_action: bool = False
    dies_after_answer: bool = False
    dies_after_reads: int = 0
    """Hangs up instead of answering its so manieth read."""
    hangs_up: bool = False
    """Closes the connection after each release."""
    result: ActionResult = ActionResult.SUCCESS
    silent: bool = False
    gate: asyncio.Event | None = None
    """The answer to an ACTION waits for this."""
    slow_switch: int = 0
    """How many reads of output_state still show the old state after an ACTION."""
    in_the_middle: bytes = b""
    """Framed octets that are sent before the answer to each GET."""
    server_wport: int = 1
    device_id_object: Obis = DEVICE_ID
    disconnect_object: Obis = DISCONNECT_CONTROL
    claims: int | None = None
    """What its invocation counter object says; None: the truth."""
    expects_more: bool = False
    """Answers every association with keys by the exception that it wants a higher counter."""
    refuses: Diagnostic | bytes | None = None
    """Refuses every association with keys, for this reason or with this APDU; without octets it hangs up."""
    cut: bool = False
    """Answers come one octet at a time."""

    def __post_init__(self) -> None:
        self.title = b"SIM\x00" + self.number.to_bytes(4, "big")
        self.output, self.state = True, 1
        self.send_counter = SendCounter(1)
        self.receive_counter = ReceiveCounter(0)
        self.asked: list[str] = []
        self.inbound = bytearray()
        self.connections = 0
        self.port = 0
        self.values: dict[tuple[Obis, int], Data] = {
            (LOGICAL_DEVICE_NAME, 2): data.octet_string(f"AMI000000000{self.number}".encode()),
            (self.device_id_object, 2): data.octet_string(str(self.number).encode()),
        }
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        return f"M{self.number}"

    @property
    def connected(self) -> int:
        """How many connections are open."""
        return len(self._open)

    @property
    def actions(self) -> int:
        return self.asked.count("ACTION")

    def counters_seen(self) -> list[int]:
        """The invocation counters of all ciphered APDUs that came, in their order."""
        deframer = wrapper.Deframer()
        deframer.receive_data(bytes(self.inbound))
        seen = []
        while (pdu := deframer.next_pdu()) is not None:
            message = apdu.decode(pdu.apdu)
            if isinstance(message, Aarq) and message.mechanism is not None and message.user_information:
                message = apdu.decode(message.user_information)
            if isinstance(message, ServiceCiphering | GeneralGloCiphering):
                seen.append(int.from_bytes(message.content[1:5], "big"))
        return seen

    def entry(self, **changes: Any) -> dict[str, Any]:
        """What the registry says of it."""
        entry: dict[str, Any] = {
            "name": self.name,
            "mrid": f"00000000-0000-0000-0000-{self.number:012d}",
            "usage_points": [f"UP-{self.number}"],
            "address": f"127.0.0.1:{self.port}" if self.port else "dials-in",
            "authentication": self.authentication,
            "encryption_key": self.encryption_key.hex(),
            "authentication_key": self.authentication_key.hex(),
            "secret": self.password.hex(),
            "system_title": self.title.hex(),
            "logical_device_name": f"AMI000000000{self.number}",
            "device_id": str(self.number),
            "server_wport": self.server_wport,
        }
        return entry | changes

    def _profiles(self) -> tuple[AssociationProfile, AssociationProfile]:
        security = None
        if self.authentication != "none":
            security = Security(keys=GlobalKeys(self.encryption_key, self.authentication_key), system_title=self.title)
        mechanism = MECHANISMS[self.authentication]
        management = AssociationProfile(
            client_wport=1,
            server_wport=self.server_wport,
            access=Everything(),
            mechanism=mechanism,
            secret=self.password,
            security=security,
            send_counter=self.send_counter,
            receive_counter=self.receive_counter,
        )
        public = AssociationProfile(client_wport=16, server_wport=self.server_wport, access=Everything())
        return public, management

    async def listen(self) -> SmallMeter:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def dial(self, address: tuple[str, int], source: str = "127.0.0.1") -> asyncio.Task[None]:
        reader, writer = await asyncio.open_connection(*address, local_addr=(source, 0))
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        return task

    def hang_up(self) -> None:
        """Close the connections that are open."""
        for writer in list(self._open):
            writer.close()

    def say(self, octets: bytes) -> None:
        """Send octets unasked over each of them."""
        for writer in self._open:
            writer.write(octets)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.hang_up()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        connection = ServerConnection(lookup_among(*self._profiles()), random_bytes=os.urandom)
        try:
            while (octets := await reader.read(65536)) and not self.silent:
                self.inbound += octets
                if (self.refuses is not None or self.expects_more) and octets[2:4] == b"\x00\x01":
                    if self.refuses == b"":
                        return
                    writer.write(self._refusal())
                    continue
                connection.receive_data(octets)
                if not await self._answer(connection, writer):
                    return
            await reader.read()
        except ConnectionError:
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(self, connection: ServerConnection, writer: asyncio.StreamWriter) -> bool:
        while (event := connection.next_event()) is not None:
            match event:
                case Requested(key, items=(Get(descriptor),)):
                    self.asked.append("GET")
                    if self.asked.count("GET") == self.dies_after_reads:
                        return False
                    if self.in_the_middle:
                        writer.write(self.in_the_middle)
                    await self._write(writer, connection.send(Answer(key, (self._get(descriptor),))))
                case Requested(key, items=(Action(descriptor, parameters),)):
                    self.asked.append("ACTION")
                    result = self._act(descriptor, parameters)
                    if self.dies_after_action:
                        self.dies_after_action = False
                        return False
                    if self.gate is not None:
                        await self.gate.wait()
                    await self._write(writer, connection.send(Answer(key, (ActionOutcome(result, None),))))
                    if self.dies_after_answer:
                        self.dies_after_answer = False
                        return False
                case Requested(key, items=(Set(descriptor, value),)):
                    self.asked.append("SET")
                    await self._write(writer, connection.send(Answer(key, (self._set(descriptor, value),))))
                case AssociationOpened(profile):
                    self.asked.append(f"open {profile.client_wport}")
                case AssociationReleased():
                    self.asked.append("release")
                    if self.hangs_up:
                        await self._write(writer, connection.data_to_send())
                        return False
                case NotificationConfirmed(_, _, invoke_id):
                    self.asked.append(f"confirmed {invoke_id & 0xFFFFFF}")
                case Discarded(reason):
                    self.asked.append(f"discarded: {reason}")
        await self._write(writer, connection.data_to_send())
        return True

    def _refusal(self) -> bytes:
        octets = self.refuses
        if octets is None:
            error, expected = ServiceError.INVOCATION_COUNTER_ERROR, self.counters_seen()[-1] + 100
            octets = apdu.encode(ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, error, expected))
        elif isinstance(octets, Diagnostic):
            octets = apdu.encode(Aare(ApplicationContext.LN_CIPHERED, AssociationResult.REJECTED_PERMANENT, octets))
        return wrapper.encode(wrapper.WrapperPdu(self.server_wport, 1, octets))

    async def _write(self, writer: asyncio.StreamWriter, octets: bytes) -> None:
        if not self.cut:
            writer.write(octets)
            return
        for octet in octets:
            writer.write(bytes((octet,)))
            await writer.drain()
            await asyncio.sleep(0)

    def _get(self, descriptor: AttributeDescriptor) -> Data | DataAccessResult:
        if descriptor.instance_id == self.disconnect_object and (DISCONNECT_CONTROL, 2) not in self.values:
            return self._disconnect_control(descriptor.attribute_id)
        if descriptor.instance_id == INVOCATION_COUNTER:
            truth = max(self.receive_counter.lowest_acceptable - 1, 0)
            return data.double_long_unsigned(truth if self.claims is None else self.claims)
        return self.values.get((descriptor.instance_id, descriptor.attribute_id), DataAccessResult.OBJECT_UNDEFINED)

    def _set(self, descriptor: AttributeDescriptor, value: Data) -> DataAccessResult:
        return DataAccessResult.READ_WRITE_DENIED

    def _disconnect_control(self, attribute: int) -> Data:
        output = self.output
        if attribute == 2 and self.slow_switch and "ACTION" in self.asked:
            self.slow_switch -= 1
            output = not output
        return {2: data.boolean(output), 3: data.enum(self.state), 4: data.enum(self.mode)}[attribute]

    def _act(self, descriptor: MethodDescriptor, parameters: Data | None) -> ActionResult:
        assert parameters == data.integer(0)
        if descriptor.instance_id != self.disconnect_object:
            return ActionResult.OBJECT_UNDEFINED
        if self.result is not ActionResult.SUCCESS or self.lies or self.mode == 0:
            return self.result
        if descriptor.method_id == 1:
            self.output, self.state = False, 0
        elif self.mode in (2, 4) and self.state == 0:
            self.output, self.state = True, 1
        elif self.state == 0:
            self.state = 2
        return ActionResult.SUCCESS


class Counters(SqlCounters):
    """The store's own, counted."""

    reservations = tries = 0

    async def reserve_counters(self, key_id: str, at_least: int, count: int) -> CounterRange:
        self.reservations += 1
        return await super().reserve_counters(key_id, at_least, count)

    async def try_counters(self, key_id: str, at_least: int, count: int, *, max_jump: int) -> CounterRange | None:
        self.tries += 1
        return await super().try_counters(key_id, at_least, count, max_jump=max_jump)


@dataclass(frozen=True)
class Switching:
    """An outcome of the disconnect control, its payload read."""

    ok: bool
    reply_code: str | None
    level: str | None
    reason: str
    attempted: bool
    before: DisconnectState | None
    after: DisconnectState | None
    action_result: ActionResult | None

    @classmethod
    def of(cls, outcome: Outcome) -> Switching:
        seen = json.loads(outcome.payload or "{}")
        before, after = (
            DisconnectState(**state) if (state := seen.get(name)) else None for name in ("before", "after")
        )
        said = seen.get("action_result")
        result = None if said is None else ActionResult[said.upper().replace("-", "_")]
        return cls(outcome.ok, outcome.code, outcome.level, outcome.reason, outcome.attempted, before, after, result)


@dataclass
class South:
    """The HES's southern side and the meters before it."""

    events: list[Any]
    database: Database
    meters: Meters | None = None
    small: list[SmallMeter] = field(default_factory=list)
    kept: list[list[int]] = field(default_factory=list)
    """How many ACTIONs each meter had seen whenever an attempt was kept."""
    store_is_gone: bool = False
    described: list[dict[str, Any]] = field(default_factory=list)
    """The details of each command."""

    def __post_init__(self) -> None:
        self.counters = Counters(self.database)
        self.received = SqlReceivedCounters(self.database)
        self.happened = SqlDeviceEvents(self.database)

    async def meter(self, listen: bool = True, **settings: Any) -> SmallMeter:
        meter = SmallMeter(**settings)
        self.small.append(meter)
        return await meter.listen() if listen else meter

    async def start(self, *entries: dict[str, Any], clock: Clock = REAL, **settings: Any) -> Meters:
        values = {"host": "127.0.0.1", "port": 0, "system_title": HES_TITLE, "apdu_timeout_s": 1.0} | settings
        self.meters = Meters(
            Registry(entries or [meter.entry() for meter in self.small]),
            self.counters,
            self.received,
            MetersSettings(**values),
            environment := Environment(emit=lambda event: self.events.append(as_read(event))).by(clock),
            taker=EventTaker(self.happened, environment),
        )
        await self.meters.start()
        return self.meters

    async def switch(
        self, code: str = DISCONNECT, name: str = "M1001", deadline_s: float = 5.0, attempted: bool = False
    ) -> Switching:
        assert self.meters is not None
        meter = self.meters.registry.find_by_name(name)
        assert meter is not None
        attempt = Attempt(self._keep, begun=attempted)
        command = Command("request-1", MeterId(name, meter.mrid), "disconnect_control", code)
        outcome = await run(self.meters, Assignment(meter, command, attempt, real_time() + deadline_s))
        self.described.append(describe(command, meter, outcome) or {})
        return Switching.of(outcome)

    async def control(
        self, control: Control, taken: Taken = None, name: str = "M1001", *, attempted: bool = False
    ) -> Outcome:
        """One that is not of the switch."""
        assert self.meters is not None
        meter = self.meters.registry.find_by_name(name)
        assert meter is not None
        attempt = Attempt(self._keep, begun=attempted)
        command = Command("request-1", MeterId(name, meter.mrid), recipes.NAME, recipes.format_body(control, taken))
        outcome = await run(self.meters, Assignment(meter, command, attempt, real_time() + 5.0))
        self.described.append(describe(command, meter, outcome) or {})
        return outcome

    async def _keep(self) -> None:
        """An attempt is kept before the ACTION leaves."""
        self.kept.append([one.actions for one in self.small])
        if self.store_is_gone:
            raise StoreUnavailable("the store can't be written now")

    async def stop(self) -> None:
        """The process ends; what its store holds stays."""
        if self.meters is not None:
            await self.meters.stop()
            self.meters = None

    def told(self, event: str) -> list[Any]:
        return [one for one in self.events if one["event"] == event]


@asynccontextmanager
async def south(events: list[Any], directory: Path) -> AsyncIterator[South]:
    async with Database(directory / "hes.sqlite") as database:
        one = South(events, database)
        try:
            yield one
        finally:
            await one.stop()
            for meter in one.small:
                await meter.close()

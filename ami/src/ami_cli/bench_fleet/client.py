"""The asking end: ciphered dialogues with meters of a population, each from connecting to the answer to the release."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import TypeVar

from ami_dlms.association import (
    ClientConnection,
    ClientSettings,
    Get,
    GetResult,
    Open,
    Opened,
    Release,
    Released,
    Request,
    Security,
)
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import Mechanism
from ami_dlms.obis import Obis
from ami_dlms.security import GlobalKeys, SendCounter
from ami_meter_sim.populating import Prepared
from ami_meter_sim.population.identity import KeyPurpose

TITLE = bytes.fromhex("414D490000000001")
COUNTER = AttributeDescriptor(1, Obis.parse("0-0:43.1.0"), 2)
IMPORT = AttributeDescriptor(3, Obis.parse("1-0:1.8.0"), 2)
PUBLIC = 16
T = TypeVar("T")
PATIENCE_S = 30.0


class NoAnswer(Exception):
    """A meter did not do what was asked; the text says what."""


@dataclass
class Asking:
    """One connection to one meter."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, connection: ClientConnection, request: Request) -> object:
        """The event that answers the request."""
        self.writer.write(connection.send(request))
        while (event := connection.next_event()) is None:
            if octets := connection.data_to_send():
                self.writer.write(octets)
            if not (octets := await asyncio.wait_for(self.reader.read(65536), PATIENCE_S)):
                raise NoAnswer("a meter has closed the connection")
            connection.receive_data(octets)
        return event

    def close(self) -> None:
        """Hang up."""
        self.writer.transport.abort()


@dataclass
class Client:
    """A head-end that knows all keys."""

    population: Prepared
    dice: random.Random = field(default_factory=lambda: random.Random(9))  # noqa: S311 - which meters are asked
    _asked: set[int] = field(default_factory=set)

    async def dialogue(self, index: int) -> float:
        """Connect, ask the counter, associate with HLS, read the energy, release: 7 exchanges; the seconds."""
        began = time.perf_counter()
        asking = await self._connect(index)
        try:
            public = self._public(index)
            managing = self._managing(index, await self._counter(asking, public) + 1)
            await self._expect(asking, managing, Open(), Opened)
            await self._expect(asking, managing, Get(IMPORT), GetResult)
            await self._expect(asking, managing, Release(), Released)
        finally:
            asking.close()
        return time.perf_counter() - began

    async def associate(self, index: int) -> Asking:
        """A connection that stays, with an open ciphered association."""
        asking = await self._connect(index)
        public = self._public(index)
        managing = self._managing(index, await self._counter(asking, public) + 1)
        await self._expect(asking, managing, Open(), Opened)
        return asking

    async def dialogue_with_any(self) -> float:
        """With one of them that is asked nothing else now: two clients with one key would use each other's counters."""
        index = self._any()
        while index in self._asked:
            index = self._any()
        self._asked.add(index)
        try:
            return await self.dialogue(index)
        finally:
            self._asked.discard(index)

    def _any(self) -> int:
        return self.dice.randrange(self.population.settings.count)

    async def _counter(self, asking: Asking, public: ClientConnection) -> int:
        """The last invocation counter that the meter has accepted, as it shows it to anybody."""
        await self._expect(asking, public, Open(), Opened)
        answer = await self._expect(asking, public, Get(COUNTER), GetResult)
        await self._expect(asking, public, Release(), Released)
        shown = answer.value.value if isinstance(answer.value, Data) else None
        if not isinstance(shown, int):
            raise NoAnswer(f"the invocation counter is {answer.value}")
        return shown

    async def _connect(self, index: int) -> Asking:
        host, port, _ = self.population.plan.place(index)
        return Asking(*await asyncio.open_connection(host, port))

    def _wport(self, index: int) -> int:
        return self.population.plan.place(index)[2]

    def _public(self, index: int) -> ClientConnection:
        return ClientConnection(ClientSettings(client_wport=PUBLIC, server_wport=self._wport(index)))

    def _managing(self, index: int, counter: int) -> ClientConnection:
        identities = self.population.population.identities
        keys = GlobalKeys(
            identities.key(index, KeyPurpose.ENCRYPTION), identities.key(index, KeyPurpose.AUTHENTICATION)
        )
        security = Security(keys=keys, system_title=TITLE, peer_system_title=identities.system_title(index))
        settings = ClientSettings(
            client_wport=1, server_wport=self._wport(index), mechanism=Mechanism.GMAC, security=security
        )
        challenge = self.dice.randbytes(16)
        return ClientConnection(settings, challenge=challenge, send_counter=SendCounter(counter))

    async def _expect(self, asking: Asking, connection: ClientConnection, request: Request, wanted: type[T]) -> T:
        event = await asking.ask(connection, request)
        if not isinstance(event, wanted):
            raise NoAnswer(f"{type(request).__name__} was answered by {event}")
        return event

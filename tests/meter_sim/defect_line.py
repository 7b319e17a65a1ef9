"""APDUs as octets to a meter on a real socket, over the wrapper or HDLC, and a client with keys whose frames can be changed: for defects."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

from bench import Bench, Wire, gmac_client
from patience import PATIENCE_S

from ami_dlms import apdu
from ami_dlms.apdu import Apdu
from ami_dlms.apdu.acse import Aare, Aarq
from ami_dlms.apdu.get import GetRequestNormal, GetResponseNormal
from ami_dlms.apdu.initiate import InitiateRequest
from ami_dlms.association import LN_CONFORMANCE, ClientConnection, Get, Open, Request
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.selection import SelectiveAccess
from ami_dlms.data import Data
from ami_dlms.enums import ApplicationContext, Conformance, DataAccessResult
from ami_dlms.framing import wrapper
from ami_dlms.framing.framing import Framing, WrapperPdu
from ami_dlms.framing.hdlc import Frame, FrameReader, encode
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_dlms.framing.hdlc_framing import HdlcClientFraming

HEADER = 8
SERVER = 1
MANAGEMENT, PUBLIC = 1, 16
ID = 0xC1
"""Invoke id 1, high priority, confirmed."""
EXCEPTION, GET_RESPONSE, GENERAL_GLO = 0xD8, 0xC4, 0xDB


@dataclass
class Line:
    """One connection; `framing` None: octets of the line are the test's own matter."""

    wire: Wire
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    client: int
    framing: Framing

    async def ask(self, octets: bytes) -> bytes:
        """The APDU that answers this one; none when the meter hangs up."""
        self.say(octets)
        return await self.hear()

    def say(self, *octets: bytes) -> None:
        """Without waiting for an answer; of the wrapper in one segment."""
        self.writer.write(self.framing.encode(self.client, SERVER, *octets))

    async def hear(self) -> bytes:
        """The next APDU; none when the meter hangs up."""
        while (pdu := self.framing.next_pdu()) is None:
            self.writer.write(self.framing.data_to_send())
            received = await asyncio.wait_for(self.reader.read(65536), PATIENCE_S)
            if not received:
                return b""
            self.framing.receive_data(received)
        assert isinstance(pdu, WrapperPdu)
        return pdu.apdu

    async def hears_anything(self) -> bool:
        """Whether an APDU comes, or a fault has lost what it would have answered."""
        hearing = asyncio.create_task(self.hear())
        before = len(self.wire.events("fault_happened"))
        while not hearing.done() and len(self.wire.events("fault_happened")) == before:
            await asyncio.sleep(0)
        heard = hearing.done()
        hearing.cancel()
        return heard

    async def get(
        self, which: AttributeDescriptor, selection: SelectiveAccess | None = None
    ) -> Data | DataAccessResult:
        answer = apdu.decode(await self.ask(apdu.encode(GetRequestNormal(ID, which, selection))))
        assert isinstance(answer, GetResponseNormal), answer
        return answer.result

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


@dataclass
class Frames:
    """HDLC by hand: frames of a client of logical device 1."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    client: int = PUBLIC
    frames: FrameReader = field(default_factory=FrameReader)

    def octets(self, control: int, information: bytes = b"") -> bytes:
        return encode(Frame(HdlcAddress(SERVER), HdlcAddress(self.client), control, information))

    async def send(self, *octets: bytes) -> Frame:
        """The first frame that comes for these."""
        self.writer.write(b"".join(octets))
        return await self.next()

    async def next(self) -> Frame:
        while (frame := self.frames.next_frame()) is None:
            received = await asyncio.wait_for(self.reader.read(65536), PATIENCE_S)
            assert received, "the meter has hung up"
            self.frames.receive_data(received)
        return frame


@dataclass
class Scene:
    """A meter behind a real socket, over one of the transports."""

    bench: Bench
    wire: Wire
    transport: str
    counter: int = 1
    lines: list[Any] = field(default_factory=list)

    async def line(self, client: int = PUBLIC) -> Line:
        """A new connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.wire.port)
        hdlc = HdlcClientFraming(client, HdlcAddress(SERVER)) if self.transport == "hdlc" else wrapper.WrapperFraming()
        line = Line(self.wire, reader, writer, client, hdlc)
        self.lines.append(line)
        return line

    async def frames(self) -> Frames:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.wire.port)
        frames = Frames(reader, writer)
        self.lines.append(frames)
        return frames

    async def opened(self, client: int = MANAGEMENT, **more: Any) -> Line:
        """With an association without keys."""
        line = await self.line(client)
        answer = apdu.decode(await line.ask(aarq(**more)))
        assert isinstance(answer, Aare) and not answer.result, answer
        return line

    async def secured(self, counter: int | None = None) -> Secured:
        """With an association under keys; each begins above the counters of those before, unless it is said otherwise."""
        self.counter += 1000
        one = Secured(await self.line(MANAGEMENT), gmac_client(counter or self.counter))
        await one.open()
        return one

    async def close(self) -> None:
        for one in self.lines:
            one.writer.close()
            await one.writer.wait_closed()


@dataclass
class Secured:
    """A client with keys: its APDUs are protected by our own client and carried by a line."""

    line: Line
    connection: ClientConnection
    opening: Any = None

    async def open(self) -> None:
        octets = self.protected(Open())
        while octets:
            self.opening = self.heard(await self.line.ask(octets))
            octets = self.connection.data_to_send()[HEADER:]

    def protected(self, request: Request) -> bytes:
        """The APDU of a request."""
        return self.connection.send(request)[HEADER:]

    def heard(self, octets: bytes) -> Any:
        """What the client makes of an APDU."""
        self.connection.receive_data(wrapper.encode(WrapperPdu(SERVER, MANAGEMENT, octets)))
        return self.connection.next_event()

    async def get(self, which: AttributeDescriptor) -> bytes:
        """The APDU that answers."""
        return await self.line.ask(self.protected(Get(which)))


def aarq(conformance: Conformance = LN_CONFORMANCE, size: int = 0, **fields: Any) -> bytes:
    """Of a client without keys."""
    initiate = InitiateRequest(conformance=conformance, client_max_receive_pdu_size=size)
    return apdu.encode(Aarq(ApplicationContext.LN, user_information=apdu.encode(initiate), **fields))


def with_fields(octets: bytes, **fields: Any) -> bytes:
    """An APDU with other values of these fields."""
    message: Apdu = apdu.decode(octets)
    return apdu.encode(replace(message, **fields))  # type: ignore[arg-type, type-var]

"""Pushes that ask to be confirmed, over TCP, UDP and HDLC: what counts as a confirmation, what is tried again, and what a setup shows then."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench import CLIENT_TITLE, KEYS, METER_TITLE, RESIDENTIAL, Bench, Wire, gmac, setup
from devices import described
from patience import PATIENCE_S

from ami_dlms import apdu, data
from ami_dlms.apdu.access import CONFIRMED
from ami_dlms.apdu.ciphered import GeneralGloCiphering
from ami_dlms.apdu.notify import DataNotification, DataNotificationConfirm
from ami_dlms.association import unprotect_notification
from ami_dlms.data import Data
from ami_dlms.framing.framing import WrapperPdu
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_dlms.framing.hdlc_client import HdlcClient
from ami_dlms.framing.hdlc_framing import HdlcPushReader
from ami_dlms.framing.wrapper import WrapperFraming, decode_datagram
from ami_dlms.framing.wrapper import encode as encode_wrapper
from ami_dlms.obis import Obis
from ami_dlms.security import ReceiveCounter, protect
from ami_meter_sim.lines.meter_pushes import WantedPushes
from ami_meter_sim.lines.push import PushSender
from ami_meter_sim.meter.simulated_meter import Meter
from ami_packs.model import MANAGEMENT, Model, ObjectAccess

INSTALLATION = "0-7:25.9.0"
ALL = frozenset(range(1, 14))
TCP, UDP, HDLC = 0, 1, 5
BOTH = 0x30


def model(transport: int, address: tuple[str, int], retries: int = 0, within_s: int = 0, message: int = 0) -> Model:
    """The residential meter, which announces itself by a push setup of version 2 that wants to be confirmed."""
    host, port = address
    name = data.structure(
        data.long_unsigned(1), data.octet_string(bytes((0, 0, 96, 1, 0, 255))), data.integer(2), data.long_unsigned(0)
    )
    columns = data.structure(*name.value, data.structure(data.enum(0), data.null()), data.array())
    never = data.structure(data.date_time(bytes(12)), data.double_long_unsigned(within_s))
    attributes: dict[int, Data] = {
        2: data.array(columns),
        3: data.structure(data.enum(transport), data.octet_string(f"{host}:{port}".encode()), data.enum(message)),
        6: data.unsigned(retries),
        11: data.enum(2),
    }
    if within_s:
        attributes[12] = never
    rights = {MANAGEMENT: ObjectAccess(ALL, ALL, ALL)}
    pushing = replace(described((40, INSTALLATION), attributes=attributes), access=rights, version=2)
    return Model((*RESIDENTIAL.objects.values(), pushing), RESIDENTIAL.associations, RESIDENTIAL.load)


@contextmanager
def pushing(wire: Wire, meter: Meter) -> Iterator[PushSender]:
    sender = PushSender(wire.fleet)
    WantedPushes(sender, wire.fleet).watch(meter)
    task = asyncio.create_task(sender.run())
    yield sender
    task.cancel()


class Receiver:
    """A head-end that answers what it has read, as it is told; its counter goes on."""

    def __init__(self, answers: list[str]) -> None:
        self.answers = answers
        self.invoke_ids: list[int] = []
        self.counter = 500
        self.meter_counter = ReceiveCounter(0)

    def answer(self, octets: bytes) -> bytes | None:
        """The APDU that answers a push."""
        taken, title = unprotect_notification(
            octets, lambda one: (KEYS, self.meter_counter) if one == METER_TITLE else None
        )
        assert isinstance(taken, DataNotification) and title == METER_TITLE
        self.invoke_ids.append(taken.long_invoke_id_and_priority)
        how = self.answers.pop(0)
        if how == "nothing":
            return None
        number = taken.long_invoke_id_and_priority + (how == "another")
        plain = apdu.encode(DataNotificationConfirm(number, None))
        if how == "unprotected":
            return plain
        self.counter += 1
        content = protect(BOTH, KEYS, CLIENT_TITLE, self.counter, plain)
        return apdu.encode(GeneralGloCiphering(CLIENT_TITLE, content[:-1] + b"\0" if how == "forged" else content))


@asynccontextmanager
async def listening(receiver: Receiver, transport: int) -> AsyncIterator[tuple[str, int]]:
    if transport == UDP:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near:
            near.bind(("127.0.0.1", 0))
            near.setblocking(False)
            task = asyncio.create_task(_datagrams(near, receiver))
            yield near.getsockname()
            task.cancel()
        return

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found: Any = HdlcPushReader() if transport == HDLC else WrapperFraming()
        while octets := await reader.read(65536):
            found.receive_data(octets)
            while isinstance(pdu := found.next_pdu(), WrapperPdu):
                if (answer := receiver.answer(pdu.apdu)) is not None:
                    back = WrapperPdu(pdu.destination, pdu.source, answer)
                    writer.write(_over_hdlc(back) if transport == HDLC else encode_wrapper(back))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()


def _over_hdlc(pdu: WrapperPdu) -> bytes:
    link = HdlcClient(HdlcAddress(pdu.source), HdlcAddress(pdu.destination))
    return link.send_unnumbered(pdu.apdu)


async def _datagrams(near: socket.socket, receiver: Receiver) -> None:
    loop = asyncio.get_running_loop()
    while True:
        octets, sender = await loop.sock_recvfrom(near, 65536)
        pdu = decode_datagram(octets)
        if (answer := receiver.answer(pdu.apdu)) is not None:
            await loop.sock_sendto(near, encode_wrapper(WrapperPdu(pdu.destination, pdu.source, answer)), sender)


async def until(wire: Wire, event: str, times: int = 1) -> list[Any]:
    async with asyncio.timeout(PATIENCE_S):
        while len(wire.events(event)) < times:
            await asyncio.sleep(0)
    return wire.events(event)


def confirmed_at(meter: Meter) -> Any:
    found = meter.device.find(40, Obis.parse(INSTALLATION))
    assert found is not None
    return found.read(13).value


@pytest.mark.parametrize("transport", [TCP, UDP, HDLC])
async def test_a_push_is_confirmed_and_its_setup_shows_when(tmp_path: Path, transport: int) -> None:
    receiver = Receiver(["confirmed"])
    async with listening(receiver, transport) as address:
        bench = Bench(tmp_path)
        meter = bench.start(setup(management=gmac(), model=model(transport, address)))
        wire, before = Wire(meter, now=lambda: bench.at), confirmed_at(meter)
        with pushing(wire, meter) as sender:
            await until(wire, "push_confirmed")
        assert [one & CONFIRMED for one in receiver.invoke_ids] == [CONFIRMED]
        assert (sender.sent, sender.failed) == (1, 0)
        assert before != confirmed_at(meter)
        assert meter.counters.receive.lowest_acceptable == receiver.counter + 1, "the confirmation can't be used again"


@pytest.mark.parametrize("wrong", ["nothing", "another", "unprotected", "forged"])
async def test_what_is_no_confirmation_is_none_and_the_push_is_tried_again(tmp_path: Path, wrong: str) -> None:
    receiver = Receiver([wrong, "confirmed"])
    async with listening(receiver, TCP) as address:
        bench = Bench(tmp_path)
        meter = bench.start(setup(management=gmac(), model=model(TCP, address, retries=1, within_s=1)))
        wire = Wire(meter, now=lambda: bench.at)
        with pushing(wire, meter):
            await until(wire, "push_confirmed")
        assert [one["reason"] for one in wire.events("push_failed")] == ["not confirmed within 1 s"]
        assert len(set(receiver.invoke_ids)) == 2, "another attempt is another push"


async def test_a_receiver_that_hangs_up_has_not_confirmed(tmp_path: Path) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        bench = Bench(tmp_path)
        meter = bench.start(setup(management=gmac(), model=model(TCP, server.sockets[0].getsockname())))
        wire = Wire(meter, now=lambda: bench.at)
        with pushing(wire, meter):
            [failed] = await until(wire, "push_failed")
        assert failed["reason"] == "the receiver hung up without a confirmation"


async def test_a_push_setup_that_wants_xml_sends_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.start(setup(management=gmac(), model=model(TCP, ("127.0.0.1", 9), message=1)))
    wire = Wire(meter, now=lambda: bench.at)
    with pushing(wire, meter) as sender:
        assert len(await until(wire, "push_failed")) == 1
        assert (sender.sent, sender.waiting) == (0, 0)

"""Speed of the foreign client core dlms-cosem: round trips against a server on 127.0.0.1, decoding; JSON (see README).

{"measure": "round_trips", "port", "driver", "connections", "warm_up_s", "seconds", "expected", wrapper ports and keys} or
{"measure": "decode", "octets", "runs"}. Its core does no I/O, so it is carried here by the same two drivers as ours.
"""

import asyncio
import json
import logging
import selectors
import socket
import sys
from functools import partial
from time import perf_counter, process_time

import structlog
from dlms_cosem import cosem, dlms_data, enumerations, state, utils
from dlms_cosem.connection import DlmsConnection
from dlms_cosem.protocol import xdlms
from dlms_cosem.protocol.wrappers import WrapperHeader, WrapperProtocolDataUnit
from dlms_cosem.security import HighLevelSecurityGmacAuthentication

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

GIVEN = json.loads(sys.argv[1])
ENERGY = cosem.CosemAttribute(enumerations.CosemInterface.REGISTER, cosem.Obis(1, 0, 1, 8, 0, 255), 2)
PROVE = cosem.CosemMethod(enumerations.CosemInterface.ASSOCIATION_LN, cosem.Obis(0, 0, 40, 0, 0), 1)


class Reading:
    """Opens one association, then reads one value over and over."""

    def __init__(self, number):
        self.answered = 0
        self.buffer = b""
        self.connection = DlmsConnection(
            authentication=HighLevelSecurityGmacAuthentication(),
            client_system_title=b"CLI" + number.to_bytes(5, "big"),
            global_encryption_key=bytes.fromhex(GIVEN["encryption_key"]),
            global_authentication_key=bytes.fromhex(GIVEN["authentication_key"]),
            client_invocation_counter=1,
        )

    def _wrapped(self, event):
        octets = self.connection.send(event)
        header = WrapperHeader(GIVEN["client_wport"], GIVEN["server_wport"], len(octets))
        return WrapperProtocolDataUnit(octets, header).to_bytes()

    def first(self):
        return self._wrapped(self.connection.get_aarq())

    def receive(self, octets):
        self.buffer += octets
        if len(self.buffer) < 8:
            return b""
        header = WrapperHeader.from_bytes(self.buffer[:8])
        if len(self.buffer) < 8 + header.length:
            return b""
        self.connection.receive_data(self.buffer[8 : 8 + header.length])
        self.buffer = self.buffer[8 + header.length :]
        return self._wrapped(self._next_request(self.connection.next_event()))

    def _next_request(self, event):
        if isinstance(event, xdlms.GetResponseNormal):
            if utils.parse_as_dlms_data(event.data) != GIVEN["expected"]:
                raise RuntimeError("a wrong answer")
            self.answered += 1
        elif self.connection.state.current_state == state.SHOULD_SEND_HLS_SEVER_CHALLENGE_RESULT:
            proof = self.connection.authentication.hls_generate_reply_data(self.connection)
            return xdlms.ActionRequestNormal(PROVE, dlms_data.OctetStringData(proof).to_bytes())
        return xdlms.GetRequestNormal(ENERGY)


class Protocol(asyncio.Protocol):
    def __init__(self, end):
        self.end = end

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self.end.first())

    def data_received(self, octets):
        self.transport.write(self.end.receive(octets))


async def over_asyncio(ends):
    loop = asyncio.get_running_loop()
    transports = []
    for end in ends:
        transports.append((await loop.create_connection(partial(Protocol, end), "127.0.0.1", GIVEN["port"]))[0])
    await asyncio.sleep(GIVEN["warm_up_s"])
    before, started, cpu = sum(end.answered for end in ends), perf_counter(), process_time()
    await asyncio.sleep(GIVEN["seconds"])
    counted = result(ends, before, started, cpu)
    for transport in transports:
        transport.abort()
    return counted


def over_selectors(ends):
    with selectors.DefaultSelector() as selector:
        for end in ends:
            link = socket.create_connection(("127.0.0.1", GIVEN["port"]))
            link.setblocking(False)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(link, selectors.EVENT_READ, (link.recv, link.send, end.receive))
            link.send(end.first())
        turn_for(selector, GIVEN["warm_up_s"])
        before, started, cpu = sum(end.answered for end in ends), perf_counter(), process_time()
        turn_for(selector, GIVEN["seconds"])
        counted = result(ends, before, started, cpu)
        for key in list(selector.get_map().values()):
            key.fileobj.close()
        return counted


def turn_for(selector, seconds):
    end = perf_counter() + seconds
    while perf_counter() < end:
        for key, _ in selector.select(30):
            read, write, receive = key.data
            write(receive(read(65536)))


def result(ends, before, started, cpu):
    return {
        "round_trips": sum(end.answered for end in ends) - before,
        "seconds": perf_counter() - started,
        "cpu_s": process_time() - cpu,
    }


def decode():
    octets = bytes.fromhex(GIVEN["octets"])
    seconds = []
    for _ in range(GIVEN["runs"]):
        started = perf_counter()
        utils.parse_as_dlms_data(octets)
        seconds.append(perf_counter() - started)
    return {"seconds": seconds}


def main():
    if GIVEN["measure"] == "decode":
        return decode()
    ends = [Reading(number) for number in range(1, GIVEN["connections"] + 1)]
    return asyncio.run(over_asyncio(ends)) if GIVEN["driver"] == "asyncio" else over_selectors(ends)


try:
    outcome = main()
except Exception as error:  # noqa: BLE001 - whatever the peer raises is the outcome
    outcome = {"error": f"{type(error).__name__}: {error}"}
print(json.dumps(outcome))

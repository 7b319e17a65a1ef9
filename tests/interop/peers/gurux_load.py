# SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
"""Speed of the foreign client gurux-dlms: round trips over one blocking connection on 127.0.0.1, decoding; JSON (see README).

{"measure": "round_trips", "port", "warm_up_s", "seconds", "expected", wrapper ports and keys} or
{"measure": "decode", "octets", "runs"}.
"""

import contextlib
import io
import json
import socket
import sys
from time import perf_counter, process_time

from gurux_dlms import GXByteBuffer, GXReplyData
from gurux_dlms.enums import Authentication, Conformance, InterfaceType, Security
from gurux_dlms.internal._GXCommon import _GXCommon
from gurux_dlms.internal._GXDataInfo import _GXDataInfo
from gurux_dlms.objects import GXDLMSRegister
from gurux_dlms.secure import GXDLMSSecureClient

GIVEN = json.loads(sys.argv[1])


def new_client():
    client = GXDLMSSecureClient(
        True, GIVEN["client_wport"], GIVEN["server_wport"], Authentication.HIGH_GMAC, None, InterfaceType.WRAPPER
    )
    client.maxReceivePDUSize = 65535
    cipher = client.ciphering
    cipher.security = Security.AUTHENTICATION_ENCRYPTION
    cipher.systemTitle = b"CLI" + bytes((0, 0, 0, 0, 1))
    cipher.blockCipherKey = bytes.fromhex(GIVEN["encryption_key"])
    cipher.authenticationKey = bytes.fromhex(GIVEN["authentication_key"])
    cipher.invocationCounter = 1
    client.proposedConformance = client.proposedConformance | Conformance.GENERAL_PROTECTION
    return client


class Reading:
    def __init__(self, client, connection):
        self.client = client
        self.connection = connection
        self.register = GXDLMSRegister("1.0.1.8.0.255")

    def exchange(self, messages):
        reply = GXReplyData()
        for message in messages if isinstance(messages, list) else [messages]:
            reply.clear()
            self.connection.sendall(bytes(message))
            pending = GXByteBuffer()
            while True:
                octets = self.connection.recv(65536)
                if not octets:
                    raise ConnectionError("closed by the server")
                pending.set(octets)
                if self.client.getData(pending, reply, None):
                    break
            if reply.error:
                raise RuntimeError(f"error {reply.error}")
        return reply

    def open(self):
        client = self.client
        client.parseAareResponse(self.exchange(client.aarqRequest()).data)
        client.parseApplicationAssociationResponse(self.exchange(client.getApplicationAssociationRequest()).data)

    def read_for(self, seconds):
        count, end = 0, perf_counter() + seconds
        while perf_counter() < end:
            if self.exchange(self.client.read(self.register, 2)).value != GIVEN["expected"]:
                raise RuntimeError("a wrong answer")
            count += 1
        return count


def round_trips():
    with socket.create_connection(("127.0.0.1", GIVEN["port"]), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reading = Reading(new_client(), connection)
        reading.open()
        reading.read_for(GIVEN["warm_up_s"])
        started, cpu = perf_counter(), process_time()
        count = reading.read_for(GIVEN["seconds"])
        return {"round_trips": count, "seconds": perf_counter() - started, "cpu_s": process_time() - cpu}


def decode():
    octets = bytes.fromhex(GIVEN["octets"])
    seconds = []
    for _ in range(GIVEN["runs"]):
        buffer = GXByteBuffer(octets)
        started = perf_counter()
        _GXCommon.getData(None, buffer, _GXDataInfo())
        seconds.append(perf_counter() - started)
    return {"seconds": seconds}


noise = io.StringIO()
try:
    with contextlib.redirect_stdout(noise):
        outcome = decode() if GIVEN["measure"] == "decode" else round_trips()
except Exception as error:  # noqa: BLE001 - whatever the peer raises is the outcome
    outcome = {"error": f"{type(error).__name__}: {error}", "said": noise.getvalue()}
print(json.dumps(outcome, default=str))

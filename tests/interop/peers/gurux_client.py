# SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
"""One session of the foreign client gurux-dlms against a server on 127.0.0.1: argument and output are JSON (see README)."""

import contextlib
import io
import json
import socket
import sys

from gurux_dlms import GXByteBuffer, GXReplyData
from gurux_dlms.enums import Authentication, Conformance, DataType, InterfaceType, ObjectType, Security
from gurux_dlms.objects import GXDLMSClock, GXDLMSData, GXDLMSDisconnectControl, GXDLMSProfileGeneric
from gurux_dlms.secure import GXDLMSSecureClient

GIVEN = json.loads(sys.argv[1])
MECHANISMS = {"none": Authentication.NONE, "lls": Authentication.LOW, "gmac": Authentication.HIGH_GMAC}
POLICIES = {
    "none": Security.NONE,
    "authenticated": Security.AUTHENTICATION,
    "encrypted": Security.ENCRYPTION,
    "both": Security.AUTHENTICATION_ENCRYPTION,
}


class Link:
    def __init__(self, client, connection):
        self.client = client
        self.connection = connection

    def exchange(self, messages):
        """Send all messages, ask for further blocks, and return what came."""
        reply = GXReplyData()
        for message in messages if isinstance(messages, list) else [messages]:
            reply.clear()
            self._one(message, reply)
            while reply.isMoreData():
                self._one(self.client.receiverReady(reply), reply)
        return reply

    def _one(self, message, reply):
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


def new_client():
    password = bytes.fromhex(GIVEN["secret"]) if GIVEN["mechanism"] == "lls" else None
    client = GXDLMSSecureClient(
        True,
        GIVEN["client_wport"],
        GIVEN["server_wport"],
        MECHANISMS[GIVEN["mechanism"]],
        password,
        InterfaceType.WRAPPER,
    )
    client.maxReceivePDUSize = GIVEN["max_pdu_size"]
    if GIVEN.get("encryption_key"):
        cipher = client.ciphering
        cipher.security = POLICIES[GIVEN["policy"]]
        cipher.systemTitle = bytes.fromhex(GIVEN["system_title"])
        cipher.blockCipherKey = bytes.fromhex(GIVEN["encryption_key"])
        cipher.authenticationKey = bytes.fromhex(GIVEN["authentication_key"])
        cipher.invocationCounter = GIVEN["invocation_counter"]
        if GIVEN.get("dedicated_key"):
            cipher.dedicatedKey = bytes.fromhex(GIVEN["dedicated_key"])
        if GIVEN.get("server_title"):
            client.serverSystemTitle = bytes.fromhex(GIVEN["server_title"])
    client.proposedConformance = client.proposedConformance | Conformance.GENERAL_PROTECTION
    if GIVEN["ciphering"] == "service-specific":
        client.proposedConformance = client.proposedConformance ^ Conformance.GENERAL_PROTECTION
    client.useProtectedRelease = GIVEN.get("protected_release", False)
    return client


def session(client, link):
    found = {}
    client.parseAareResponse(link.exchange(client.aarqRequest()).data)
    if client.getIsAuthenticationRequired():
        client.parseApplicationAssociationResponse(link.exchange(client.getApplicationAssociationRequest()).data)
    found["name"] = bytes(link.exchange(client.read(GXDLMSData("0.0.42.0.0.255"), 2)).value).hex()
    rows = link.exchange(client.read(GXDLMSProfileGeneric("1.0.99.1.0.255"), 2)).value
    found["rows"] = [list(row) for row in rows]
    clock = bytes.fromhex(GIVEN["clock"])[2:]
    written = client._GXDLMSClient__write("0.0.1.0.0.255", clock, DataType.OCTET_STRING, ObjectType.CLOCK, 2)
    link.exchange(written)
    found["clock"] = bytes(link.exchange(client.read(GXDLMSClock("0.0.1.0.0.255"), 2)).value).hex()
    method = client.method(GXDLMSDisconnectControl("0.0.96.3.10.255"), 1, 0, DataType.INT8)
    found["action"] = link.exchange(method).value
    released = client.releaseRequest()
    if released:
        link.exchange(released)
        found["released"] = True
    return found


def main():
    client = new_client()
    with socket.create_connection(("127.0.0.1", GIVEN["port"]), timeout=10) as connection:
        return session(client, Link(client, connection))


noise = io.StringIO()
try:
    with contextlib.redirect_stdout(noise):
        outcome = main()
except Exception as error:  # noqa: BLE001 - whatever the peer raises is the outcome
    outcome = {"error": f"{type(error).__name__}: {error}", "said": noise.getvalue()}
print(json.dumps(outcome, default=str))

# SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
"""One session of the foreign client gurux-dlms against a server on 127.0.0.1: argument and output are JSON (see README)."""

import contextlib
import datetime
import io
import json
import os
import socket
import sys

from gurux_dlms import GXByteBuffer, GXDateTime, GXDLMSAccessItem, GXReplyData
from gurux_dlms.ecdsa import GXPrivateKey, GXPublicKey
from gurux_dlms.enums import (
    AccessServiceCommandType,
    Authentication,
    Conformance,
    DataType,
    InterfaceType,
    ObjectType,
    Security,
)
from gurux_dlms.objects import GXDLMSData
from gurux_dlms.objects.enums import SecuritySuite
from gurux_dlms.secure import GXDLMSSecureClient

GIVEN = json.loads(sys.argv[1])
MECHANISMS = {
    "none": Authentication.NONE,
    "LLS": Authentication.LOW,
    "HLS 2": Authentication.HIGH,
    "HLS 3 MD5": Authentication.HIGH_MD5,
    "HLS 4 SHA-1": Authentication.HIGH_SHA1,
    "HLS 5 GMAC": Authentication.HIGH_GMAC,
    "HLS 6 SHA-256": Authentication.HIGH_SHA256,
    "HLS 7 ECDSA": Authentication.HIGH_ECDSA,
}
POLICIES = {
    "none": Security.NONE,
    "authenticated": Security.AUTHENTICATION,
    "encrypted": Security.ENCRYPTION,
    "both": Security.AUTHENTICATION_ENCRYPTION,
}
WITHOUT_SECRET = (Authentication.NONE, Authentication.HIGH_GMAC, Authentication.HIGH_ECDSA)


class Link:
    """The client on its socket."""

    def __init__(self, client, connection):
        self.client = client
        self.connection = connection
        self.pending = GXByteBuffer()

    def exchange(self, messages):
        """Send all messages, ask for further blocks, and return what came."""
        reply = GXReplyData()
        for message in flat(messages):
            reply.clear()
            self._one(message, reply)
            while reply.isMoreData():
                self._one(self.client.receiverReady(reply), reply)
        return reply

    def _one(self, message, reply):
        if message is not None:
            self.connection.sendall(bytes(message))
        notified = GXReplyData()
        while True:
            octets = self.connection.recv(65536)
            if not octets:
                raise ConnectionError("closed by the server")
            self.pending.set(octets)
            if self.client.getData(self.pending, reply, notified):
                break
        self.pending.trim()
        if reply.error:
            raise RuntimeError(f"error {reply.error}")


def flat(messages):
    if not isinstance(messages, list):
        return [messages]
    return [one for message in messages for one in flat(message)]


def new_client():
    mechanism = MECHANISMS[GIVEN["mechanism"]]
    password = None if mechanism in WITHOUT_SECRET else bytes.fromhex(GIVEN["secret"])
    framing = InterfaceType.HDLC if GIVEN["framing"] == "HDLC" else InterfaceType.WRAPPER
    client = GXDLMSSecureClient(GIVEN["names"] == "LN", GIVEN["client"], GIVEN["server"], mechanism, password, framing)
    client.maxReceivePDUSize = GIVEN["pdu_size"]
    client.gbtWindowSize = GIVEN["window"] or 1
    if GIVEN.get("encryption_key"):
        set_keys(client.ciphering)
    if mechanism == Authentication.HIGH_ECDSA:
        client.settings.useCustomChallenge = True
        client.settings.setCtoSChallenge(os.urandom(32))  # the library's own has 16 octets, too few for this mechanism
    wanted = client.proposedConformance | Conformance.GENERAL_PROTECTION
    if GIVEN["names"] == "LN":
        wanted |= Conformance.ACCESS
    else:
        wanted |= Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
    if GIVEN["window"]:
        wanted |= Conformance.GENERAL_BLOCK_TRANSFER
    if GIVEN["ciphering"] in ("glo-*", "ded-*"):
        wanted ^= Conformance.GENERAL_PROTECTION
    client.proposedConformance = wanted
    return client


def set_keys(cipher):
    cipher.security = POLICIES[GIVEN["policy"]]
    cipher.securitySuite = SecuritySuite(GIVEN["suite"])
    cipher.systemTitle = bytes.fromhex(GIVEN["system_title"])
    cipher.blockCipherKey = bytes.fromhex(GIVEN["encryption_key"])
    cipher.authenticationKey = bytes.fromhex(GIVEN["authentication_key"])
    cipher.invocationCounter = GIVEN["invocation_counter"]
    if GIVEN.get("private_key"):
        public = GXPublicKey.fromRawBytes(bytes.fromhex(GIVEN["peer_public_key"]))
        cipher.signingKeyPair = (public, GXPrivateKey.fromRawBytes(bytes.fromhex(GIVEN["private_key"])))
    if GIVEN.get("dedicated_key"):
        cipher.dedicatedKey = bytes.fromhex(GIVEN["dedicated_key"])


def associate(client, link):
    agreed = client.snrmRequest()
    if agreed:
        client.parseUAResponse(link.exchange(agreed).data)
    client.parseAareResponse(link.exchange(client.aarqRequest()).data)
    if client.getIsAuthenticationRequired():
        client.parseApplicationAssociationResponse(link.exchange(client.getApplicationAssociationRequest()).data)


def get(client, link, work):
    return link.exchange(client._read(name_of(work), work["class"], work["attribute"])).value


def name_of(work):
    return work["obis"] if GIVEN["names"] == "LN" else work["base_name"]


def object_of(client, work):
    item = client.createObject(work["class"])
    item.logicalName = work["obis"]
    if GIVEN["names"] == "SN":
        item.shortName = work["base_name"]
    return item


def by_range(client, link, work):
    profile = object_of(client, work)
    first, last = (GXDateTime(datetime.datetime.fromisoformat(work[end])) for end in ("from", "to"))
    return link.exchange(client.readRowsByRange(profile, first, last)).value


def by_entry(client, link, work):
    profile = object_of(client, work)
    return link.exchange(client.readRowsByEntry(profile, work["first"], work["count"])).value


def get_list(client, link, work):
    wanted = [(object_of(client, one), one["attribute"]) for one in work["attributes"]]
    return link.exchange(client.readList(wanted)).value


def write(client, link, work):
    written = client._GXDLMSClient__write(
        name_of(work), bytes.fromhex(work["value"]), DataType.OCTET_STRING, work["class"], work["attribute"]
    )
    link.exchange(written)
    return True


class Octets(GXDLMSData):
    """An object with one octet-string, to be written in a list."""

    def __init__(self, work):
        super().__init__(work["obis"])
        self.objectType = ObjectType(work["class"])
        self.value = bytes.fromhex(work["value"])

    def getValue(self, settings, e):
        return self.value

    def getDataType(self, index):
        return DataType.OCTET_STRING


class Written:
    """What the library wants to know about one item of a written list."""

    def __init__(self, work):
        self.target = Octets(work)
        self.index = work["attribute"]
        self.selector = 0
        self.parameters = None

    def getDataType(self):
        return DataType.OCTET_STRING


def set_list(client, link, work):
    link.exchange(client.writeList([Written(one) for one in work["attributes"]]))
    return True


def act(client, link, work):
    return link.exchange(client.method(object_of(client, work), work["method"], 0, DataType.INT8)).value


def access(client, link, work):
    items = []
    for one in work["attributes"]:
        items.append(GXDLMSAccessItem(AccessServiceCommandType.GET, object_of(client, one), one["attribute"]))
    reply = link.exchange(client.accessRequest(None, items))
    client.parseAccessResponse(items, reply.data)
    return [one.value for one in items]


def release(client, link, work):
    client.useProtectedRelease = work.get("protected", False)
    asked = client.releaseRequest()
    if asked:
        link.exchange(asked)
    disconnect = client.disconnectRequest() if client.interfaceType == InterfaceType.HDLC else None
    if disconnect:
        link.exchange(disconnect)
    return True


DOING = {
    "get": get,
    "by range": by_range,
    "by entry": by_entry,
    "get-list": get_list,
    "set": write,
    "set-list": set_list,
    "action": act,
    "access": access,
    "release": release,
}


def plain(value):
    """Values as JSON has them: octets in hex."""
    if isinstance(value, GXByteBuffer):
        value = value.array()
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value if isinstance(value, (bool, int, float, type(None))) else str(value)


def attempt(doing, *arguments):
    try:
        return {"value": plain(doing(*arguments))}
    except Exception as error:  # noqa: BLE001 - whatever the peer raises is the outcome
        return {"error": f"{type(error).__name__}: {error}"}


def main():
    client = new_client()
    with socket.socket(
        type=socket.SOCK_DGRAM if GIVEN["framing"] == "wrapper/UDP" else socket.SOCK_STREAM
    ) as connection:
        connection.settimeout(10)
        connection.connect(("127.0.0.1", GIVEN["port"]))
        link = Link(client, connection)
        opened = attempt(associate, client, link)
        work = GIVEN["work"] if "value" in opened else ()
        return {"open": opened, "work": [attempt(DOING[one["do"]], client, link, one) for one in work]}


noise = io.StringIO()
with contextlib.redirect_stdout(noise):
    outcome = main()
print(json.dumps(outcome))

# SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
"""A meter made of gurux-dlms that serves connections on 127.0.0.1, one after the other: prints its port, argument is JSON (see README).

The library's own command handlers do not run as published, so the few services are served here on its lower parts:
framing, deciphering, AARQ and AARE, proofs of HLS, ciphering and blocks of the answers are all the library's.
"""

import json
import socket
import sys
from contextlib import suppress

from gurux_dlms import GXByteBuffer, GXDLMSLNParameters
from gurux_dlms.enums import Authentication, Command, Conformance, InterfaceType, Security, SourceDiagnostic
from gurux_dlms.GXCiphering import GXCiphering
from gurux_dlms.GXDLMS import GXDLMS
from gurux_dlms.GXSecure import GXSecure
from gurux_dlms.secure import GXDLMSSecureServer

GIVEN = json.loads(sys.argv[1])
POLICIES = {
    "none": Security.NONE,
    "authenticated": Security.AUTHENTICATION,
    "encrypted": Security.ENCRYPTION,
    "both": Security.AUTHENTICATION_ENCRYPTION,
}
MECHANISMS = {
    "none": Authentication.NONE,
    "LLS": Authentication.LOW,
    "HLS 2": Authentication.HIGH,
    "HLS 3 MD5": Authentication.HIGH_MD5,
    "HLS 4 SHA-1": Authentication.HIGH_SHA1,
    "HLS 5 GMAC": Authentication.HIGH_GMAC,
    "HLS 6 SHA-256": Authentication.HIGH_SHA256,
}
UNDEFINED = b"\x01\x04"
HLS_REPLY = bytes.fromhex("000F0000280000FF01")
OBJECTS = {bytes.fromhex(key): bytes.fromhex(value) for key, value in GIVEN["objects"].items()}

_set_octet = GXByteBuffer.setUInt8


def set_octet(self, item=8, index=None):
    """The library's AARE forgets to say that a system title has 8 octets."""
    _set_octet(self, item, index)


GXByteBuffer.setUInt8 = set_octet
_parameters = sys.modules["gurux_dlms.GXDLMS"].AesGcmParameter


def parameters_of(*given):
    """The library forgets the first of four parameters when it deciphers a request."""
    return _parameters(*given) if isinstance(given[0], int) else _parameters(0, *given)


sys.modules["gurux_dlms.GXDLMS"].AesGcmParameter = parameters_of


class Meter(GXDLMSSecureServer):
    def __init__(self):
        super().__init__(True, InterfaceType.WRAPPER)
        self.rest = None
        cipher = GXCiphering(bytes.fromhex(GIVEN["system_title"]))
        if GIVEN.get("encryption_key"):
            cipher.security = POLICIES[GIVEN["policy"]]
            cipher.blockCipherKey = bytes.fromhex(GIVEN["encryption_key"])
            cipher.authenticationKey = bytes.fromhex(GIVEN["authentication_key"])
            cipher.invocationCounter = GIVEN["invocation_counter"]
        self.settings.cipher = cipher
        wanted = Conformance.GET | Conformance.SET | Conformance.ACTION | Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
        if GIVEN["ciphering"] == "general-glo":
            wanted |= Conformance.GENERAL_PROTECTION
        self.settings.proposedConformance = wanted

    def isTarget(self, serverAddress, clientAddress):
        return True

    def onValidateAuthentication(self, authentication, password):
        if authentication != MECHANISMS[GIVEN["mechanism"]]:
            return SourceDiagnostic.AUTHENTICATION_MECHANISM_NAME_REQUIRED
        if authentication == Authentication.LOW and bytes(password) != bytes.fromhex(GIVEN["secret"]):
            return SourceDiagnostic.AUTHENTICATION_FAILURE
        return SourceDiagnostic.NONE

    def onConnected(self, connectionInfo):
        pass

    def onDisconnected(self, connectionInfo):
        pass

    def onInvalidConnection(self, connectionInfo):
        pass

    def answer(self, octets):
        """The framed answer to one framed request."""
        self.settings.cipher.invocationCounter += 1  # the library would use the same value again
        self.receivedData.clear()
        self.receivedData.set(octets)
        self.info.clear()
        GXDLMS.getData(self.settings, self.receivedData, self.info, None)
        if self.info.command == Command.NONE:
            return b""
        return bytes(self._serve(self.info.command, self.info.data))

    def _serve(self, cmd, data):
        self.replyData.clear()
        octets = bytes(data.array())[data.position :]
        if cmd == Command.AARQ:
            self.handleAarqRequest(data, None)
            title = b"\x04\x08" + self.settings.cipher.systemTitle
            self._mend(b"\xa4\x08" + title, b"\xa4\x0a" + title)
            self._mend(b"\xaa\x10\x80\x10", b"\xaa\x12\x80\x10")
        elif cmd == Command.GET_REQUEST:
            self._get(octets)
        elif cmd == Command.SET_REQUEST:
            OBJECTS[octets[2:11]] = octets[12:]
            self._reply(Command.SET_RESPONSE, 1, octets[1], b"\x00")
        elif cmd == Command.METHOD_REQUEST:
            self._action(octets)
        elif cmd == Command.RELEASE_REQUEST:
            self.replyData.set(bytes.fromhex("6303800100"))
        return GXDLMS.getWrapperFrame(self.settings, cmd, self.replyData)

    def _mend(self, wrong, right):
        """The library's AARE counts the octets of the title and of the challenge wrongly."""
        octets = bytes(self.replyData.array()).replace(wrong, right)
        self.replyData.clear()
        self.replyData.set(octets)

    def _get(self, octets):
        form, invoke = octets[0], octets[1]
        if form == 1 and octets[2:11] not in OBJECTS:
            self._reply(Command.GET_RESPONSE, 1, invoke, UNDEFINED)
            return
        if form == 1:
            self.settings.resetBlockIndex()
            self.rest = GXByteBuffer(OBJECTS[octets[2:11]])
        else:
            self.settings.increaseBlockIndex()
        parameters = GXDLMSLNParameters(self.settings, invoke, Command.GET_RESPONSE, form, None, self.rest, 0)
        parameters.multipleBlocks = form == 2
        GXDLMS.getLNPdu(parameters, self.replyData)

    def _action(self, octets):
        if octets[2:11] != HLS_REPLY:
            self._reply(Command.METHOD_RESPONSE, 1, octets[1], b"\x00\x00")
            return
        settings, proof = self.settings, octets[14:]
        counter = int.from_bytes(proof[1:5], "big")
        client, own = bytes(settings.sourceSystemTitle or b""), bytes(settings.cipher.systemTitle)
        to_server, to_client = settings.getStoCChallenge(), settings.getCtoSChallenge()
        if self._proof(counter, to_server, client, own, to_client) != proof:
            self._reply(Command.METHOD_RESPONSE, 1, octets[1], b"\x03\x00")
            return
        reply = self._proof(settings.cipher.invocationCounter, to_client, own, client, to_server)
        settings.cipher.invocationCounter += 1
        self._reply(Command.METHOD_RESPONSE, 1, octets[1], b"\x00\x01\x00\x09" + bytes((len(reply),)) + reply)

    def _proof(self, counter, challenge, prover, verifier, other_challenge):
        """By the library, from what it wants to have for each mechanism."""
        password = bytes.fromhex(GIVEN["secret"])
        secret = {
            "HLS 5 GMAC": prover,
            "HLS 6 SHA-256": password + prover + verifier + bytes(challenge) + bytes(other_challenge),
        }.get(GIVEN["mechanism"], password)
        return bytes(GXSecure.secure(self.settings, self.settings.cipher, counter, challenge, secret))

    def _reply(self, command, form, invoke, octets):
        """An answer of one piece, result code first: the library would put it last."""
        parameters = GXDLMSLNParameters(self.settings, invoke, command, form, None, GXByteBuffer(octets), 0xFF)
        GXDLMS.getLNPdu(parameters, self.replyData)


def frames(connection):
    """What comes, one wrapper PDU at a time, however it was cut."""
    there = b""
    while octets := connection.recv(65536):
        there += octets
        while len(there) >= 8 and len(there) >= (size := 8 + int.from_bytes(there[6:8], "big")):
            yield there[:size]
            there = there[size:]


class Counter:
    """The invocation counter, which goes on from one client to the next."""

    last = GIVEN.get("invocation_counter", 0)  # without security there is none


def serve(connection):
    """One client; what the library falls over ends its connection alone."""
    meter = Meter()
    for octets in frames(connection):
        meter.settings.cipher.invocationCounter = max(Counter.last, meter.settings.cipher.invocationCounter)
        try:
            answer = meter.answer(octets)
        except Exception as error:  # noqa: BLE001 - whatever the library makes of it
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            return
        finally:
            Counter.last = meter.settings.cipher.invocationCounter
        connection.sendall(answer)


def main():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            with connection, suppress(ConnectionError):
                serve(connection)


main()

"""One session of the foreign client dlms-cosem against a server on 127.0.0.1: argument and output are JSON (see README)."""

import json
import logging
import sys

import structlog
from dlms_cosem import cosem, enumerations
from dlms_cosem.client import DlmsClient
from dlms_cosem.io import BlockingTcpIO, TcpTransport
from dlms_cosem.security import (
    HighLevelSecurityGmacAuthentication,
    LowLevelSecurityAuthentication,
    NoSecurityAuthentication,
)

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

GIVEN = json.loads(sys.argv[1])


def authentication():
    if GIVEN["mechanism"] == "lls":
        return LowLevelSecurityAuthentication(bytes.fromhex(GIVEN["secret"]))
    if GIVEN["mechanism"] == "gmac":
        return HighLevelSecurityGmacAuthentication()
    return NoSecurityAuthentication()


def attribute(kind, obis, number):
    return cosem.CosemAttribute(
        enumerations.CosemInterface(kind), cosem.Obis(*(int(part) for part in obis.split("."))), number
    )


def main():
    transport = TcpTransport(
        GIVEN["client_wport"], GIVEN["server_wport"], BlockingTcpIO("127.0.0.1", GIVEN["port"], timeout=10)
    )
    keys = {}
    if GIVEN.get("encryption_key"):
        keys = {
            "encryption_key": bytes.fromhex(GIVEN["encryption_key"]),
            "authentication_key": bytes.fromhex(GIVEN["authentication_key"]),
            "client_system_title": bytes.fromhex(GIVEN["system_title"]),
            "client_initial_invocation_counter": GIVEN["invocation_counter"],
        }
    client = DlmsClient(transport, authentication(), max_pdu_size=GIVEN["max_pdu_size"], **keys)
    found = {}
    with client.session() as session:
        found["name"] = session.get(attribute(1, "0.0.42.0.0.255", 2)).hex()
        found["long"] = session.get(attribute(7, "1.0.99.1.0.255", 2)).hex()
        answer = session.set(attribute(8, "0.0.1.0.0.255", 2), bytes.fromhex(GIVEN["clock"]))
        found["set"] = int(answer.result)
        found["clock"] = session.get(attribute(8, "0.0.1.0.0.255", 2)).hex()
        method = cosem.CosemMethod(enumerations.CosemInterface.DISCONNECT_CONTROL, cosem.Obis(0, 0, 96, 3, 10, 255), 1)
        returned = session.action(method, bytes.fromhex("0f00"))
        found["action"] = returned.hex() if returned else ""
    return found


try:
    outcome = main()
except Exception as error:  # noqa: BLE001 - whatever the peer raises is the outcome
    outcome = {"error": f"{type(error).__name__}: {error}"}
print(json.dumps(outcome))

"""One session of the foreign client dlms-cosem against a server on 127.0.0.1: argument and output are JSON (see README)."""

import datetime
import json
import logging
import sys

import structlog
from dlms_cosem import cosem, enumerations, utils
from dlms_cosem.client import DlmsClient
from dlms_cosem.cosem.capture_object import CaptureObject
from dlms_cosem.cosem.selective_access import RangeDescriptor
from dlms_cosem.io import BlockingTcpIO, TcpTransport
from dlms_cosem.security import (
    HighLevelSecurityGmacAuthentication,
    LowLevelSecurityAuthentication,
    NoSecurityAuthentication,
)

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

GIVEN = json.loads(sys.argv[1])


def authentication():
    if GIVEN["mechanism"] == "LLS":
        return LowLevelSecurityAuthentication(bytes.fromhex(GIVEN["secret"]))
    if GIVEN["mechanism"] == "HLS 5 GMAC":
        return HighLevelSecurityGmacAuthentication()
    return NoSecurityAuthentication()


def new_client():
    transport = TcpTransport(GIVEN["client"], GIVEN["server"], BlockingTcpIO("127.0.0.1", GIVEN["port"], timeout=10))
    keys = {}
    if GIVEN.get("encryption_key"):
        keys = {
            "encryption_key": bytes.fromhex(GIVEN["encryption_key"]),
            "authentication_key": bytes.fromhex(GIVEN["authentication_key"]),
            "client_system_title": bytes.fromhex(GIVEN["system_title"]),
            "client_initial_invocation_counter": GIVEN["invocation_counter"],
        }
    return DlmsClient(transport, authentication(), max_pdu_size=GIVEN["pdu_size"], **keys)


def associate(client):
    client.associate()


def obis(work):
    return cosem.Obis(*(int(part) for part in work["obis"].split(".")))


def attribute(work):
    return cosem.CosemAttribute(enumerations.CosemInterface(work["class"]), obis(work), work["attribute"])


def get(client, work):
    return utils.parse_as_dlms_data(client.get(attribute(work)))


def by_range(client, work):
    clock = cosem.CosemAttribute(enumerations.CosemInterface.CLOCK, cosem.Obis(0, 0, 1, 0, 0), 2)
    first, last = (datetime.datetime.fromisoformat(work[end]) for end in ("from", "to"))
    wanted = RangeDescriptor(CaptureObject(clock), first, last)
    return utils.parse_as_dlms_data(client.get(attribute(work), wanted))


def get_list(client, work):
    wanted = [cosem.CosemAttributeWithSelection(attribute(one), None) for one in work["attributes"]]
    return client.get_many(wanted).result


def write(client, work):
    octets = bytes.fromhex(work["value"])
    answer = client.set(attribute(work), b"\x09" + bytes((len(octets),)) + octets)
    if answer.result:
        raise RuntimeError(f"error {answer.result}")
    return True


def act(client, work):
    method = cosem.CosemMethod(enumerations.CosemInterface(work["class"]), obis(work), work["method"])
    return client.action(method, bytes.fromhex("0f00"))


def release(client, work):
    client.release_association()
    return True


DOING = {
    "get": get,
    "by range": by_range,
    "get-list": get_list,
    "set": write,
    "action": act,
    "release": release,
}


def plain(value):
    """Values as JSON has them: octets in hex."""
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
    client.connect()
    try:
        opened = attempt(associate, client)
        work = GIVEN["work"] if "value" in opened else ()
        return {"open": opened, "work": [attempt(DOING[one["do"]], client, one) for one in work]}
    finally:
        client.disconnect()


print(json.dumps(main()))

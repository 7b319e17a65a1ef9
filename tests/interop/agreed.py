"""What both ends of a session agree on beforehand: keys, titles, secrets, and the same in the words of either side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from loopback import SERVER_WPORT, SHORT_NAMES, Rights, stored
from matrix import DEDICATED, ECDSA, GMAC, METER, Row

from ami_dlms import data
from ami_dlms.association import AssociationProfile, Ciphering, Security
from ami_dlms.association.settings import LN_CONFORMANCE, SN_CONFORMANCE
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.enums import Mechanism
from ami_dlms.security import GlobalKeys, ReceiveCounter, SendCounter
from ami_dlms.security.hls import Challenges
from ami_dlms.security.keys import AsymmetricKeys, PrivateKey

CLIENT_WPORT = 1
KEYS = GlobalKeys(bytes(range(16)), bytes(range(0xD0, 0xE0)))
OTHER_KEYS = replace(KEYS, encryption_key=bytes(range(1, 17)))
LONG_KEYS = GlobalKeys(bytes(range(32)), bytes(range(0xD0, 0xF0)))
DEDICATED_KEY = bytes(range(0x20, 0x30))
PRIVATE_KEYS = {
    1: (PrivateKey(bytes(range(1, 33))), PrivateKey(bytes(range(33, 65)))),
    2: (PrivateKey(bytes(range(1, 49))), PrivateKey(bytes(range(49, 97)))),
}
"""The client's and the server's by suite."""
SERVER_TITLE = b"AMI\0\0\0\3\xe9"
CLIENT_TITLE = b"AMI\0\0\0\0\1"
PASSWORD = b"12345678"
FIRST_COUNTER = 100
MECHANISMS = {
    "none": Mechanism.LOWEST,
    "LLS": Mechanism.LOW,
    "HLS 2": Mechanism.HIGH,
    "HLS 3 MD5": Mechanism.MD5,
    "HLS 4 SHA-1": Mechanism.SHA1,
    "HLS 5 GMAC": Mechanism.GMAC,
    "HLS 6 SHA-256": Mechanism.SHA256,
    "HLS 7 ECDSA": Mechanism.ECDSA,
}
NEEDS_TITLES = (GMAC, "HLS 6 SHA-256", ECDSA)
BITS = {"none": (False, False), "authenticated": (True, False), "encrypted": (False, True), "both": (True, True)}
FORMS = {"general-glo": Ciphering.GENERAL_GLO, "glo-*": Ciphering.SERVICE_SPECIFIC}


def keyed(row: Row) -> bool:
    return row.policy != "none" or row.mechanism in NEEDS_TITLES


def keys_of(row: Row) -> GlobalKeys:
    return LONG_KEYS if row.suite == 2 else KEYS


def signing_keys(row: Row, *, server: bool) -> AsymmetricKeys:
    """Of one end."""
    if row.mechanism != ECDSA:
        return AsymmetricKeys()
    client_key, server_key = PRIVATE_KEYS[row.suite]
    own, peer = (server_key, client_key) if server else (client_key, server_key)
    return AsymmetricKeys(signing=own, peer_signing=peer.public_key)


def security(row: Row, *, server: bool, keys: GlobalKeys | None = None) -> Security | None:
    """Of one end that is ours."""
    if not keyed(row):
        return None
    authenticated, encrypted = BITS[row.policy]
    return Security(
        keys=keys or keys_of(row),
        system_title=SERVER_TITLE if server else CLIENT_TITLE,
        peer_system_title=None if server or row.ours == METER else SERVER_TITLE,
        suite=row.suite,
        authenticated=authenticated,
        encrypted=encrypted,
        ciphering=FORMS.get(row.ciphering, Ciphering.GENERAL_GLO),
        asymmetric=signing_keys(row, server=server),
    )


def aes_of_challenge(secret: bytes, exchange: Challenges) -> bytes:
    """The proof that gurux-dlms takes for the mechanism whose proof every manufacturer chooses for itself."""
    cipher = Cipher(algorithms.AES(secret.ljust(16, b"\0")), modes.ECB())
    return cipher.encryptor().update(exchange.challenge)


def profile(row: Row) -> AssociationProfile:
    """What the loopback server offers in this row."""
    return AssociationProfile(
        client_wport=CLIENT_WPORT,
        server_wport=SERVER_WPORT,
        access=Rights(),
        mechanism=MECHANISMS[row.mechanism],
        secret=PASSWORD,
        manufacturer_proof=aes_of_challenge,
        security=security(row, server=True),
        send_counter=SendCounter(5000),
        receive_counter=ReceiveCounter(FIRST_COUNTER),
        conformance=LN_CONFORMANCE if row.names == "LN" else SN_CONFORMANCE,
        short_names=None if row.names == "LN" else SHORT_NAMES,
        max_receive_pdu_size=row.pdu_size,
        **({"block_window": row.window} if row.window else {}),
    )


def for_peer(row: Row, **changes: Any) -> Mapping[str, Any]:
    """The settings of a peer's script."""
    given: dict[str, Any] = {
        "client": CLIENT_WPORT,
        "server": SERVER_WPORT,
        "framing": row.framing,
        "names": row.names,
        "window": row.window,
        "mechanism": row.mechanism,
        "secret": PASSWORD.hex(),
        "suite": row.suite,
        "ciphering": row.ciphering,
        "policy": row.policy,
        "pdu_size": row.pdu_size,
        "invocation_counter": FIRST_COUNTER,
    }
    if keyed(row):
        keys = keys_of(row)
        given |= {
            "encryption_key": keys.encryption_key.hex(),
            "authentication_key": keys.authentication_key.hex(),
            "system_title": CLIENT_TITLE.hex(),
        }
    if row.mechanism == ECDSA:
        own, peer = PRIVATE_KEYS[row.suite]
        given |= {"private_key": own.octets.hex(), "peer_public_key": "04" + peer.public_key.octets.hex()}
    if row.ciphering in DEDICATED:
        given["dedicated_key"] = DEDICATED_KEY.hex()
    return given | changes


def for_meter(row: Row) -> Mapping[str, Any]:
    """The settings of a foreign meter, which holds the objects of the loopback server."""
    objects = {name_of(descriptor): data.encode(value).hex() for descriptor, value in stored().items()}
    return for_peer(row, system_title=SERVER_TITLE.hex(), invocation_counter=0, objects=objects)


def name_of(descriptor: AttributeDescriptor) -> str:
    """A descriptor as it travels."""
    head = descriptor.class_id.to_bytes(2, "big") + bytes(descriptor.instance_id)
    return (head + bytes((descriptor.attribute_id,))).hex()

"""HLS with ECDSA, which no simulated meter has, against a server of the protocol core on a real socket."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from meter_bench import Ami

from dlms import data
from dlms.association import (
    AssociationProfile,
    AttributeAccess,
    GetAnswer,
    GetRequested,
    Security,
    ServerConnection,
)
from dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from dlms.enums import Mechanism
from dlms.security import AsymmetricKeys, GlobalKeys, PrivateKey, ReceiveCounter, SendCounter

OURS, THEIRS = PrivateKey(bytes(31) + b"\x07"), PrivateKey(bytes(31) + b"\x09")
KEY = bytes(range(16))


class Everything:
    """Rights to read anything."""

    def attribute(self, descriptor: AttributeDescriptor) -> AttributeAccess | None:
        return AttributeAccess.READ

    def method(self, descriptor: MethodDescriptor) -> bool | None:
        return True


def profile() -> AssociationProfile:
    security = Security(
        keys=GlobalKeys(KEY, KEY),
        system_title=b"METER\0\0\1",
        suite=1,
        asymmetric=AsymmetricKeys(THEIRS, OURS.public_key),
    )
    return AssociationProfile(
        client_wport=1,
        server_wport=1,
        access=Everything(),
        mechanism=Mechanism.ECDSA,
        security=security,
        send_counter=SendCounter(1),
        receive_counter=ReceiveCounter(),
    )


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve() -> None:
            near, _ = door.accept()
            connection = ServerConnection({(1, 1): profile()}, random_bytes=secrets.token_bytes)
            with near:
                while octets := near.recv(65536):
                    connection.receive_data(octets)
                    while (event := connection.next_event()) is not None:
                        if isinstance(event, GetRequested):
                            near.sendall(connection.send(GetAnswer(event.key, data.unsigned(42))))
                    near.sendall(connection.data_to_send())

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield door.getsockname()[1]
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize("trusted", [True, False])
def test_each_end_signs_and_checks(ami: Ami, port: int, tmp_path: Path, trusted: bool) -> None:
    (tmp_path / "signing").write_text(OURS.octets.hex())
    meter_key = (THEIRS if trusted else OURS).public_key.octets.hex()
    keys = ("--ek", KEY.hex(), "--ak", KEY.hex(), "--suite", 1, "--invocation-counter", 5)
    signing = ("--signing-key", f"file:{tmp_path / 'signing'}", "--meter-signing-key", meter_key)
    where = ("--host", "127.0.0.1", "--port", port, "--client", 1, "--authentication", "hls-ecdsa")
    result = ami.run("read", "0-0:96.1.0", 2, "--class", 1, "--json", *where, *keys, *signing)
    if trusted:
        assert result.ok().json[0]["value"] == 42
    else:
        assert result.code == 6 and "read" not in result.out


def test_without_a_key_to_sign_with(ami: Ami) -> None:
    keys = ("--ek", KEY.hex(), "--ak", KEY.hex(), "--suite", 1)
    result = ami.at("GMAC", "clock", "--client", 1, "--authentication", "hls-ecdsa", *keys)
    assert result.code == 2 and "--signing-key" in result.err
    odd = ("--signing-key", "01", "--meter-signing-key", "02")
    wrong = ami.at("GMAC", "clock", "--client", 1, "--authentication", "hls-ecdsa", *keys, *odd)
    assert wrong.code == 2 and "private key" in wrong.err

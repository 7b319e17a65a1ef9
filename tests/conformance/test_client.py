"""The client of a conformance run against a peer that has no end, and what the report shows of a secret."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ami_conformance import client as client_module
from ami_conformance.answers import Answer, Kind
from ami_conformance.bench import Bench, Rules
from ami_conformance.client import Client, Guard
from ami_conformance.findings import Unsettled
from ami_conformance.journal import Journal
from ami_conformance.object_list import parse_object_list
from ami_conformance.wire import Ports
from ami_dlms import apdu, data
from ami_dlms.apdu.get import GetRequestNext, GetResponseNormal, GetResponseWithDataBlock
from ami_dlms.apdu.notify import DataNotification
from ami_dlms.association import ClientSettings
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.obis import Obis
from ami_dlms.security import SendCounter

SECRET = AttributeDescriptor(15, Obis.parse("0-0:40.0.0*255"), 7)
PLACE = AttributeDescriptor(1, Obis.parse("0-0:42.0.0*255"), 2)
NOTIFICATION = apdu.encode(DataNotification(1, None, data.null()))
Peer = Callable[[bytes], bytes]


class Talker:
    """A wire whose peer says what a function makes of the last request; every answer takes a second of its own clock."""

    def __init__(self, peer: Peer) -> None:
        self.peer, self.asked, self.now, self.closed = peer, b"", 0.0, False

    def clock(self) -> float:
        return self.now

    def send(self, ports: Ports, octets: bytes) -> None:
        self.asked = octets

    def receive(self, ports: Ports, wait_s: float) -> Answer:
        assert self.now < 100, "it is listened to without end"
        self.now += 1.0
        return Answer(Kind.APDU, octets=self.peer(self.asked))


def speaking_to(peer: Peer, told: list[tuple[bytes, bool]] | None = None) -> Client:
    def tell(what: str, sent: bytes, answer: Answer, secret: bool) -> None:
        if told is not None:
            told.append((sent, secret))

    guard = Guard(lambda *_: None, lambda _: False, tell, bytes, lambda: None, 5.0)
    return Client(Talker(peer), ClientSettings(client_wport=16, server_wport=1), guard, SendCounter(0, 0))  # type: ignore[arg-type]


def test_notifications_do_not_make_the_wait_longer() -> None:
    found = speaking_to(lambda asked: NOTIFICATION).get(PLACE)
    assert found.answer.kind is Kind.SILENCE


def blocks(asked: bytes) -> bytes:
    """A first block, or the one behind it, and never the last."""
    request = apdu.decode(asked)
    number = request.block_number + 1 if isinstance(request, GetRequestNext) else 1
    return apdu.encode(GetResponseWithDataBlock(request.invoke_id_and_priority, False, number, bytes(100)))  # type: ignore[union-attr]


def test_blocks_are_not_joined_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MOST_JOINED", 1000)
    found = speaking_to(blocks).get(PLACE)
    assert found.value is None and "more than 1000 octets" in found.words


def test_a_secret_in_blocks_is_about_a_secret_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MOST_JOINED", 250)
    told: list[tuple[bytes, bool]] = []
    client = speaking_to(blocks, told)
    client.get(SECRET)
    client.get(PLACE)
    assert [secret for _, secret in told] == [True, True, True, False, False, False]


class BreaksOff(Bench):
    """A meter that is gone amid a scan."""

    def opened(self, *settings: Any, **more: Any) -> Client:
        self.tell(f"GET {SECRET}", b"", Answer(Kind.APDU, octets=VALUE))
        raise Unsettled("it is gone")


VALUE = apdu.encode(GetResponseNormal(0xC1, data.octet_string(b"a password")))


def test_neither_a_scan_that_breaks_off_nor_a_secret_alone_is_in_the_report(tmp_path: Path) -> None:
    bench = BreaksOff(None, Rules(), Journal(tmp_path / "journal.jsonl"))  # type: ignore[arg-type]
    bench.learned.objects = parse_object_list(data.array())
    with pytest.raises(Unsettled):
        bench.scan()
    assert bench.exchanges == []
    bench.tell(f"GET {PLACE}", b"", Answer(Kind.APDU, octets=VALUE), False)
    bench.tell(f"GET {SECRET}", b"", Answer(Kind.APDU, octets=VALUE), True)
    assert [b"a password" in one.received for one in bench.exchanges] == [True, False]

"""What is noted at a meter becomes spans with every APDU, deciphered, and without a secret."""

from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from keyed_meter import KeyedMeter, Life
from small_meter import South

from ami_dlms.explain import is_sound, leaves
from ami_dlms.framing.wrapper import Deframer, WrapperPdu
from ami_hes.meters.recording import MOST_ENTRIES, Begun, Passed, Recording
from ami_hes.meters.trace import tracing
from ami_hes.traces.packing import Numbering, Unreadable, pack, unpack
from ami_trace.explained import explained
from ami_trace.form import ApduRecord, Direction, Kind, Outcome, Span

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ROOM = 1_000_000


def recording(ticks: list[float] | None = None, room: int = ROOM) -> Recording:
    """`perf_counter` moves by a millisecond each time that it is looked at."""
    at = ticks if ticks is not None else [0.0]

    def tick() -> float:
        at[0] += 0.001
        return at[0]

    return Recording(NOW, tick, room)


def spans_of(noted: Recording) -> list[Span]:
    return unpack(pack(noted), NOW, 1, "M1001", Numbering(1)).spans


def apdus(spans: list[Span]) -> list[ApduRecord]:
    return [span.apdu for span in spans if span.apdu is not None]


def check_octets(record: ApduRecord) -> None:
    """Each octet belongs to exactly one leaf, and nothing is wrong with any."""
    trees = explained(record)
    assert trees.frame is not None
    for tree, wanted in ((trees.frame, record.octets), (trees.clear, record.clear)):
        if tree is not None:
            assert is_sound(tree), tree
            assert b"".join(leaf.octets for leaf in leaves(tree)).hex().endswith(wanted or "")
            assert [
                leaf.name for leaf in leaves(tree) if leaf.name in ("rest", "unknown") or leaf.type == "missing"
            ] == []


@pytest.mark.parametrize("authentication", ["none", "lls", "hls-sha256", "hls-gmac"])
async def test_every_apdu_of_a_switching_is_noted_as_it_was_on_the_wire(ami: South, authentication: str) -> None:
    meter = await ami.meter(authentication=authentication)
    await ami.start()
    noted = recording()
    with tracing("m-1", noted):
        assert (await ami.switch()).ok
    spans = spans_of(noted)
    sent = [one for one in apdus(spans) if one.direction is Direction.REQUEST]
    frames = Deframer()
    frames.receive_data(bytes(meter.inbound))
    on_the_wire = []
    while (pdu := frames.next_pdu()) is not None:
        on_the_wire.append((pdu.source, pdu.destination, pdu.apdu.hex()))
    hidden = [one for one in sent if one.hidden]
    assert len(hidden) == (authentication == "lls"), "the AARQ with the password, and nothing else"
    assert [(one.source, one.destination, one.octets) for one in sent if not one.hidden] == [
        one for one in on_the_wire if meter.password.hex() not in one[2]
    ]
    for one in apdus(spans):
        check_octets(one)
        assert (one.clear is not None) == (
            (authentication != "none" and one.octets[:2] == "db") or _is_ciphered_acse(one)
        )
    secrets = (meter.password, meter.encryption_key, meter.authentication_key)
    written = "".join(span.model_dump_json() for span in spans)
    assert not [one for one in secrets if one.hex() in written]


def _is_ciphered_acse(record: ApduRecord) -> bool:
    return record.clear is not None and record.octets[:2] in ("60", "61", "62", "63")


async def test_the_tree_says_what_was_done_in_its_order(ami: South) -> None:
    await ami.meter()
    await ami.start()
    noted = recording()
    with tracing("m-1", noted):
        assert (await ami.switch()).ok
    spans = spans_of(noted)
    named = [(one.kind, one.name) for one in spans if one.apdu is None]
    assert named[0][0] is Kind.CONNECTION
    associations = [name for kind, name in named if kind is Kind.ASSOCIATION]
    assert associations == [
        "opening the public association",
        "releasing the public association",
        "opening the association",
        "releasing the association",
    ]
    assert (Kind.EXCHANGE, "calling class 70 0-0:96.3.10*255 method 1") in named
    assert (Kind.STEP, "read-back") in named
    by_id = {one.id: one for one in spans}
    assert all(one.parent in by_id or one.parent == 1 for one in spans)
    assert all(one.ended_at is not None and one.ended_at >= one.began_at for one in spans)
    assert {one.outcome for one in spans} == {Outcome.OK}
    for one in spans:
        if one.apdu is not None:
            assert by_id[one.parent or 0].kind in (Kind.ASSOCIATION, Kind.EXCHANGE)
            assert one.apdu.connection == 1


async def test_what_fails_says_so_where_it_failed(ami: South) -> None:
    await ami.meter(dies_after_reads=2)
    await ami.start()
    noted = recording()
    with tracing("m-1", noted):
        assert not (await ami.switch()).ok
    spans = spans_of(noted)
    failed = [one for one in spans if one.outcome is Outcome.FAILED]
    assert failed and all(one.text for one in failed)
    assert "reading the invocation counter" in failed[0].name and "the meter closed the connection" in failed[0].text


async def test_nobody_answers(ami: South) -> None:
    meter = await ami.meter()
    entry = meter.entry()
    await meter.close()
    await ami.start(entry)
    noted = recording()
    with tracing("m-1", noted):
        assert not (await ami.switch()).ok
    [connection] = spans_of(noted)
    assert (connection.kind, connection.outcome) == (Kind.CONNECTION, Outcome.FAILED)
    assert connection.peer == entry["address"] and "can't be reached" in connection.text


async def test_no_key_that_is_changed_is_in_the_trace(tmp_path: Path) -> None:
    meter = KeyedMeter()
    await meter.listen()
    noted = recording()
    former = (meter.encryption_key, meter.authentication_key, meter.master_key, meter.password)
    try:
        with tracing("m-1", noted):
            outcome = await Life(tmp_path / "hes.sqlite", meter, [], entry=meter.entry()).change("encryption_key")
        assert outcome is not None and outcome.ok
        passed = [one for one in noted.read() if isinstance(one, Passed)]
        assert any(one.carries for one in passed), "an exchange about a secret"
        packed = pack(noted)
        spans = unpack(packed, NOW, 1, "M1001", Numbering(1)).spans
        struck = [one for one in apdus(spans) if one.clear_hidden]
        assert struck, "the wrapped key is struck out of what was deciphered"
        for one in apdus(spans):
            check_octets(one)
        written = "".join(span.model_dump_json() for span in spans)
        carried = [one.clear for one in passed]
        [transfer] = [one for one in carried if one is not None and one[3:5] == b"\x00\x40" and one[0] == 0xC3]
        wrapped = transfer[-24:]
        assert len(wrapped) == 24 and wrapped.hex() not in written
        for secret in (*former, meter.encryption_key):
            assert secret.hex() not in written
    finally:
        await meter.close()


async def test_octets_have_a_bound_and_what_is_behind_it_is_counted(ami: South) -> None:
    await ami.meter()
    await ami.start()
    noted = recording(room=300)
    with tracing("m-1", noted):
        assert (await ami.switch()).ok
    found = unpack(pack(noted), NOW, 1, "M1001", Numbering(1))
    kept = [one for one in apdus(found.spans) if one.octets]
    left_out = [one for one in apdus(found.spans) if not one.octets]
    assert sum(len(one.octets) + len(one.clear or "") for one in kept) // 2 <= 300
    assert found.left_out == len(left_out) > 0 and all(one.left_out > 0 for one in left_out)


@pytest.mark.parametrize("carries", [False, True])
def test_blocks_that_complete_an_apdu_longer_than_any_that_travels_are_read_again(carries: bool) -> None:
    noted = recording()
    noted.carries = carries
    whole = bytes.fromhex("c401c10009830101d0") + (bytes(range(256)) * 258)[:0x101D0]
    noted.passed(WrapperPdu(1, 16, bytes.fromhex("e0c00001000004") + whole[-4:]), False)
    noted.deciphered(whole, False)
    [one] = apdus(spans_of(noted))
    clear = bytes.fromhex(one.clear or "")
    assert len(clear) == len(whole) > 65_543
    assert (clear != whole) == bool(one.clear_hidden) == carries


async def test_what_outlives_its_command_is_not_noted(ami: South) -> None:
    meter = await ami.meter()
    await ami.start(keep_open_s=60.0)
    noted = recording()
    with tracing("m-1", noted):
        assert (await ami.switch()).ok
    before = noted.count
    other = recording()
    with tracing("m-2", other):
        assert (await ami.switch("3.31.0.18")).ok
    assert noted.count == before
    first = spans_of(other)[0]
    assert (first.kind, first.name) == (Kind.CONNECTION, "an association that was kept open")
    assert meter.connections == 1


@pytest.mark.parametrize("octets", [b"", b"x", pack(recording())[:-3]])
def test_what_is_no_recording_is_unreadable(octets: bytes) -> None:
    with pytest.raises(Unreadable):
        unpack(octets, NOW, 1, "M1001", Numbering(1))


def test_the_cut_octets_of_a_recording_of_another_kind_are_unreadable() -> None:
    for value in ([], {"entries": [["b", 0]]}, {"entries": [["x", 0, 1]], "left_out": 0}, {"entries": 5}):
        with pytest.raises(Unreadable):
            unpack(zlib.compress(json.dumps(value).encode()), NOW, 1, "M1001", Numbering(1))


def test_what_is_beyond_the_most_entries_is_counted_and_ends_without_a_place() -> None:
    noted = recording()
    first = noted.begin("exchange", "the first")
    for _ in range(MOST_ENTRIES):
        noted.passed(WrapperPdu(1, 16, b"\xc0"), True)
    late = noted.begin("exchange", "too late")
    noted.end(late, "failed", "nobody sees it")
    noted.end(first)
    noted.passed(WrapperPdu(16, 1, b"\xc4"), False)
    noted.deciphered(b"\xc4", False)
    begun, *passed = noted.read()
    assert isinstance(begun, Begun) and (begun.name, begun.outcome, begun.behind) == ("the first", "ok", MOST_ENTRIES)
    assert len(passed) == noted.count - 1 == MOST_ENTRIES - 1 and noted.left_out == 2
    assert all(isinstance(one, Passed) and one.clear is None for one in passed)

"""The journal: frames that come back as they went, torn anywhere; what does not fit in is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_meter_sim.population import journal
from ami_meter_sim.population.journal import (
    Cell,
    Change,
    Forget,
    Happened,
    Journal,
    KeptAttribute,
    StateUnusable,
    decode,
    frame,
    read_frames,
)

METERS, OBIS = st.integers(0, 2**32 - 1), st.binary(min_size=6, max_size=6)
LONG, OCTET = st.integers(-(2**63), 2**63 - 1), st.integers(0, 255)
CHANGES = (
    st.builds(Cell, METERS, OCTET, LONG)
    | st.builds(
        KeptAttribute, METERS, st.integers(0, 65535), OBIS, st.integers(-128, 127), st.none() | st.binary(max_size=40)
    )
    | st.builds(Happened, METERS, OCTET, st.integers(0, 2**64 - 1), LONG, OBIS, LONG, st.binary(max_size=40))
    | st.builds(Forget, METERS, OCTET, OBIS, st.integers(0, 2**64 - 1))
)


def encoded(changes: list[Change]) -> bytes:
    return b"".join(one.encode() for one in changes)


def frames_in(octets: bytes, start: int = 0) -> list[tuple[int, bytes]]:
    return list(read_frames(lambda count, at: octets[at : at + count], start, len(octets), "file"))


@given(st.lists(CHANGES, max_size=6))
@settings(max_examples=examples(200))
def test_records_come_back_as_they_went(changes: list[Change]) -> None:
    assert list(decode(encoded(changes))) == changes


@given(st.binary(max_size=80))
@settings(max_examples=examples(300))
def test_octets_that_are_no_records_are_refused(octets: bytes) -> None:
    try:
        changes = list(decode(octets))
    except ValueError:
        return
    assert encoded(changes) == octets


@given(st.lists(st.lists(CHANGES, min_size=1, max_size=3), min_size=1, max_size=4), st.data())
@settings(max_examples=examples(200))
def test_a_journal_torn_anywhere_has_all_frames_before_the_tear(turns: list[list[Change]], data: st.DataObject) -> None:
    payloads = [encoded(turn) for turn in turns]
    octets = b"".join(map(frame, payloads))
    cut = data.draw(st.integers(0, len(octets)))
    torn = octets[:cut] + data.draw(st.sampled_from((b"", bytes(9))))
    ends = [sum(len(frame(one)) for one in payloads[: number + 1]) for number in range(len(payloads))]
    whole = [(end, payload) for end, payload in zip(ends, payloads, strict=True) if end <= cut]
    assert frames_in(torn)[: len(whole)] == whole
    if torn == octets[:cut]:
        assert frames_in(torn) == whole


def test_room_that_was_made_is_no_frame_and_the_next_one_takes_it(tmp_path: Path) -> None:
    change = Cell(1, 1, 1)
    one = Journal(tmp_path, "a")
    [segment] = one.segments
    one.make_room()
    assert (segment.end, frames_in(segment.path.read_bytes())) == (0, [])
    one.add(change)
    one.write()
    one.make_room()
    end = len(frame(change.encode()))
    assert (segment.end, frames_in(segment.path.read_bytes())) == (end, [(end, change.encode())])
    one.close()


def test_a_disk_that_takes_nothing_is_known_before_something_is_begun(tmp_path: Path) -> None:
    one = Journal(tmp_path, "a")
    [segment] = one.segments
    writable, segment.file = segment.file, os.open(segment.path, os.O_RDONLY)
    with pytest.raises(StateUnusable, match="can't be written"):
        one.make_room()
    assert not one.pending
    os.close(segment.file)
    segment.file = writable
    one.make_room()
    one.close()


def test_damage_in_the_middle_is_no_torn_tail() -> None:
    first, second = frame(Cell(1, 1, 1).encode()), frame(Cell(2, 1, 1).encode())
    damaged = bytearray(first + second)
    damaged[len(first) - 1] ^= 1
    with pytest.raises(StateUnusable, match="file is damaged at octet 0"):
        frames_in(bytes(damaged))
    damaged = bytearray(first + second)
    damaged[-1] ^= 1
    assert [payload for _, payload in frames_in(bytes(damaged))] == [Cell(1, 1, 1).encode()]


def test_a_file_ends_at_its_size_and_the_next_one_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SEGMENT_OCTETS", 40)
    one = Journal(tmp_path, "writer")
    for number in range(4):
        one.add(Cell(number, 1, 1))
        one.write()
    assert [segment.closed for segment in one.segments] == [True, True, False]
    found = [change for part in one.segments for _, payload in part.frames(part.end) for change in decode(payload)]
    assert found == [Cell(number, 1, 1) for number in range(4)]
    assert [part.path.name for part in one.segments] == sorted(path.name for path in tmp_path.iterdir())
    one.close()


def test_one_write_for_all_that_a_turn_has_changed(tmp_path: Path) -> None:
    one = Journal(tmp_path, "writer")
    one.write()
    assert one.segments[0].end == 0, "and none for nothing"
    for number in range(100):
        one.add(Cell(number, 1, 1))
    assert one.pending and one.segments[0].end == 0
    one.write()
    ((_, payload),) = one.segments[0].frames(one.segments[0].end)
    assert len(list(decode(payload))) == 100 and not one.pending
    one.close()

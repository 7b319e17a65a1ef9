"""`ami decode --pcapng`: somebody's capture with the clear APDUs behind its packets, whatever was in it."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from patience import PATIENCE_S
from recorded_traffic import Recording, pushes, recordings, session
from typer.testing import CliRunner

from ami_cli.__main__ import app
from ami_cli.decode import annotated
from ami_cli.decode.captures.files import EndsEarly, Record, records
from ami_cli.decode.captures.seen import Seen
from ami_cli.decode.inputs import Input
from ami_cli.decode.keyrings import Keyrings
from ami_dlms import apdu
from ami_dlms.apdu.get import GetResponseNormal
from ami_dlms.explain import DecodingSession, Keyring, deciphered, explain, nodes
from ami_trace.pcapng import EXPORTED_PDU, Capture, CaptureError, Dissector, ExportedPdu

RECORDINGS = recordings()


def annotate(recording: Recording, tmp_path: Path, *more: str) -> tuple[Result, list[Record]]:
    given, written = tmp_path / "given.pcapng", tmp_path / "out.clear.pcapng"
    given.write_bytes(recording.capture())
    keyring = recording.keyring
    keys = {"--ek": keyring.encryption_key, "--ak": keyring.authentication_key}
    keys |= {"--title": keyring.title, "--title-peer": keyring.title_peer}
    options = [part for name, octets in keys.items() if octets is not None for part in (name, octets.hex())]
    done = CliRunner().invoke(app, ["decode", str(given), "--pcapng", str(written), *options, *more])
    return done, list(records(BytesIO(written.read_bytes())))


def clear_apdus(recording: Recording) -> list[bytes]:
    """What our own decoder makes of the ciphered APDUs, in the order of the wire."""
    known = DecodingSession(recording.keyring)
    return [
        deciphered(node).octets
        for _, octets in recording.frames
        for tree in explain(octets, known)
        for node in nodes(tree)
        if node.type == "apdu" and deciphered(node) is not node
    ]


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda one: one.name)
def test_packets_stay_as_they_were_and_every_clear_apdu_is_behind_its_own(recording: Recording, tmp_path: Path) -> None:
    done, found = annotate(recording, tmp_path)
    assert (done.exit_code, done.stderr) == (0, "")
    before = list(records(BytesIO((tmp_path / "given.pcapng").read_bytes())))
    originals = [record for record in found if record.link != EXPORTED_PDU]
    assert [(one.nanoseconds, one.link, one.octets, one.length) for one in originals] == [
        (one.nanoseconds, one.link, one.octets, one.length) for one in before
    ]
    companions = [record for record in found if record.link == EXPORTED_PDU]
    pdus = [ExportedPdu.decode(record.octets) for record in companions]
    single = [pdu.octets for pdu, one in zip(pdus, companions, strict=True) if len(one.comments) < 2]
    assert set(clear_apdus(recording)) <= {pdu.octets for pdu in pdus}
    assert set(single) <= set(clear_apdus(recording))
    for pdu, record in zip(pdus, companions, strict=True):
        assert found[pdu.original_frame - 1].packet_id == record.packet_id
        assert record.comments[0] == f"ami: clear: {pdu.information}"
        apdu.decode(pdu.octets)
    said = f"{len(before)} packets, {len(recording.frames)} frames found, {len(companions)} clear APDU"
    assert said in done.stdout.replace("\n", "")


def test_values_that_came_in_blocks_are_one_response_behind_the_last(tmp_path: Path) -> None:
    _, found = annotate(session(), tmp_path)
    together = [ExportedPdu.decode(one.octets).octets for one in found if one.comments[1:]]
    responses = [apdu.decode(octets) for octets in together]
    assert [type(one) for one in responses].count(GetResponseNormal) >= 1
    longest = max((one for one in responses if isinstance(one, GetResponseNormal)), key=lambda one: len(str(one)))
    assert len(longest.result.value) == 96


@pytest.mark.needs("tshark", "capinfos")
def test_wireshark_reads_the_same_apdus(tmp_path: Path) -> None:
    _, found = annotate(session(2), tmp_path, "--companion", "plugin")
    path = str(tmp_path / "out.clear.pcapng")
    mine = [ExportedPdu.decode(one.octets) for one in found if one.link == EXPORTED_PDU]
    fields = ("exported_pdu.prot_name", "exported_pdu.orig_fno", "exported_pdu.exported_pdu")
    command = ["tshark", "-n", "-r", path, "-Y", "exported_pdu", "-T", "fields", "-E", "separator=|"]
    rows = run(*command, *(part for name in fields for part in ("-e", name))).splitlines()
    assert rows == [f"amidlms|{pdu.original_frame}|{pdu.octets.hex()}" for pdu in mine]
    assert f"Number of packets:   {len(found)}\n" in run("capinfos", "-M", path)


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_does_not_hold_is_a_comment_of_its_packet(tmp_path: Path) -> None:
    recording = pushes()
    other = Recording("", recording.frames, Keyring(bytes(16), bytes(16)), recording.transport)
    done, found = annotate(other, tmp_path)
    assert done.exit_code == 1
    assert [one.link for one in found] == [101] * 4
    assert all("the authentication tag does not hold" in one.comments[0] for one in found[2:])


def test_only_its_owner_reads_the_file_and_the_name_says_what_it_holds(tmp_path: Path) -> None:
    annotate(pushes(), tmp_path)
    assert (tmp_path / "out.clear.pcapng").stat().st_mode & 0o777 == 0o600
    given = str(tmp_path / "given.pcapng")
    done = CliRunner().invoke(app, ["decode", given, "--pcapng", str(tmp_path / "out.pcapng")])
    assert "holds clear text: a name that ends in .clear.pcapng would say so" in done.stderr


def test_it_takes_one_capture(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["decode", "C001C100080000010000FF0200", "--pcapng", str(tmp_path / "x.clear.pcapng")]
    )
    assert (done.exit_code, os.listdir(tmp_path)) == (2, [])
    assert "--pcapng takes one capture" in done.stderr


def test_a_capture_without_frames_says_what_is_in_it(tmp_path: Path) -> None:
    recording = Recording("", ((True, b"GET / HTTP/1.1\r\n\r\n"),), Keyring())
    done, found = annotate(recording, tmp_path)
    assert done.exit_code == 1
    assert len(found) == 4
    assert "begins 47 45 54 20 2F 20 48 54, text" in done.stderr


def test_a_file_that_grows_too_large_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotated, "Capture", lambda *given, **more: Capture(*given, **more, most_octets=5000))
    with pytest.raises(CaptureError, match="more than 5,000 octets"):
        _written(session().capture(), tmp_path / "x.clear.pcapng")
    assert os.listdir(tmp_path) == []


def _written(content: bytes, path: Path) -> list[Record]:
    given = Input("given", capture=BytesIO(content), size=len(content))
    annotated.write_annotated([given], Keyrings(Keyring()), Seen(), path, Dissector.STOCK)
    return list(records(BytesIO(path.read_bytes())))


WHOLE = session().capture()


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255), st.integers(0, len(WHOLE)))
def test_a_damaged_or_cut_capture_gives_a_file_that_is_whole(
    tmp_path_factory: pytest.TempPathFactory, place: int, octet: int, end: int
) -> None:
    content = bytearray(WHOLE)
    content[place] = octet
    path = tmp_path_factory.getbasetemp() / "damaged.clear.pcapng"
    found = _written(bytes(content[:end]), path)
    originals = [one for before, one in pairwise([None, *found]) if not before or one.packet_id != before.packet_id]
    whole = list[bytes]()
    with suppress(EndsEarly):
        whole.extend(one.octets for one in records(BytesIO(content[:end])))
    assert [one.octets for one in originals] == whole
    assert path.stat().st_size % 4 == 0

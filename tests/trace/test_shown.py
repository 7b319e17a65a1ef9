"""A trace as terminal, browser and Wireshark show it: `disconnect.json` is one that a head-end gave, of two meters."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE_S
from pydantic import ValidationError

from ami_cli.decode.captures.files import records
from ami_cli.decode.captures.streams import messages
from ami_cli.trace.files import write_html, write_pcapng
from ami_cli.trace.tree import Shown
from ami_console.trace_file import trace_file
from ami_dlms.explain import is_sound, leaves
from ami_trace.captured import captured
from ami_trace.explained import explained, frame_of, is_hidden
from ami_trace.form import ApduRecord, Direction, Kind, Outcome, Trace
from ami_trace.pcapng import EXPORTED_PDU, ExportedPdu
from ami_trace.striking import redacted
from ami_trace.view import view_of

FILE = Path(__file__).with_name("disconnect.json")


@pytest.fixture(scope="module")
def trace() -> Trace:
    return Trace.model_validate_json(FILE.read_bytes())


def parts(shown: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield shown
    for one in shown.get("parts", ()):
        yield from parts(one)


# --- the form


def test_the_form_comes_back_as_it_was(trace: Trace) -> None:
    assert Trace.model_validate_json(trace.model_dump_json()) == trace
    assert trace.format == "ami-trace/1" and trace.began_at.tzinfo is not None


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("format", "ami-trace/2"),
        ("spans", []),
        ("began_at", "2026-11-30T05:08:46"),
        ("keys", "00"),
        ("message_id", "x" * 1001),
    ],
)
def test_what_is_no_trace_is_refused(where: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Trace.model_validate(json.loads(FILE.read_bytes()) | {where: value})


@pytest.mark.parametrize("octets", ["0", "zz", "00" * 70_000])
def test_octets_are_bounded_hex(octets: str) -> None:
    with pytest.raises(ValidationError):
        ApduRecord(direction=Direction.REQUEST, source=1, destination=1, octets=octets)


# --- octets


def test_each_octet_belongs_to_exactly_one_leaf(trace: Trace) -> None:
    for _, record in trace.apdus():
        trees = explained(record)
        assert trees.frame is not None and is_sound(trees.frame)
        for tree, octets in ((trees.frame, record.octets), (trees.clear, record.clear)):
            if tree is not None:
                assert b"".join(leaf.octets for leaf in leaves(tree)).hex().endswith(octets or "")
                assert not [leaf.name for leaf in leaves(tree) if leaf.name in ("rest", "unknown")]


def test_what_was_left_out_says_so_and_what_was_struck_out_is_found() -> None:
    nothing = ApduRecord(direction=Direction.REQUEST, source=1, destination=1, octets="", left_out=5)
    assert explained(nothing).text == "its octets are not here"
    value = ApduRecord(
        direction=Direction.RESPONSE, source=1, destination=1, octets="c401c1000600000000", hidden=((5, 9),)
    )
    frame = explained(value).frame
    assert frame is not None
    hidden = [leaf.name for leaf in leaves(frame) if is_hidden(leaf, value.hidden, framed=True)]
    assert hidden == ["result"]


# --- the terminal


def lines(trace: Trace, width: int = 160, **how: Any) -> list[str]:
    return ["".join(text for text, _ in line) for line in Shown(width, **how).lines(trace)]


def test_the_tree_has_every_apdu_once_and_says_how_it_ended(trace: Trace) -> None:
    shown = lines(trace)
    assert shown[0].startswith("● OK  create EndDeviceControls from CIS")
    assert sum(("→ " in line or "← " in line) and " octets at " in line for line in shown) == len(list(trace.apdus()))
    assert any("remote_disconnect" in line and "deciphered" in line for line in shown)
    assert any(line.strip().startswith("read-back") for line in shown)
    assert any("━" in line for line in shown) and not any("━" in line for line in lines(trace, 100))


def test_octets_are_shown_where_they_are_wanted(trace: Trace) -> None:
    shown = lines(trace, octets=True)
    assert any("invoke_id_and_priority" in line for line in shown)
    assert len(shown) > 3 * len(lines(trace))
    assert any("deciphered by the head-end" in line for line in shown) and not any("--ek" in line for line in shown)
    assert sum(line.strip() == "deciphered" for line in shown) == sum(one.clear is not None for _, one in trace.apdus())


def test_many_meters_that_ended_well_are_folded_unless_all_are_wanted(trace: Trace) -> None:
    copies = []
    for number in range(10):
        shift = 1000 * (number + 1)
        copies += [
            span.model_copy(
                update={"id": span.id + shift, "parent": (span.parent or 0) + (shift if span.parent != 1 else 0)}
            )
            for span in trace.spans
            if span.meter == "M1001"
        ]
    many = trace.model_copy(update={"spans": (*trace.spans, *copies)})
    assert sum("folded: --all" in line for line in lines(many)) == 12 - 3
    assert not any("folded: --all" in line for line in lines(many, everything=True))


def test_a_failure_is_unfolded_and_has_its_shape(trace: Trace) -> None:
    spans = [
        span.model_copy(update={"outcome": Outcome.FAILED, "text": "it went wrong"})
        if span.kind is Kind.VERDICT
        else span
        for span in trace.spans
    ]
    shown = lines(trace.model_copy(update={"spans": tuple(spans), "outcome": Outcome.FAILED}))
    assert shown[0].startswith("▲ FAILED")
    assert sum(line.startswith("▲") and "it went wrong" in line for line in shown) == 2


# --- the browser


def test_the_view_has_every_octet_once_and_no_tree_repeats_them(trace: Trace) -> None:
    view = view_of(trace)
    assert len(view["spans"]) == len(trace.spans) and view["apdus"] == len(list(trace.apdus()))
    assert json.loads(json.dumps(view)) == view
    for span in view["spans"]:
        if "apdu" not in span:
            continue
        for octets, tree in ((span["apdu"]["frame"], "tree"), (span["apdu"].get("clear"), "clear_tree")):
            if octets is None:
                continue
            ends = [(one["offset"], one["octets"]) for one in parts(span["apdu"][tree]) if not one.get("parts")]
            assert [at for at, size in ends for at in range(at, at + size)] == list(range(len(octets) // 2))
            assert not [one for one in parts(span["apdu"][tree]) if "hex" in one]


def test_an_answer_lasts_from_what_was_before_it(trace: Trace) -> None:
    view = view_of(trace)
    answers = [one for one in view["spans"] if one.get("apdu", {}).get("direction") == "response"]
    assert answers and all(one["t1"] > one["t0"] for one in answers)


@pytest.mark.parametrize(("write", "name"), [(write_html, "one.html"), (write_pcapng, "one.clear.pcapng")])
def test_a_file_with_clear_text_is_for_its_owner_alone(
    trace: Trace, tmp_path: Path, write: Callable[[Trace, Path], str], name: str
) -> None:
    clear, struck = tmp_path / name, tmp_path / f"struck-{name}"
    clear.write_text("what was there before, for everybody")
    clear.chmod(0o644)
    assert "it holds clear text" in write(trace, clear) and "clear text" not in write(redacted(trace), struck)
    assert clear.stat().st_mode & 0o777 == 0o600
    struck_before = tmp_path / "as any file"
    struck_before.touch()
    assert struck.stat().st_mode == struck_before.stat().st_mode


def test_the_file_loads_nothing_and_runs_only_its_own_script(trace: Trace) -> None:
    page = trace_file(view_of(trace))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None and policy.group(1).startswith("default-src 'none'; ")
    script = re.search(r'<script type="module">(.*)</script>\n</body>', page, re.DOTALL)
    style = re.search(r"<style>(.*)</style>", page, re.DOTALL)
    assert script is not None and style is not None
    for text in (script.group(1), style.group(1)):
        digest = base64.b64encode(sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy.group(1)
    assert re.findall(r"""(?:src|href|action)=["']""", page.replace(script.group(1), "")) == []
    assert [url for url in re.findall(r"url\(([^)]{0,40})", style.group(1)) if not url.startswith("data:")] == []


def test_nothing_in_a_trace_ends_the_element_that_it_is_in(trace: Trace) -> None:
    evil = "</script><script>alert(1)</script>"
    page = trace_file(view_of(trace.model_copy(update={"message_id": evil, "notes": (evil,)})))
    assert evil not in page and page.count("</script>") == 2
    held = re.search(r'id="trace-view">(.*?)</script>', page, re.DOTALL)
    assert held is not None and json.loads(held.group(1))["message_id"] == evil


# --- Wireshark


def by_end(octets: bytes) -> list[str]:
    """Wrapper PDUs that our own reader finds in a capture, in order."""
    return [message.octets.hex() for message in messages(BytesIO(octets)) if message.octets[:2] == b"\0\1"]


def test_the_capture_read_again_has_the_same_apdus(trace: Trace) -> None:
    octets = b"".join(captured(trace, "ami test"))
    wanted = sorted(frame_of(record).hex() for _, record in trace.apdus())
    assert sorted(by_end(octets)) == wanted
    found = list(records(BytesIO(octets)))
    clear = [ExportedPdu.decode(one.octets).octets.hex() for one in found if one.link == EXPORTED_PDU]
    assert sorted(clear) == sorted(record.clear for _, record in trace.apdus() if record.clear is not None)
    said = f"msg={trace.message_id}"
    assert all(any(said in comment for comment in one.comments) for one in found), "one filter finds all of it"


@pytest.mark.needs("tshark", "capinfos")
def test_wireshark_reads_as_many_and_finds_no_fault(trace: Trace, tmp_path: Path) -> None:
    path = tmp_path / "trace.clear.pcapng"
    path.write_bytes(b"".join(captured(trace, "ami test")))
    done = subprocess.run(["capinfos", str(path)], capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert done.stderr == "" and "Packet size limit" in done.stdout
    told = [
        "-Y",
        f'frame.comment contains "msg={trace.message_id}"',
        "-T",
        "fields",
        "-e",
        "data.data",
        "-e",
        "tcp.payload",
    ]
    command = ["tshark", "-r", str(path), *told]
    read = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True).stdout
    for _, record in trace.apdus():
        assert frame_of(record).hex() in read.replace(":", "")


@pytest.mark.parametrize(
    ("peer", "transport"),
    [
        ("/dev/ttyS0", "serial"),
        ("[::1]:4059", "wrapper"),
        ("10.0.0.5:4059", "udp"),
        ("gone:99999", "tcp"),
        (None, None),
    ],
)
def test_a_trace_of_every_kind_of_peer_is_written(trace: Trace, peer: str | None, transport: str | None) -> None:
    spans = [
        span.model_copy(update={"peer": peer, "transport": transport}) if span.kind is Kind.CONNECTION else span
        for span in trace.spans
    ]
    octets = b"".join(captured(trace.model_copy(update={"spans": tuple(spans)}), "ami test"))
    assert sorted(by_end(octets)) == sorted(frame_of(record).hex() for _, record in trace.apdus())
    assert (b"carried=serial" in octets) == (transport == "serial")


def test_a_redacted_trace_gives_what_is_left_of_it(trace: Trace) -> None:
    octets = b"".join(captured(redacted(trace), "ami test"))
    assert 0 < len(by_end(octets)) < len(list(trace.apdus()))
    for _, record in trace.apdus():
        if record.octets.startswith("db"):
            assert bytes.fromhex(record.octets) not in octets

"""The plug-in in Wireshark's own tshark beside our own decoder, field by field; and what it says about traffic that is not well."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import hypothesis
import pytest
from any_apdu import APDUS
from hypothesis import settings
from hypothesis import strategies as st
from in_memory import SERVER_TITLE
from plugin_bench import EXPERTS, datagrams, differences, key_line, said, shown, together, tshark
from recorded_traffic import AT, VECTORS, Recording, recordings, session

from ami_dlms import apdu
from ami_dlms.apdu.fields import AttributeItem
from ami_dlms.apdu.get import GetRequestWithList
from ami_dlms.association import Ciphering
from ami_dlms.cosem.classes import class_name, interface_classes
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.obis_names import describe
from ami_dlms.explain import DecodingSession, Keyring, explain, is_sound
from ami_dlms.framing.wrapper import WrapperPdu, encode
from ami_dlms.obis import Obis
from ami_trace.pcapng import Capture, Companion, Dissector, Endpoint, Message, Transport

RECORDINGS = recordings()
CLOCK = Obis.parse("0-0:1.0.0*255")
SWOLLEN = "C401C1001301FFFF01FFFF01FFFF000100"
"""A compact array of elements that are arrays of arrays of arrays of nothing."""
GET = "C001C100080000010000FF0200"
pytestmark = [pytest.mark.needs("tshark-lua"), pytest.mark.ci]


class TestBesideOurDecoder:
    def test_recorded_traffic_field_by_field(self, tmp_path: Path) -> None:
        """Suites 0, 1 and 2, every protection, lists, blocks of every kind, pushes over UDP, HDLC of foreign clients."""
        every = together(RECORDINGS)
        capture, keys = tmp_path / "all.pcapng", tmp_path / "keys"
        capture.write_bytes(every.content)
        keys.write_text("".join(every.keys))
        found = shown(capture, keys=keys)
        assert differences(every.expected, found) == []
        assert {str(suite) for suite in range(3)} == {
            one for each in found.values() for one in each.get("sec.suite", [])
        }
        assert sum(len(each.get("clear", [])) for each in found.values()) > 300

    @pytest.mark.ci
    def test_vectors_field_by_field(self, tmp_path: Path) -> None:
        octets = [bytes.fromhex(row["hex"]) for row in json.loads((VECTORS / "apdus.json").read_text())]
        self._compare([one for one in octets if all(map(is_sound, explain(one, DecodingSession())))], tmp_path)

    @hypothesis.given(st.lists(st.one_of(*APDUS.values()), min_size=60, max_size=60))
    @settings(max_examples=1)
    def test_any_apdu_field_by_field(
        self, tmp_path_factory: pytest.TempPathFactory, messages: Sequence[object]
    ) -> None:
        encoded = [apdu.encode(message) for message in messages]
        self._compare(encoded, tmp_path_factory.mktemp("any"))

    def _compare(self, apdus: Sequence[bytes], folder: Path) -> None:
        capture = folder / "apdus.pcapng"
        capture.write_bytes(datagrams(apdus))
        session = DecodingSession()
        expected = {
            number: said(explain(encode(WrapperPdu(1, 1, octets)), session)) for number, octets in enumerate(apdus, 1)
        }
        assert differences(expected, shown(capture)) == []

    @pytest.mark.ci
    def test_names_of_objects_classes_and_attributes(self, tmp_path: Path) -> None:
        items = [
            AttributeDescriptor(class_id, Obis(bytes((medium, channel, group, number, rate, last))), attribute)
            for class_id, attribute in ((1, 2), (3, 3), (7, 0), (9999, 2))
            for medium, channel, last in ((0, 0, 255), (0, 2, 255), (1, 0, 255), (1, 1, 101), (7, 3, 255), (99, 0, 255))
            for group, number, rate in (
                (1, 8, 0),
                (1, 0, 0),
                (21, 7, 3),
                (41, 7, 0),
                (81, 7, 0),
                (13, 7, 1),
                (42, 0, 0),
                (96, 1, 5),
            )
        ]
        items += [
            AttributeDescriptor(one.class_id, CLOCK, attribute.number)
            for one in interface_classes().values()
            for attribute in one.attributes
        ]
        parts = [items[place : place + 100] for place in range(0, len(items), 100)]
        lists = [apdu.encode(GetRequestWithList(0xC1, tuple(map(AttributeItem, part)))) for part in parts]
        capture = tmp_path / "names.pcapng"
        capture.write_bytes(datagrams(lists))
        found = shown(capture, ("obis_name", "class_name", "attribute_name"))
        for frame, part in enumerate(parts, 1):
            assert found[frame]["obis_name"] == sorted(filter(None, (describe(one.instance_id) for one in part)))
            assert found[frame]["class_name"] == sorted(class_name(one.class_id) for one in part)
            assert found[frame]["attribute_name"] == sorted(map(attribute, part))


def attribute(one: AttributeDescriptor) -> str:
    """As the plug-in has it: a number where there is no name."""
    known = interface_classes().get(one.class_id)
    names = {each.number: each.name for each in known.attributes} if known else {}
    fallback = "all attributes" if one.attribute_id == 0 else f"number {one.attribute_id}"
    return names.get(one.attribute_id, fallback)


def without(recording: Recording, *numbers: int) -> Recording:
    return replace(recording, frames=tuple(one for at, one in enumerate(recording.frames) if at not in numbers))


def with_frame(recording: Recording, number: int, octets: bytes) -> Recording:
    frames = list(recording.frames)
    frames[number] = (frames[number][0], octets)
    return replace(recording, frames=tuple(frames))


def altered(octets: bytes) -> bytes:
    return octets[:-1] + bytes((octets[-1] ^ 1,))


HDLC_SESSION = next(one for one in RECORDINGS if one.name == "HDLC, gurux_lls")


def of_meter(octets: bytes) -> Recording:
    """A datagram with one APDU."""
    return Recording("", ((False, encode(WrapperPdu(1, 1, octets))),), Keyring(), Transport.UDP)


def last_octet_changed(recording: Recording, number: int) -> Recording:
    return with_frame(recording, number, altered(recording.frames[number][1]))


TROUBLES: dict[str, tuple[Callable[[Recording], Recording], dict[str, list[int]]]] = {
    "nothing": (lambda clean: clean, {"refused": [9]}),
    "a tag that was changed": (lambda clean: last_octet_changed(clean, 5), {"tag_wrong": [5], "refused": [9]}),
    "an APDU that came before": (
        lambda clean: replace(clean, frames=(*clean.frames[:8], clean.frames[6])),
        {"counter_not_rising": [8]},
    ),
    "a request that is not there": (lambda clean: without(clean, 6, *range(8, 99)), {"unexpected_invoke_id": [6]}),
    "a block that is not there": (
        lambda clean: without(clean, 12, 13, *range(16, 99)),
        {"block_gap": [13], "refused": [9]},
    ),
    "keys that are another's": (
        lambda clean: replace(clean, frames=clean.frames[4:6], keyring=Keyring()),
        {"tag_wrong": [1], "not_deciphered": [0]},
    ),
    "an APDU that ends too soon": (lambda _: of_meter(bytes.fromhex("C001C1000800")), {"malformed": [0]}),
    "an exception-response": (lambda _: of_meter(bytes.fromhex("D80203")), {"refused": [0]}),
    "a frame of HDLC whose check is wrong": (
        lambda _: with_frame(HDLC_SESSION, 0, altered(HDLC_SESSION.frames[0][1][:-1]) + b"\x7e"),
        {"hdlc.check_wrong": [0]},
    ),
}


@pytest.fixture(scope="module")
def troubles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[int]]]:
    """Of each of TROUBLES the expert infos, with the numbers of the messages that have them: one run of tshark."""
    folder = tmp_path_factory.mktemp("troubles")
    made = [make(session(meter=number)) for number, (make, _) in enumerate(TROUBLES.values(), 1)]
    every = together(made)
    (folder / "all.pcapng").write_bytes(every.content)
    (folder / "keys").write_text("".join(every.keys))
    found = shown(folder / "all.pcapng", EXPERTS, keys=folder / "keys")
    return {
        name: {
            expert: at
            for expert in EXPERTS
            if (at := [number for number, frame in enumerate(frames) if expert in found.get(frame, {})])
        }
        for name, frames in zip(TROUBLES, every.frames, strict=True)
    }


@pytest.mark.parametrize("name", TROUBLES)
def test_what_is_not_well_is_an_expert_info(name: str, troubles: dict[str, dict[str, list[int]]]) -> None:
    assert troubles[name] == TROUBLES[name][1]


def given(tmp_path: Path, recording: Recording, *, segmented: bool = False) -> tuple[Path, Path]:
    """A capture, and the key file that goes with it."""
    capture, keys = tmp_path / "given.pcapng", tmp_path / "keys"
    capture.write_bytes(recording.capture(together=segmented))
    keys.write_text(key_line(recording.keyring))
    return capture, keys


def test_a_response_leads_to_its_request_and_back(tmp_path: Path) -> None:
    recording = session()
    capture, keys = given(tmp_path, recording)
    fields = ("request_in", "response_in", "response_time")
    options = [part for name in fields for part in ("-e", f"amidlms.{name}")]
    rows = tshark(capture, "-2", "-Y", "amidlms", "-T", "fields", "-E", "separator=|", *options, keys=keys).splitlines()
    first = 4  # behind the handshake
    for number, (row, (from_client, _)) in enumerate(zip(rows, recording.frames, strict=True), first):
        expected = f"|{number + 1}|" if from_client else f"{number - 1}||0.010000000"
        assert row == expected


@pytest.mark.ci
def test_pdus_are_found_however_they_are_cut_into_segments(tmp_path: Path) -> None:
    recording = session(1)
    capture, keys = given(tmp_path, recording)
    whole = [found["service"] for found in shown(capture, ("service",), keys=keys).values()]
    capture, keys = given(tmp_path, recording, segmented=True)
    assert [found["service"] for found in shown(capture, ("service",), keys=keys).values()] == whole
    joined = Recording("", tuple(joined_by_sender(recording)), recording.keyring)
    capture, keys = given(tmp_path, joined)
    found = [one for each in shown(capture, ("service",), keys=keys).values() for one in each["service"]]
    assert sorted(found) == sorted(one for each in whole for one in each)


def joined_by_sender(recording: Recording) -> Iterator[tuple[bool, bytes]]:
    """Two requests in a row in one segment, and both answers in another."""
    frames = recording.frames
    yield from frames[:4]
    yield True, frames[4][1] + frames[6][1]
    yield False, frames[5][1] + frames[7][1]
    yield from frames[8:]


@pytest.mark.ci
def test_other_ports_are_taken_if_they_are_to_be(tmp_path: Path) -> None:
    capture, path = Capture("test", clear_text=False), tmp_path / "ports.pcapng"
    ends = Endpoint("10.0.0.1", 40000), Endpoint("10.0.0.5", 4061)
    content = capture.begin()
    for transport in Transport:
        content += capture.message(
            Message(AT, *ends, encode(WrapperPdu(1, 1, bytes.fromhex(GET))), transport=transport)
        )
    path.write_bytes(content)
    assert [found["class_id"] for found in shown(path).values()] == [["8"], ["8"]]
    assert tshark(path, "-o", "amidlms.anywhere:FALSE", "-Y", "amidlms") == ""
    elsewhere = tshark(
        path, "-o", "amidlms.anywhere:FALSE", "-o", "amidlms.ports:4060-4070", "-Y", "amidlms.class_id == 8"
    )
    assert len(elsewhere.splitlines()) == 2


@pytest.mark.parametrize("dissector", Dissector)
def test_companions_are_read_without_keys(dissector: Dissector, tmp_path: Path) -> None:
    """What `ami decode --pcapng` and traces write; before 4.6 those for Wireshark's own dissector as well, which it has not yet."""
    capture, path = Capture("test", dissector=dissector), tmp_path / "one.clear.pcapng"
    ends = Endpoint("10.0.0.1", 40000), Endpoint("10.0.0.5", 4059)
    opaque = encode(WrapperPdu(1, 1, bytes.fromhex("DB08") + SERVER_TITLE + bytes.fromhex("1230000000FF") + bytes(13)))
    path.write_bytes(
        capture.begin() + capture.message(Message(AT, *ends, opaque), [Companion(bytes.fromhex(GET), "get-request")])
    )
    assert shown(path, ("service", "obis")) == {
        1: {"service": ["general-glo-ciphering"]},
        2: {"service": ["get-request-normal"], "obis": ["0-0:1.0.0*255"]},
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "the key file can't be read"),
        ("title=4D4D4D0000BC614E ek=0011\n", "key file, line 1: ek has the wrong length or is no hex"),
        ("# a remark\n\ntitle=4D4D4D0000BC614E ak=" + 32 * "0" + "\n", "key file, line 3: there is no ek"),
        ("title=* ek=" + 32 * "0" + " key=1\n", "key file, line 1: what is key?"),
        ("", "no keys: name a key file in the preferences of amidlms"),
    ],
)
@pytest.mark.ci
def test_what_is_wrong_with_a_key_file_is_said_where_a_key_was_wanted(
    content: str | None, said: str, tmp_path: Path
) -> None:
    capture, keys = given(tmp_path, replace(session(), frames=session().frames[4:6]))
    keys.unlink() if content is None else keys.write_text(content)
    told = tshark(capture, "-Y", "amidlms.not_deciphered", "-T", "fields", "-e", "_ws.expert.message", keys=keys)
    assert all(f"Not deciphered: {said}" in line for line in told.splitlines())
    assert len(told.splitlines()) == 2
    assert "0011" not in told


@pytest.mark.ci
def test_a_session_whose_opening_is_not_in_the_capture_opens_with_the_clients_title(tmp_path: Path) -> None:
    recording = session(ciphering=Ciphering.SERVICE_SPECIFIC)
    capture, keys = given(tmp_path, replace(recording, frames=recording.frames[4:10]))
    assert [found.get("sec.ok") for found in shown(capture, keys=keys).values()] == [["1"]] * 6


@hypothesis.given(st.lists(st.binary(min_size=1, max_size=60), min_size=50, max_size=50), st.integers(8, 60))
@settings(max_examples=1)
def test_anything_may_come(tmp_path_factory: pytest.TempPathFactory, noise: Sequence[bytes], at: int) -> None:
    """No error of Lua, and no endless loop: octets of chance, and good messages with one octet changed, over TCP and UDP."""
    recorded = [octets for recording in RECORDINGS for _, octets in recording.frames]
    recorded.append(encode(WrapperPdu(1, 1, bytes.fromhex(SWOLLEN))))
    changed = [octets[: at % len(octets)] + b"\xff" + octets[at % len(octets) + 1 :] for octets in recorded]
    folder = tmp_path_factory.mktemp("anything")
    (folder / "keys").write_text(key_line(RECORDINGS[0].keyring))
    for transport in Transport:
        frames = tuple((number % 2 == 0, octets) for number, octets in enumerate((*changed, recorded[-1], *noise)))
        one = Recording("", frames, RECORDINGS[0].keyring, transport)
        (folder / "anything.pcapng").write_bytes(one.capture())
        assert "amidlms" in tshark(folder / "anything.pcapng", "-V", "-Y", "amidlms", keys=folder / "keys").lower()

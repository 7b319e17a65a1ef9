"""The parts that need no meter: counters that are never used twice, values given by hand, rights, what two readings differ in."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path

import pytest
from rich.console import Console

from ami_cli.meter import scan_view, value_arguments
from ami_cli.meter.commands import Written
from ami_cli.meter.counters import HALF, LOW, MAX_JUMP, RESERVED_AT_ONCE, CounterFile, default_file
from ami_cli.meter.errors import ExitCode, MeterError
from ami_cli.meter.objects import AttributeRight, MethodRight, find, from_class, parse_object_list
from ami_cli.meter.second_opinion import differences
from ami_cli.meter.values import iso, json_of, plain_text, text_of
from ami_dlms import data
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataTag
from ami_dlms.obis import Obis
from ami_dlms.security import COUNTER_END

# --- counters


@pytest.fixture
def file(tmp_path: Path) -> CounterFile:
    return CounterFile(tmp_path / "deep" / "counters.json")


def test_no_value_is_handed_out_twice(file: CounterFile) -> None:
    first, second = file.reserve("key", 10), file.reserve("key", 10)
    assert (first.next_value, second.next_value) == (10, first.limit)
    assert file.reserve("other", 0).next_value == 0


def test_what_was_not_used_comes_back_unless_somebody_is_behind(file: CounterFile) -> None:
    counter = file.reserve("key", 10)
    counter.take()
    file.give_back("key", counter)
    again = file.reserve("key", 0)
    assert again.next_value == 11
    file.reserve("key", 0)
    file.give_back("key", again)
    assert file.reserve("key", 0).next_value == 11 + 2 * RESERVED_AT_ONCE


def test_a_crash_skips_and_never_repeats(file: CounterFile) -> None:
    file.reserve("key", 0)
    assert file.reserve("key", 5).next_value == RESERVED_AT_ONCE


def test_more_is_reserved_when_little_is_left(file: CounterFile) -> None:
    counter = file.reserve("key", 0, count=LOW)
    counter.take()
    file.top_up("key", counter)
    assert counter.limit == LOW + RESERVED_AT_ONCE
    small = file.reserve("key", 0, count=LOW)
    file.reserve("key", 0)
    small.take()
    with pytest.raises(MeterError, match="another command"):
        file.top_up("key", small)


def test_a_given_value_must_be_new(file: CounterFile) -> None:
    counter = file.reserve("key", 100, exactly=True)
    counter.take()
    file.give_back("key", counter)
    with pytest.raises(MeterError, match="values below 101 have been used") as caught:
        file.reserve("key", 100, exactly=True)
    assert caught.value.code is ExitCode.USAGE
    assert file.reserve("key", 101, exactly=True).next_value == 101


def test_what_begins_with_our_own_clock_is_not_doubted_and_never_comes_twice(file: CounterFile) -> None:
    counter = file.reserve("key/replay", HALF + 1, ours=True)
    counter.take()
    file.give_back("key/replay", counter)
    assert file.reserve("key/replay", HALF + 1, ours=True).next_value == HALF + 2, "a clock that stands or goes back"
    with pytest.raises(MeterError, match="have been used") as caught:
        file.reserve("key/replay", HALF + 1, exactly=True, ours=True)
    assert caught.value.where == "--counter"


def test_the_end_of_all_counters(file: CounterFile) -> None:
    with pytest.raises(MeterError, match="at its end"):
        file.reserve("key", COUNTER_END - 1, exactly=True)
    last = file.reserve("key", COUNTER_END - LOW, exactly=True)
    assert last.limit == COUNTER_END
    file.top_up("key", last)


@pytest.mark.parametrize(("known", "highest"), [(False, HALF), (True, 10 + RESERVED_AT_ONCE + MAX_JUMP)])
def test_what_a_meter_claims_is_believed_within_bounds(file: CounterFile, known: bool, highest: int) -> None:
    """The meter would take what we send, and its key would be spent for good."""
    if known:
        file.reserve("key", 10)
    for claimed in (COUNTER_END - 300, highest + 1):
        with pytest.raises(MeterError, match="is believed") as caught:
            file.reserve("key", claimed)
        assert f"--invocation-counter {claimed}" in caught.value.hint
    assert file.reserve("key", highest).next_value == highest


def test_the_title_is_drawn_once_and_the_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "counters.json"
    title = CounterFile(path).own_title(bytes(range(8)))
    assert title == b"AMI\0\1\2\3\4" and CounterFile(path).own_title(bytes(8)) == title
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 2, "next": {}}', '{"format": 1, "next": 7}'])
def test_a_file_that_is_not_ours_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "counters.json"
    path.write_text(content)
    with pytest.raises(MeterError, match=r"counters\.json"):
        CounterFile(path).reserve("key", 0)
    assert path.read_text() == content


def test_a_place_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MeterError, match="can't be used"):
        CounterFile(tmp_path / "file" / "counters.json").reserve("key", 0)


def test_where_it_lies() -> None:
    assert default_file({"XDG_STATE_HOME": "/s"}) == Path("/s/ami/invocation-counters.json")
    assert default_file({}).parts[-4:] == (".local", "state", "ami", "invocation-counters.json")


# --- values


@pytest.mark.parametrize(
    ("text", "type_name", "wanted"),
    [
        ("0x10", "unsigned", data.unsigned(16)),
        ("-3", "integer", data.integer(-3)),
        ("70000", "double-long-unsigned", data.double_long_unsigned(70000)),
        ("true", "boolean", data.boolean(True)),
        ("OFF", "boolean", data.boolean(False)),
        ("0a0B", "octet-string", data.octet_string(b"\x0a\x0b")),
        ("text:0a", "octet-string", data.octet_string(b"0a")),
        ("0110", "bit-string", data.bit_string((False, True, True, False))),
        ("hello", "visible-string", data.visible_string("hello")),
        ("1.5", "float32", data.float32(1.5)),
        ("", "null-data", data.null()),
        ("0201110A", "a-xdr", data.structure(data.unsigned(10))),
        ("3", "enum", data.enum(3)),
        ("text:HELLO", "visible-string", data.visible_string("HELLO")),
        ("text:HELLO", "utf8-string", data.utf8_string("HELLO")),
        ("text:text:HELLO", "visible-string", data.visible_string("text:HELLO")),
        ("http://x", "visible-string", data.visible_string("http://x")),
        ("hex:48454C4C4F", "visible-string", data.visible_string("HELLO")),
        ("hex:0a0b", "octet-string", data.octet_string(b"\x0a\x0b")),
        ("hex:0201110A", "a-xdr", data.structure(data.unsigned(10))),
        ("env:WORD", "visible-string", data.visible_string("HELLO")),
        ("env:WORD", "utf8-string", data.utf8_string("HELLO")),
        ("env:NUMBER", "long-unsigned", data.long_unsigned(4660)),
        ("env:PREFIXED", "octet-string", data.octet_string(b"HELLO")),
        ("file:word", "visible-string", data.visible_string("HELLO")),
        ("file:word", "utf8-string", data.utf8_string("HELLO")),
    ],
)
def test_values_by_hand(
    text: str, type_name: str, wanted: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORD", "HELLO")
    monkeypatch.setenv("NUMBER", "0x1234")
    monkeypatch.setenv("PREFIXED", "text:HELLO")
    monkeypatch.chdir(tmp_path)
    Path("word").write_text("HELLO\n")
    assert value_arguments.parse(text, type_name) == wanted


@pytest.mark.parametrize(
    ("text", "type_name", "said"),
    [
        ("time:2026-01-31T12:00:00", "visible-string", "time: goes with octet-string and date-time"),
        ("text:5", "unsigned", "text: goes with octet-string, visible-string"),
        ("hex:05", "unsigned", "hex: goes with"),
        ("300", "unsigned", "a whole number from 0 to 255"),
        ("env:NO_SUCH", "visible-string", "has no variable NO_SUCH"),
        ("file:no/such", "utf8-string", "can't be read"),
    ],
)
def test_a_prefix_is_a_prefix_everywhere(text: str, type_name: str, said: str) -> None:
    with pytest.raises(MeterError) as caught:
        value_arguments.parse(text, type_name)
    assert said in str(caught.value) and caught.value.code is ExitCode.USAGE


def test_a_new_password_of_digits_is_not_silently_hex() -> None:
    with pytest.raises(MeterError, match="digits alone"):
        value_arguments.parse("12345678", "octet-string", secret=True)
    assert value_arguments.parse("text:12345678", "octet-string", secret=True) == data.octet_string(b"12345678")
    assert value_arguments.parse("12345678", "octet-string") == data.octet_string(b"\x12\x34\x56\x78")


def test_times_by_hand() -> None:
    given = value_arguments.parse("time:2026-01-31T12:00:00+01:00", "octet-string")
    assert given.value.hex() == "07ea011f060c000000ffc400"
    local = value_arguments.moment("2026-01-31T12:00:00")
    assert local.deviation_minutes is None and local.clock_status is None and local.hour == 12


@pytest.mark.parametrize(
    ("text", "type_name"),
    [
        ("256", "unsigned"),
        ("x", "long"),
        ("maybe", "boolean"),
        ("012", "bit-string"),
        ("abc", "octet-string"),
        ("time:soon", "octet-string"),
        ("0201", "a-xdr"),
        ("1", "number"),
        ("x", "float64"),
        ("1", "array"),
    ],
)
def test_values_that_are_none(text: str, type_name: str) -> None:
    with pytest.raises(MeterError) as caught:
        value_arguments.parse(text, type_name)
    assert caught.value.code is ExitCode.USAGE


def test_texts_for_people() -> None:
    clock = AttributeDescriptor(8, Obis.parse("0-0:1.0.0"), 2)
    assert text_of(clock, data.octet_string(CosemDateTime(2026, 1, 2, 5, 3, 4, 5, 0, -90, 0).encode())) == (
        "2026-01-02T03:04:05+01:30"
    )
    assert text_of(clock, data.octet_string(b"\x01")) == "01"
    assert iso(CosemDateTime(hour=7, deviation_minutes=60)) == "????-??-??T07:??:??-01:00"
    profile = AttributeDescriptor(7, Obis.parse("1-0:99.1.0"), 6)
    assert text_of(profile, CaptureObject(3, Obis.parse("1-0:1.8.0"), 2, 1).encode()) == "1-0:1.8.0*255 value[1]"
    assert text_of(profile, data.null()) == "null"
    assert text_of(AttributeDescriptor(3, profile.instance_id, 3), data.unsigned(1)) == "1"
    assert text_of(AttributeDescriptor(15, profile.instance_id, 4), data.octet_string(b"x")) == "x"
    assert plain_text(data.bit_string((True, False))) == "10"
    assert plain_text(data.structure(data.null(), data.array(data.octet_string(b"\xff\0")))) == "(null, [FF00])"


def test_octets_say_what_they_most_likely_are() -> None:
    moment = bytes.fromhex("07EA0B150603310219000000")
    row = data.array(data.structure(data.octet_string(moment), data.octet_string(bytes.fromhex("0100010800FF"))))
    assert plain_text(row) == "[(2026-11-21T03:49:02+00:00, 1-0:1.8.0*255)]"
    for text in ("123456", "123456789012", "AMI001"):
        assert plain_text(data.octet_string(text.encode())) == text
    assert plain_text(data.octet_string(bytes(12))) == "00" * 12


def test_json_keeps_everything_that_json_can() -> None:
    value = data.structure(data.enum(1), data.octet_string(b"\xff"), data.bit_string((True,)), data.float64(0.5))
    time = data.date_time(CosemDateTime(2026, 1, 1))
    document = json_of(data.array(value, data.null(), time, data.boolean(True)))
    assert json.loads(json.dumps(document)) == [[1, "FF", "1", 0.5], None, str(time.value), True]


# --- rights


@pytest.mark.parametrize(
    ("mode", "in_bits", "text", "readable", "writable"),
    [
        (0, False, "–", False, False),
        (3, False, "rw", True, True),
        (4, False, "r, authenticated", True, False),
        (5, False, "w, authenticated", False, True),
        (6, False, "rw, authenticated", True, True),
        (0b111, True, "rw, authenticated request", True, True),
        (0b10001001, True, "r, encrypted request, signed response", True, False),
    ],
)
def test_rights_in_both_codings(mode: int, in_bits: bool, text: str, readable: bool, writable: bool) -> None:
    right = AttributeRight(mode, in_bits)
    assert (str(right), right.readable, right.writable) == (text, readable, writable)


def test_rights_to_methods() -> None:
    assert [str(MethodRight(mode)) for mode in (0, 1, 2)] == ["–", "call", "call, authenticated"]
    assert str(MethodRight(0b100001, in_bits=True)) == "call, authenticated response"


def object_list(version: int) -> Data:
    row = data.structure(
        data.long_unsigned(15),
        data.unsigned(version),
        data.octet_string(bytes((0, 0, 40, 0, 0, 255))),
        data.structure(
            data.array(data.structure(data.integer(2), data.enum(5), data.array(data.integer(1)))),
            data.array(data.structure(data.integer(1), data.boolean(True))),
        ),
    )
    return data.array(row, row)


def test_object_lists() -> None:
    [old, twin] = parse_object_list(object_list(1)).objects
    assert not old.attributes[2].readable and old.attributes[2].selectors == (1,) and old.methods[1].callable
    assert parse_object_list(object_list(3)).objects[0].attributes[2].readable
    with pytest.raises(MeterError, match="have this name"):
        find([old, twin], old.obis, None)
    assert find([old], old.obis, 15) is old
    assert from_class(old.obis, 9999).version == 0


@pytest.mark.parametrize(
    "wrong",
    [
        data.null(),
        data.array(data.null()),
        data.array(data.structure(data.unsigned(1))),
        data.array(data.structure(data.null(), data.unsigned(1), data.octet_string(bytes(6)), data.null())),
        data.array(data.structure(data.long_unsigned(1), data.unsigned(1), data.octet_string(b""), data.null())),
    ],
)
def test_what_is_no_object_list(wrong: Data) -> None:
    with pytest.raises(MeterError, match="the object list"):
        parse_object_list(wrong)


# --- two readings


def test_where_two_values_differ() -> None:
    one = data.array(data.structure(data.unsigned(1), data.unsigned(2)), data.unsigned(3))
    other = data.array(data.structure(data.unsigned(1), data.long(2)), data.unsigned(4))
    assert list(differences(one, other)) == [("[1][2]", "unsigned 2", "long 2"), ("[2]", "unsigned 3", "unsigned 4")]
    assert list(differences(one, one)) == []
    assert next(differences(data.array(), data.array(data.null())))[0] == ""
    assert Data(DataTag.UNSIGNED, 1) == data.unsigned(1)


def test_a_password_that_was_written_is_not_repeated() -> None:
    secret = AttributeDescriptor(15, Obis.parse("0-0:40.0.0"), 7)
    written = Written(secret, data.octet_string(b"87654321"), "can't be read: read-write-denied", "the same")
    assert "87654321" not in str(written.lines()) + str(written.document())
    shown = Written(AttributeDescriptor(1, secret.instance_id, 2), data.octet_string(b"87654321"), "", "")
    assert "87654321" in shown.lines()[2]


def test_the_bar_of_a_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(scan_view, "Console", lambda stderr: Console(file=screen, force_terminal=True, width=100))
    with scan_view.progress() as report:
        report("object list", 0, 0)
        report("1-0:1.8.0*255", 30, 70)
    assert "1-0:1.8.0*255" in screen.getvalue() and "30/70" in screen.getvalue()

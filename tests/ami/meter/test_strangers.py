"""Meters of strangers: what each does that ours never do, and what `ami meter` makes of it: exit code and decisive words.

The meters are `fake_meter.FakeMeter`, which shares no code with the project.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import fake_meter as fake
import pytest
from fake_meter import FakeMeter, Quirks, Value, obis
from meter_bench import Ami, Fleet, Result
from plain_objects import CLOCK, DAY, ENERGY, ENERGY_COLUMN, LIST, OBJECT_LIST, PROFILE, TIME_COLUMN, objects

READ = ("read", "1-0:1.8.0", 2, "--class", 3)
BETWEEN = ("profile", "1-0:99.1.0", "--from", "2026-11-27T10:00", "--to", "2026-11-27T10:30")


class Run(Protocol):
    """`ami meter` at a fake meter."""

    def __call__(self, meter: FakeMeter, *arguments: object, timeout: float = 0.5) -> Result: ...


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setenv("AMI_METER_COUNTERS", str(tmp_path / "counters.json"))
    ami = Ami(Fleet(tmp_path, []))
    ports: dict[FakeMeter, int] = {}
    with ExitStack() as stack:

        def call(meter: FakeMeter, *arguments: object, timeout: float = 0.5) -> Result:
            if meter not in ports:
                ports[meter] = stack.enter_context(meter.running()).port
            where = ("--host", "127.0.0.1", "--port", ports[meter], "--timeout", timeout)
            how = ("--transport", "hdlc") if meter.transport == "hdlc" else ()
            return ami.run(*arguments, *where, *how)

        yield call


def test_the_meter_itself_is_read(run: Run) -> None:
    for transport in ("wrapper", "hdlc"):
        assert "1234 Wh" in run(FakeMeter(objects(), transport), *READ[:2], "--client", 16).ok().out


NOTIFICATION = bytes.fromhex("0F000000010000")


def only_notifies(meter: FakeMeter, apdu: bytes) -> bytes | None:
    """A notification to every GET."""
    return NOTIFICATION if apdu[0] == 0xC0 else None


@pytest.mark.parametrize("times", [3, 2000])
def test_notifications_without_an_answer_come_to_an_end(run: Run, times: int) -> None:
    many = Quirks(
        script=only_notifies, spoil=lambda octets: octets * times if octets.endswith(NOTIFICATION) else octets
    )
    result = run(FakeMeter(objects(), quirks=many), *READ)
    told = result.err.count("a notification of the meter came in between")
    assert (result.code, told) == ((4, 3) if times == 3 else (7, 1000))
    assert ("1000 notifications came, and no answer" in result.err) == (times == 2000)


# --- M1: an answer came, and was dropped


def other_invoke_id(meter: FakeMeter, apdu: bytes) -> bytes | None:
    """Every answer to a GET under invoke id 0."""
    if apdu[0] != 0xC0:
        return None
    usual = meter.usual(apdu)
    return usual[:2] + b"\xc0" + usual[3:]


def test_an_answer_under_a_foreign_invoke_id(run: Run) -> None:
    dropped = run(FakeMeter(objects(), quirks=Quirks(script=other_invoke_id)), *READ)
    assert dropped.code == 7 and "no answer in time" not in dropped.err
    assert "an answer came under invoke id 0, 1 was asked" in dropped.err and "--any-invoke-id" in dropped.err
    taken = run(FakeMeter(objects(), quirks=Quirks(script=other_invoke_id)), *READ, "--any-invoke-id")
    assert "1234" in taken.ok().out


def test_an_error_under_a_foreign_invoke_id(run: Run) -> None:
    """As a server of gurux answers errors: with invoke id 1, whatever was asked."""

    def script(meter: FakeMeter, apdu: bytes) -> bytes | None:
        return bytes.fromhex("C401C10104") if apdu[:3] == b"\xc0\x01\xc2" else None

    dropped = run(FakeMeter(objects(), quirks=Quirks(script=script)), *READ[:3])
    assert dropped.code == 7 and "under invoke id 1, 2 was asked" in dropped.err
    taken = run(FakeMeter(objects(), quirks=Quirks(script=script)), *READ[:3], "--any-invoke-id")
    assert taken.code == 1 and "the meter answers object-undefined" in taken.err


def test_wrapper_ports_that_are_not_swapped(run: Run) -> None:
    dropped = run(FakeMeter(objects(), quirks=Quirks(swapped=False)), *READ, "--client", 32)
    assert dropped.code == 7 and "an answer came from 32 to 1, and not from 1 to 32" in dropped.err
    assert "--any-address" in dropped.err
    taken = run(FakeMeter(objects(), quirks=Quirks(swapped=False)), *READ, "--client", 32, "--any-address")
    assert "1234" in taken.ok().out


def test_an_answer_from_another_hdlc_address(run: Run) -> None:
    odd = Quirks(answers_as=bytes.fromhex("0223"))
    dropped = run(FakeMeter(objects(), "hdlc", odd), *READ)
    assert dropped.code == 7 and "a frame came from 1/17, and not from 1" in dropped.err
    assert "--physical 17" in dropped.err and "--any-address" in dropped.err
    assert "1234" in run(FakeMeter(objects(), "hdlc", odd), *READ, "--any-address").ok().out


@pytest.mark.parametrize("more", [(), ("--any-address",)])
def test_a_line_that_echoes(run: Run, more: tuple[str, ...]) -> None:
    assert "1234" in run(FakeMeter(objects(), "hdlc", Quirks(echo=True)), *READ, *more).ok().out
    silent = run(FakeMeter(objects(), "hdlc", Quirks(echo=True, takes=b"\xff")), *READ, *more)
    assert silent.code == 7 and "our own frames came back and no answer" in silent.err


def test_a_frame_with_a_bad_check(run: Run) -> None:
    def flip(frame: bytes) -> bytes:
        return frame[:-3] + bytes((frame[-3] ^ 1,)) + frame[-2:]

    dropped = run(FakeMeter(objects(), "hdlc", Quirks(spoil=flip)), *READ)
    assert dropped.code == 7 and "its check (FCS) is" in dropped.err and "by its octets it would be" in dropped.err


def test_answers_that_are_cut_short(run: Run) -> None:
    cut = run(FakeMeter(objects(), "hdlc", Quirks(spoil=lambda frame: frame[:-4])), *READ)
    assert cut.code == 7 and "cut short" in cut.err
    half = run(FakeMeter(objects(), quirks=Quirks(spoil=lambda pdu: pdu[:-4])), *READ)
    assert half.code == 7 and "its header says 43 octets, 39 came" in half.err


def test_a_late_answer_before_the_right_one(run: Run) -> None:
    def script(meter: FakeMeter, apdu: bytes) -> bytes | None:
        if apdu[0] != 0xC0:
            return None
        usual = meter.usual(apdu)
        meter.quirks.before = usual[:2] + b"\xcf" + usual[3:]
        return usual

    told = run(FakeMeter(objects(), quirks=Quirks(script=script)), *READ).ok()
    assert "1234" in told.out and "an answer came under invoke id 15, 1 was asked" in told.err


def test_a_bad_check_after_good_frames(run: Run) -> None:
    """The link is set up, and the first frame with an APDU is spoilt each time."""

    def flip(frame: bytes) -> bytes:
        return frame if len(frame) < 50 else frame[:40] + bytes((frame[40] ^ 1,)) + frame[41:]

    dropped = run(FakeMeter(objects(), "hdlc", Quirks(spoil=flip)), *READ)
    assert dropped.code == 7 and "its check (FCS) is" in dropped.err
    long = ("read", "1-0:99.1.0", 2, "--class", 7)
    late = run(
        FakeMeter(objects(), "hdlc", Quirks(spoil=lambda f: f if len(f) < 139 else f[:40] + b"\x01" + f[41:])), *long
    )
    assert late.code == 7 and "its check (FCS) is" in late.err


def test_octets_that_are_no_frame(run: Run) -> None:
    dropped = run(FakeMeter(objects(), "hdlc", Quirks(spoil=lambda frame: b"/AMI5\r\n")), *READ)
    assert dropped.code == 7 and "no HDLC frame" in dropped.err and "2F 41 4D 49 35 0D 0A" in dropped.err


# --- M4: an opening that is refused, by whatever


def to_the_opening(answer: bytes) -> Quirks:
    return Quirks(script=lambda meter, apdu: answer if apdu[0] == 0x60 else None)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (fake.REJECTED, ("authentication-failure", "client 16", "--authentication")),
        (bytes.fromhex("D80101"), ("service-not-allowed, operation-not-possible", "may still be open", "client 16")),
        (bytes.fromhex("D80205"), ("service-unknown, deciphering-error", "--ek")),
        (bytes.fromhex("0E010604"), ("initiate", "--conformance")),
        (bytes.fromhex("6117A109060760857405080101A203020101A305A203020102"), ("no-common-acse-version", "ACSE")),
    ],
    ids=["aare", "exception", "deciphering", "service-error", "provider"],
)
def test_an_opening_that_is_refused(run: Run, answer: bytes, said: tuple[str, ...]) -> None:
    refused = run(FakeMeter(objects(), quirks=to_the_opening(answer)), *READ)
    assert refused.code == 5, refused.err
    assert all(word in refused.err for word in said), refused.err


def test_a_data_link_that_is_refused(run: Run) -> None:
    refused = run(FakeMeter(objects(), "hdlc", Quirks(link_refused=True)), *READ)
    assert refused.code == 5 and "the meter refuses the data link" in refused.err and "--physical" in refused.err


def test_an_opening_that_is_met_with_silence(run: Run) -> None:
    silent = run(FakeMeter(objects(), quirks=to_the_opening(b"")), *READ, "--client", 32, timeout=0.2)
    assert silent.code == 4 and "nothing came within 0.2 s" in silent.err and "--client (32)" in silent.err


# --- M5: one refusal, one silent attribute, one odd line costs that one


def scanned(result: Result) -> dict[tuple[str, str], str]:
    """Text or error of each attribute."""
    return {
        (one["obis"], one["attribute"]): one["error"] or one["text"]
        for device in result.json["devices"]
        for each in device["objects"]
        for one in each["attributes"]
    }


def test_an_object_without_rights_in_the_list(run: Run) -> None:
    odd = fake.structure(fake.long_unsigned(3), fake.unsigned(0), fake.octets(obis("1-0:3.8.0")), fake.NULL)
    nameless = fake.structure(fake.long_unsigned(3), fake.unsigned(0), fake.NULL, fake.NULL)
    listed = fake.array(*LIST[:2], odd, fake.NULL, nameless, LIST[2])
    values = objects({OBJECT_LIST: listed, (3, obis("1-0:3.8.0"), 2): fake.double_long_unsigned(7)})
    result = run(FakeMeter(values), "scan", "--json")
    found = scanned(result.ok())
    assert found["1-0:1.8.0*255", "value"] == "1234 Wh" and found["1-0:3.8.0*255", "value"] == "7"
    assert ("1-0:99.1.0*255", "buffer") in found
    assert [line.partition(": ")[0] for line in result.json["devices"][0]["odd_lines"]] == [
        "line 3 of 6 of the object list, register 1-0:3.8.0*255 (class 3, version 0)",
        "line 4 of 6 of the object list, left out",
        "line 5 of 6 of the object list, left out",
    ]
    shown = run(FakeMeter(values), "scan").ok().out
    assert "line 4 of 6 of the object list, left out: expected a structure of 4" in shown and "1234 Wh" in shown
    one = run(FakeMeter(values), "read", "1-0:1.8.0", 2).ok()
    assert "1234" in one.out and "line 3 of 6" in one.err


@pytest.mark.parametrize("transport", ["wrapper", "hdlc"])
def test_an_attribute_that_is_met_with_silence(run: Run, transport: str) -> None:
    meter = FakeMeter(objects({(3, ENERGY, 2): lambda meter, selection: None}), transport)
    result = run(meter, "scan", "--json", timeout=0.3)
    found = scanned(result.ok())
    assert found["1-0:1.8.0*255", "value"] == "no answer in time"
    assert found["1-0:1.8.0*255", "scaler_unit"] == "10^0 Wh" and ("1-0:99.1.0*255", "buffer") in found
    assert "the association is opened anew" in result.err
    assert sum(1 for apdu in meter.heard if apdu[0] == 0x60) == 2 + (("1-0:1.8.0*255", "value") not in found)


def test_an_attribute_at_which_the_meter_hangs_up(run: Run) -> None:
    result = run(FakeMeter(objects({(3, ENERGY, 2): fake.HANG_UP})), "scan", "--json")
    found = scanned(result.ok())
    assert found["1-0:1.8.0*255", "value"] == "the meter closed the connection"
    assert found["1-0:1.8.0*255", "scaler_unit"] == "10^0 Wh" and ("1-0:99.1.0*255", "buffer") in found


@pytest.mark.parametrize("zone", [3, b"\x63", fake.HANG_UP])
def test_a_clock_without_a_time_zone(run: Run, zone: Value) -> None:
    shown = run(FakeMeter(objects({(8, CLOCK, 3): zone})), "clock").ok().out
    assert "2026-11-28T12:00:00" in shown and "leaves out its offset" in shown


def test_odd_rows_of_the_logical_devices(run: Run) -> None:
    one = fake.structure(fake.long_unsigned(1), fake.octets(b"FAKE"))
    over: dict[fake.Place, Value] = {(17, obis("0-0:41.0.0"), 2): fake.array(one, fake.NULL)}
    result = run(FakeMeter(objects(over)), "scan", "--json").ok().json
    assert result["logical_devices"] == [{"sap": 1, "name": "FAKE"}]
    assert "1 of its 2 rows can't be read" in result["logical_devices_error"]


def test_a_late_answer_is_not_taken_for_the_next_attribute(run: Run) -> None:
    """What comes after the time is up answers nothing any more, even where it comes over the new connection."""

    def script(meter: FakeMeter, apdu: bytes) -> bytes | None:
        if apdu[:2] == b"\xc0\x01" and apdu[5:12] == ENERGY + b"\x02":
            meter.quirks.before = meter.usual(apdu)
            return b""
        return None

    result = run(FakeMeter(objects(), quirks=Quirks(script=script)), "scan", "--json", timeout=0.3)
    found = scanned(result.ok())
    assert found["1-0:1.8.0*255", "value"] == "no answer in time"
    assert found["1-0:1.8.0*255", "scaler_unit"] == "10^0 Wh" and "nothing was asked" in result.err


def test_an_attribute_that_can_not_be_read(run: Run) -> None:
    found = scanned(run(FakeMeter(objects({(3, ENERGY, 2): b"\x63\x01"})), "scan", "--json").ok())
    assert "expected" in found["1-0:1.8.0*255", "value"] and found["1-0:1.8.0*255", "scaler_unit"] == "10^0 Wh"


def test_a_scan_leaves_out_what_it_is_told_to(run: Run) -> None:
    over: dict[fake.Place, Value] = {(3, ENERGY, 2): lambda meter, selection: None}
    meter = FakeMeter(objects(over))
    result = run(meter, "scan", "--json", "--except", "1-0:1.8.0/2", "--except", "1-0:99.1.0")
    found = scanned(result.ok())
    assert found["1-0:1.8.0*255", "value"] == "left out (--except)" == found["1-0:99.1.0*255", "buffer"]
    assert found["1-0:1.8.0*255", "scaler_unit"] == "10^0 Wh" and not result.err
    assert not [apdu for apdu in meter.heard if ENERGY + b"\x02" in apdu or PROFILE in apdu]
    for wrong in ("1.8.0", "1-0:1.8.0/two"):
        assert run(meter, "scan", "--except", wrong).code == 2


def test_a_meter_that_falls_silent_for_good(run: Run) -> None:
    meter = FakeMeter(objects({place: lambda meter, selection: None for place in objects() if place[0] in (3, 7, 8)}))
    result = run(meter, "scan", "--json", timeout=0.2)
    assert result.code == 4 and "no answer in time" in result.err
    assert [one["error"] for one in result.json["devices"]] != [None]


# --- M7, M9: hints that fit, and lists


def test_a_range_that_the_meter_refuses(run: Run) -> None:
    refused = run(
        FakeMeter(objects({(7, PROFILE, 2): lambda meter, selection: 12 if selection[:1] == b"\x01" else b"\x01\x00"})),
        *BETWEEN,
    )
    assert refused.code == 1 and "type-unmatched" in refused.err and "--type" not in refused.err
    assert "--from" in refused.err and "--last" in refused.err


def test_a_list_that_is_answered_with_something_malformed(run: Run) -> None:
    def script(meter: FakeMeter, apdu: bytes) -> bytes | None:
        return b"\xc4\x03" + apdu[2:3] + bytes.fromhex("02000002051202D0120CA8") if apdu[:2] == b"\xc0\x03" else None

    lists = Quirks(conformance=bytes.fromhex("00001A1D"), script=script)
    for command in (("read", "1-0:1.8.0", "--class", 3), ("scan",)):
        result = run(FakeMeter(objects(), quirks=lists), *command)
        assert "1234 Wh" in result.ok().out and "the association is opened anew" in result.err


def test_an_object_list_elsewhere(run: Run) -> None:
    values = objects()
    values[15, obis("0-0:40.0.1"), 2] = values.pop(OBJECT_LIST)
    for command in (("scan",), ("read", "1-0:1.8.0")):
        refused = run(FakeMeter(values), *command)
        assert refused.code == 1 and "--association-object" in refused.err and "ami meter scan" not in refused.err
        assert "1234 Wh" in run(FakeMeter(values), *command, "--association-object", "0-0:40.0.1").ok().out
    assert run(FakeMeter(values), "scan", "--association-object", "here").code == 2


def test_hints_know_client_and_value(run: Run) -> None:
    undefined = run(FakeMeter(objects()), "read", "1-0:9.9.9", 2, "--class", 3, "--client", 32)
    assert undefined.code == 1 and "client 32 sees no such object" in undefined.err
    assert "public client" not in undefined.err
    assert "16 is the public client" in run(FakeMeter(objects()), "read", "1-0:9.9.9", 2, "--class", 3).err

    def script(meter: FakeMeter, apdu: bytes) -> bytes | None:
        return b"\xc5\x01" + apdu[2:3] + b"\x0c" if apdu[0] == 0xC1 else None

    write = ("write", "1-0:1.8.0", 2, "7", "--class", 3, "--type", "long")
    called = run(
        FakeMeter(
            objects(),
            quirks=Quirks(
                script=lambda meter, apdu: b"\xc7\x01" + apdu[2:3] + b"\x0c\x00" if apdu[0] == 0xC3 else None
            ),
        ),
        "invoke",
        "0-0:10.0.100",
        1,
        "--class",
        9,
    )
    assert called.code == 1 and "integer is not what the meter wants" in called.err
    unmatched = run(FakeMeter(objects(), quirks=Quirks(script=script)), *write)
    assert unmatched.code == 1 and "long is not what the meter wants" in unmatched.err and "--type" in unmatched.err


# --- M2: a password of digits


def with_password(password: bytes) -> Quirks:
    """Takes this password of LLS and no other."""
    wanted = b"\x80" + bytes((len(password),)) + password

    def script(meter: FakeMeter, apdu: bytes) -> bytes | None:
        return fake.REJECTED if apdu[0] == 0x60 and wanted not in apdu else None

    return Quirks(script=script)


LLS = ("--client", 32, "--authentication", "lls", "--secret")


@pytest.mark.parametrize("given", ["text:12345678", "env:PASSWORD", "file:password", "3132333435363738"])
def test_a_password_of_digits(run: Run, given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "text:12345678")
    monkeypatch.chdir(tmp_path)
    Path("password").write_text("text:12345678\n")
    assert (
        "1234 Wh"
        in run(FakeMeter(objects(), quirks=with_password(b"12345678")), "read", "1-0:1.8.0", *LLS, given).ok().out
    )


@pytest.mark.parametrize("given", ["12345678", "123", "env:PASSWORD", "file:password"])
def test_digits_alone_are_not_silently_hex(
    run: Run, given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD", "12345678")
    monkeypatch.chdir(tmp_path)
    Path("password").write_text("12345678\n")
    meter = FakeMeter(objects())
    refused = run(meter, *READ, *LLS, given)
    assert refused.code == 2 and "digits alone, text or hex" in refused.err and "text:" in refused.err
    assert "12345678" not in refused.err and not meter.heard


def test_hex_that_is_meant(run: Run) -> None:
    four = with_password(bytes.fromhex("12345678"))
    assert run(FakeMeter(objects(), quirks=four), "read", "1-0:1.8.0", *LLS, "hex:12345678").ok()


# --- profiles: M5 odd rows and columns, M6 rows that were not asked for, M8 differences, M10 UNIX clocks


def row(quarter: int, *values: bytes) -> bytes:
    return fake.structure(fake.octets(fake.date_time(2026, 11, 27, 5, 0, 15 * quarter)), *values)


def test_a_range_that_the_meter_ignores(run: Run) -> None:
    result = run(FakeMeter(objects()), *BETWEEN, "--json")
    found = result.ok().json
    assert "93 of 96 rows lie outside the time that was asked for" in result.err
    inside = [row[0] for row, outside in zip(found["rows"], found["outside"], strict=True) if not outside]
    assert inside == ["2026-11-27T10:00:00", "2026-11-27T10:15:00", "2026-11-27T10:30:00"]
    shown = run(FakeMeter(objects()), *BETWEEN).ok().out
    assert "2026-11-27T09:45:00 !" in shown and "2026-11-27T10:00:00  " in shown
    as_csv = run(FakeMeter(objects()), *BETWEEN, "--csv").ok().csv
    assert [each["note"] for each in as_csv].count("") == 3


def test_a_range_that_the_meter_keeps(run: Run) -> None:
    keeps = FakeMeter(objects({(7, PROFILE, 2): lambda meter, selection: fake.array(*DAY[40:43])}))
    result = run(keeps, *BETWEEN)
    assert "outside" not in result.ok().err and "!" not in result.out
    assert len(run(keeps, *BETWEEN, "--csv").ok().csv[0]) == 2


def test_an_offset_is_compared_as_a_moment(run: Run) -> None:
    """The meter's local time has no offset: then it is compared as it stands."""
    hour = ("profile", "1-0:99.1.0", "--from", "2026-11-27T10:00:00+01:00", "--to", "2026-11-27T10:30:00+01:00")
    assert "93 of 96" in run(FakeMeter(objects()), *hour).ok().err
    utc = [fake.structure(fake.octets(fake.date_time(2026, 11, 27, 5, 9, 0)[:9] + b"\x00\x00\x00"), fake.unsigned(1))]
    offset = FakeMeter(objects({(7, PROFILE, 2): fake.array(*utc)}))
    assert "outside" not in run(offset, *hour[:2], "--from", "2026-11-27T10:00:00+01:00").ok().err


def test_more_rows_and_columns_than_were_asked_for(run: Run) -> None:
    result = run(FakeMeter(objects()), "profile", "1-0:99.1.0", "--last", 2, "--columns", 2, "--json")
    found = result.ok().json
    assert "96 rows came, and 2 were asked for" in result.err and found["outside"].count(False) == 2
    assert "the meter does not choose columns: all 2 came" in result.err and len(found["columns"]) == 2
    swapped = run(FakeMeter(objects()), "profile", "1-0:99.1.0", "--columns", "2,1", "--json").ok()
    assert swapped.json["rows"][0] == ["2026-11-27T00:00:00", "1000"] and "all 2 came" in swapped.err


def test_odd_rows_and_columns_of_a_profile(run: Run) -> None:
    odd_column = fake.structure(fake.long_unsigned(3), fake.NULL, fake.integer(2), fake.long_unsigned(0))
    wide = fake.structure(fake.unsigned(3), fake.octets(ENERGY), fake.unsigned(2), fake.unsigned(0), fake.NULL)
    rows = fake.array(
        row(0, fake.unsigned(1), fake.unsigned(2)),
        row(1, fake.unsigned(1)),
        fake.NULL,
        row(2, fake.unsigned(3), fake.NULL),
    )
    over: dict[fake.Place, Value] = {
        (7, PROFILE, 3): fake.array(TIME_COLUMN, odd_column, wide),
        (7, PROFILE, 2): rows,
        (7, PROFILE, 4): 3,
        (3, ENERGY, 3): 3,
    }
    result = run(FakeMeter(objects(over)), "profile", "1-0:99.1.0", "--json")
    found = result.ok().json
    assert found["columns"] == ["0-0:1.0.0*255 time", "not known", "1-0:1.8.0*255 value"]
    assert found["rows"] == [["2026-11-27T00:00:00", "1", "2"], ["2026-11-27T00:30:00", "3", "null"]]
    notes = "\n".join(found["notes"])
    assert "the capture period is not known: read-write-denied" in notes and "column 2 is not known" in notes
    assert "row 2 of 4 is left out, a structure of 3 elements was expected: a structure of 2" in notes
    assert "row 3 of 4" in notes and "their unit is not known: read-write-denied" in notes
    assert notes.splitlines() == result.err.splitlines()


@pytest.mark.parametrize("silent", [(3, ENERGY, 3), (7, PROFILE, 4)])
def test_a_unit_or_period_that_is_met_with_silence(run: Run, silent: fake.Place) -> None:
    result = run(FakeMeter(objects({silent: lambda meter, selection: None})), *BETWEEN[:2], "--json", timeout=0.2)
    assert len(result.ok().json["rows"]) == 96 and "not known: no answer in time" in result.err


def test_the_last_rows_of_a_meter_that_does_not_count_them(run: Run) -> None:
    result = run(FakeMeter(objects({(7, PROFILE, 7): 3})), *BETWEEN[:2], "--last", 2, "--json")
    assert "how many rows there are is not known, all are read: read-write-denied" in result.ok().err
    assert result.json["outside"].count(False) == 2 and len(result.json["rows"]) == 96


def test_nothing_in_the_buffer(run: Run) -> None:
    result = run(FakeMeter(objects({(7, PROFILE, 2): fake.NULL})), *BETWEEN[:2])
    assert "no rows" in result.ok().out and "null-data for the buffer" in result.err
    wrong = run(FakeMeter(objects({(7, PROFILE, 2): fake.array(fake.NULL)})), *BETWEEN[:2])
    assert wrong.code == 7 and "row 1 of 1" in wrong.err


def test_differences_are_no_readings(run: Run) -> None:
    rows = fake.array(row(0, fake.double_long_unsigned(1000)), row(1, fake.delta_unsigned(5)), row(2, fake.NULL))
    over: dict[fake.Place, Value] = {(7, PROFILE, 2): rows, (3, ENERGY, 2): fake.delta_unsigned(7)}
    result = run(FakeMeter(objects(over)), *BETWEEN[:2])
    assert "+5 Δ" in result.ok().out and "a difference to the row above" in result.err
    found = run(FakeMeter(objects(over)), *BETWEEN[:2], "--json").ok().json
    assert [each[1] for each in found["rows"]] == ["1000", "+5", "null"]
    assert [each[1] for each in found["origins"]] == ["sent", "difference", "sent"]
    assert (
        "7 Wh (a difference, no reading)" in run(FakeMeter(objects(over)), "read", "1-0:1.8.0", "--class", 3).ok().out
    )


UNIX = obis("0-0:1.1.0")
UNIX_COLUMN = fake.structure(fake.long_unsigned(1), fake.octets(UNIX), fake.integer(2), fake.long_unsigned(0))
QUARTER = 1795737600  # 2026-11-27T00:00:00Z


def test_a_unix_clock(run: Run) -> None:
    rows = [
        fake.structure(fake.double_long_unsigned(QUARTER + 900 * one), fake.double_long_unsigned(one)) for one in (0, 1)
    ]
    rows.append(fake.structure(fake.NULL, fake.NULL))
    asked: list[bytes] = []

    def buffer(meter: FakeMeter, selection: bytes) -> bytes:
        asked.append(selection)
        return fake.array(*rows)

    over: dict[fake.Place, Value] = {
        (7, PROFILE, 3): fake.array(UNIX_COLUMN, ENERGY_COLUMN),
        (7, PROFILE, 2): buffer,
        (1, UNIX, 2): fake.double_long_unsigned(QUARTER),
    }
    shown = run(FakeMeter(objects(over)), *BETWEEN[:2]).ok().out
    assert "2026-11-27T00:00:00+00:00" in shown and "2026-11-27T00:30:00+00:00 ~" in shown
    ranged = ("--from", "2026-11-27T01:15:00+01:00", "--to", "2026-11-27T00:15:00Z")
    result = run(FakeMeter(objects(over)), *BETWEEN[:2], *ranged, "--json")
    assert [not outside for outside in result.ok().json["outside"]] == [False, True, False]
    assert fake.double_long_unsigned(QUARTER + 900) in asked[-1] and UNIX in asked[-1]
    local = run(FakeMeter(objects(over)), *BETWEEN[:2], "--from", "2026-11-27T00:15")
    assert local.code == 2 and "2026-11-27T00:15Z" in local.err
    assert "2026-11-27T00:00:00+00:00" in run(FakeMeter(objects(over)), "read", "0-0:1.1.0", 2, "--class", 1).ok().out


# --- what was written is told truly


def set_answered(answer: bytes, *, then_silent: bool = False) -> Quirks:
    """Answers SET with this, and after it no GET if that is wanted."""
    written: list[bytes] = []

    def script(meter: FakeMeter, apdu: bytes) -> bytes | None:
        if apdu[0] == 0xC1:
            written.append(apdu)
            return answer and b"\xc5\x01" + apdu[2:3] + answer
        return b"" if then_silent and written and apdu[0] == 0xC0 else None

    return Quirks(script=script)


WRITE = ("write", "1-0:1.8.0", 2, "7", "--class", 3)


def test_a_write_whose_answer_is_lost(run: Run) -> None:
    lost = run(FakeMeter(objects(), quirks=set_answered(b"")), *WRITE, timeout=0.2)
    assert lost.code == 4 and "the meter may or may not have carried it out" in lost.err
    other = run(FakeMeter(objects(), quirks=set_answered(b"\x00\x00\x00")), *WRITE, timeout=0.2)
    assert other.code == 7 and "may or may not" in other.err
    refused = run(FakeMeter(objects(), quirks=set_answered(b"\x03")), *WRITE)
    assert refused.code == 1 and "may or may not" not in refused.err
    called = run(
        FakeMeter(objects(), quirks=Quirks(script=lambda meter, apdu: b"" if apdu[0] == 0xC3 else None)),
        "invoke",
        "0-0:10.0.100",
        1,
        "--class",
        9,
        timeout=0.2,
    )
    assert called.code == 4 and "may or may not" in called.err


def test_a_write_that_can_not_be_read_back(run: Run) -> None:
    done = run(FakeMeter(objects(), quirks=set_answered(b"\x00", then_silent=True)), *WRITE, timeout=0.2)
    assert (
        "written  7 (double-long-unsigned)" in done.ok().out and "after    can't be read: no answer in time" in done.out
    )

"""Octets as people paste them: every form that is known gives exactly the octets back, and none is read as others in silence."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ami_cli.__main__ import app
from ami_cli.decode.errors import NotOctets
from ami_cli.decode.inputs import from_text, messages
from ami_cli.decode.pasted import read_text

PASTED = Path(__file__).parents[1] / "vectors/field/pasted"
FRAME = bytes.fromhex("7EA02A410883130413E6E7000F40000000000101020309060100010700FF060000017002020F00161B5DB77E")
SNRM = bytes.fromhex("7EA00741039342A27E")
OCTETS = st.binary(min_size=1, max_size=80)
UNHURRIED = settings(deadline=None)


def rows(octets: bytes, width: int = 16) -> list[bytes]:
    return [octets[place : place + width] for place in range(0, len(octets), width)]


def spaced(octets: bytes, form: str = "{:02X}", between: str = " ") -> str:
    return between.join(form.format(octet) for octet in octets)


def characters(octets: bytes) -> str:
    return "".join(chr(octet) if 32 <= octet < 127 else "." for octet in octets)


def xxd(octets: bytes) -> str:
    def groups(row: bytes) -> str:
        return " ".join(row[place : place + 2].hex() for place in range(0, len(row), 2))

    return "".join(
        f"{16 * number:08x}: {groups(row):<39}  {characters(row)}\n" for number, row in enumerate(rows(octets))
    )


def od(octets: bytes, form: str) -> str:
    lines = [f"{form.format(16 * number)} {spaced(row, '{:02x}')}" for number, row in enumerate(rows(octets))]
    return "\n".join([*lines, form.format(len(octets)), ""])


def canonical(octets: bytes) -> str:
    """hexdump -C, which leaves out lines that are repeated."""
    found, before = "", None
    for number, row in enumerate(rows(octets)):
        if row == before and len(row) == 16:
            found += "" if found.endswith("*\n") else "*\n"
            continue
        halves = f"{spaced(row[:8], '{:02x}')}  {spaced(row[8:], '{:02x}')}"
        found += f"{16 * number:08x}  {halves:<48}  |{characters(row)}|\n"
        before = row
    return f"{found}{len(octets):08x}\n"


def wireshark(octets: bytes, pad: int = 0) -> str:
    return "".join(
        f"{16 * number:04x}   {spaced(row, '{:02x}'):<{pad}}   {characters(row)}\n"
        for number, row in enumerate(rows(octets))
    )


def logged(prefix: str) -> Callable[[bytes], str]:
    return lambda octets: "".join(f"{prefix}{spaced(row)}\n" for row in rows(octets))


FORMS: dict[str, Callable[[bytes], str]] = {
    "plain": lambda octets: octets.hex(),
    "wrapped": lambda octets: "\n".join(textwrap.wrap(octets.hex(), 64)),
    "wrapped within octets": lambda octets: "\n".join(textwrap.wrap(octets.hex(), 41)),
    "hyphenated": lambda octets: "-\n".join(textwrap.wrap(octets.hex(), 41)),
    "pairs": spaced,
    "pairs in lower case": lambda octets: spaced(octets, "{:02x}"),
    "pairs in lines": lambda octets: "\n".join(spaced(row) for row in rows(octets, 20)),
    "colons": lambda octets: spaced(octets, between=":"),
    "hyphens": lambda octets: spaced(octets, between="-"),
    "commas": lambda octets: spaced(octets, between=", "),
    "0x": lambda octets: spaced(octets, "0x{:02x}"),
    "0x without zeros": lambda octets: spaced(octets, "{:#x}"),
    "0x in one": lambda octets: f"0x{octets.hex()}",
    "C": lambda octets: f"static const uint8_t frame[{len(octets)}] = {{\n  {spaced(octets, '0x{:02X}', ', ')}\n}};",
    "C string": lambda octets: '"' + spaced(octets, "\\x{:02x}", "") + '"',
    "escapes": lambda octets: spaced(octets, "\\x{:02x}", ""),
    "Python": repr,
    "Python, assigned": lambda octets: f"frame = bytearray({octets!r})",
    "Python, in lines": lambda octets: "(" + "\n ".join(repr(row) for row in rows(octets)) + ")",
    "fromhex": lambda octets: f"bytes.fromhex('{octets.hex(' ')}')",
    "xxd": xxd,
    "od -A x -t x1": lambda octets: od(octets, "{:06x}"),
    "od -t x1": lambda octets: od(octets, "{:07o}"),
    "od -A d -t x1": lambda octets: od(octets, "{:07d}"),
    "hexdump -C": canonical,
    "Wireshark": wireshark,
    "Wireshark, aligned": lambda octets: wireshark(octets, 47),
    "amsreader": logged("(V) "),
    "ESPHome": logged("[08:54:20][D][uart_debug:109]: <<< "),
    "clock": logged("08:54:20.123 "),
    "date and clock": logged("2023-07-06T10:54:38.123+02:00 RX: "),
    "syslog": logged("Dec 12 08:54:20 host meterd[812]: rx "),
    "Gurux": lambda octets: f"16.41.34 04.41.34.417\tReceived\t{spaced(octets)}\n",
    "direction": logged("RX: "),
    "remark": lambda octets: f"{spaced(octets)} # 12 AB\n",
    "slashes": lambda octets: f"{spaced(octets)} // 12 AB\n",
    "remark in words": lambda octets: f"{spaced(octets)} - header of 12\n",
    "byte order mark": lambda octets: f"\ufeff{spaced(octets)}",
    "decimal": lambda octets: f"[{spaced(bytes((200, *octets)), '{}', ', ')}]",
    "signed": lambda octets: f"{{{', '.join(str(one - 256 if one > 127 else one) for one in (200, *octets))}}};",
}
WITH_ONE_MORE = ("decimal", "signed")


@pytest.mark.parametrize("name", FORMS)
@UNHURRIED
@given(OCTETS)
@example(FRAME)
@example(bytes(100))
@example(b"ab cd ef 12 34 |56| 7E A0 # // - .." * 2)
@example(bytes(range(0x30, 0x3A)) * 4)
@example(b"\\x00")
def test_a_form_and_back(name: str, octets: bytes) -> None:
    """Either exactly these octets, or a refusal; a refusal only where the form can be read in two ways."""
    try:
        found = b"".join(read_text(FORMS[name](octets)))
    except NotOctets as error:
        assert len(octets) < 4 or "may be" in str(error)
        return
    assert found == (bytes((200, *octets)) if name in WITH_ONE_MORE else octets)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("frame", [FRAME, SNRM], ids=["push", "SNRM"])
def test_a_frame_in_every_form_is_not_refused(name: str, frame: bytes) -> None:
    found = b"".join(read_text(FORMS[name](frame)))
    assert found.removeprefix(b"\xc8") == frame


@UNHURRIED
@given(OCTETS)
def test_digits_without_leading_zeros(octets: bytes) -> None:
    """Unless a text has a leading zero somewhere, single digits are octets."""
    found = read_text(spaced(octets, "{:X}"))
    assert found == [octets]


@UNHURRIED
@given(st.binary(min_size=4, max_size=60), st.data())
def test_an_octet_split_by_the_end_of_a_line(octets: bytes, data: st.DataObject) -> None:
    assume(any(octet < 0x10 for octet in octets))
    text = spaced(octets)
    digits = [place for place, letter in enumerate(text) if letter != " " and place % 3 == 1 and place > 2]
    place = data.draw(st.sampled_from(digits))
    padded = any(pair[0] == "0" for pair in (text[:place].split()[:-1] + text[place:].split()[1:]))
    assume(padded)
    assert b"".join(read_text(f"{text[:place]}\n{text[place:]}")) == octets


def test_half_an_octet_at_the_start_of_a_line_is_no_offset() -> None:
    assert b"".join(read_text("00 00 00 00 00 00 0\n6")) == bytes.fromhex("00000000000006")


@UNHURRIED
@example('G"-')
@example(":,-")
@given(st.text(max_size=60) | st.text("0123456789abcdefABCDEF :.-\n[](){}|,;#\\xb'\"", max_size=60))
def test_any_text_ends_in_octets_or_in_a_refusal(text: str) -> None:
    try:
        from_text(text, "no")
    except NotOctets as error:
        assert str(error).startswith("no: ")


@pytest.mark.parametrize("path", sorted(PASTED.iterdir()), ids=lambda path: path.stem)
def test_what_people_paste(path: Path) -> None:
    result = CliRunner().invoke(app, ["decode", str(path)])
    expected = CliRunner().invoke(app, ["decode", FRAME.hex()]).stdout
    assert result.exit_code == 0, result.output
    if path.stem == "gurux_tx_rx":
        first, _, second = result.stdout.partition("\n\n")
        assert first.startswith("● hdlc_frame  1 → 32, set normal response mode")
        assert "● hdlc_frame  4/65 → 32" in second and "data-notification" in second
    else:
        assert result.stdout == expected


REFUSED = {
    "words of hexdump": ("0000000 a07e 412a 8308\n0000006\n", "words of 16 bits", 1, 9),
    "a number in front": ("1700000000 7E A0 2A", "may be an offset, a number or octets", 1, 1),
    "a number in brackets": ("[0012] 7E A0 2A", "may be a number of the log or octets", 1, 1),
    "a length in front": ("len 44 7E A0 2A", "may be the number that 'len' announces", 1, 5),
    "a list of small numbers": ("[12, 16, 9]", "may be decimal or hex", 1, 1),
    "a label of hex letters": ("AD: 7E A0", "may be a label or octets", 1, 1),
    "a word of hex letters": ("feed 7EA0 2A", "may be a word or octets", 1, 1),
    "a word among octets": ("7E flag A0 2A", "'l'", 1, 5),
    "a letter O for a zero": ("7E AO 2A", "'O'", 1, 5),
    "a letter O in a long line": ("7EA02A41O883", "is no hex digit", 1, 9),
    "a mistyped last octet": ("C0 01 XY", "is no hex digit", 1, 7),
    "a clock among its like": ("08:13:04 13:E6:E7", "may be a clock or octets", 1, 1),
    "a number with a point": ("12.34 7E A0", "may be a clock, a number or octets", 1, 1),
    "a lone digit": ("7E A0 02 4 1", "is one hex digit", 1, 10),
    "half an octet or a whole one": ("7E A0 2A 4\n1 88 83", "may be half an octet", 1, 10),
    "an odd number of digits": ("7E A02", "line 1 has 3 hex digits", 1, None),
    "an offset that does not fit": ("0000  7e a0 2a\n0010  41", "offset", 1, None),
    "offsets of two digits": ("00 7e a0 2a\n03 41 08 83\n", "may be an offset, a line number", 2, 1),
    "numbers of lines": ("01 7e a0\n02 41 08\n03 13 04", "may be an offset, a line number", 2, 1),
    "a dash that may be a remark": ("7E A0 - be", "may begin a remark", 1, 7),
    "0x and none": ("0x7E A0 0x2A", "has no 0x", 1, 6),
    "0x on one line alone": ("0x7E 0xA0\n2A 41", "has no 0x", 2, 1),
    "a count that is another": ("7E.A0.2A (44)", "is not the number of octets before it", 1, 10),
    "a literal that is no octets": ("b'\\x7e\\q'", "is no escape of an octet", 1, 7),
    "a literal with letters of its own": ("b'\\x7eä'", "is no ASCII", 1, 7),
    "numbers beside literals": ("b'\\x7e'\n7EA02A", "is beside literals", 2, 1),
    "an escape outside of a literal": ("it's \\x7e\\xa0 don't b'\\x2a'", "outside of a string literal", 1, None),
    "escapes behind a label": ("b'\\x7e'\nRX: \\xa0", "outside of a string literal", 2, 5),
    "a sign that is not known": ("7E A0\n2A/41/08", "a sign between them that is not known", 2, 1),
    "too large a number": ("[126, 300]", "no octet", None, None),
    "a star over gigabytes": (
        "00000000  7e a0 2a 41 08 83 13 04  7e a0 2a 41 08 83 13 04\n*\nffffff00\n",
        "does not fit",
        3,
        1,
    ),
    "a line without offset in a dump": ("0000: 7e a0\n2a 41\n0002: 08", "has no offset", 2, 1),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_be_read_in_two_ways_is_refused_with_its_place(name: str) -> None:
    text, said, line, column = REFUSED[name]
    with pytest.raises(NotOctets) as caught:
        read_text(text)
    assert said in str(caught.value)
    if column is not None:
        assert f"in line {line}, column {column}," in str(caught.value)


@pytest.mark.parametrize("text", ["b''", "# nothing", "", "0000000\n"])
def test_nothing_at_all(text: str) -> None:
    with pytest.raises(NotOctets):
        from_text(text, "no")


def test_files_in_other_encodings() -> None:
    text = f"Zähler läuft: {spaced(FRAME)}\n"
    for encoding in ("utf-8", "latin-1", "utf-8-sig"):
        assert messages(text.encode(encoding), "x") == [FRAME]
    for encoding, mark in (("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")):
        assert messages(mark + text.encode(encoding), "x") == [FRAME]
    assert messages(FRAME, "x") == [FRAME]

"""Secrets by reference: one rule for a value, a variable and a file, and no value in a refusal."""

from __future__ import annotations

from pathlib import Path

import pytest

from ami_process.secret_sources import LONGEST_FILE, SecretSources
from ami_registry import parse_secret

WORD = "SWORDFISH1"


@pytest.fixture
def sources(tmp_path: Path) -> SecretSources:
    (tmp_path / "word").write_text(f"text:{WORD}\n")
    (tmp_path / "spaces").write_text("text: two words \r\n")
    (tmp_path / "digits").write_text("12345678\n")
    (tmp_path / "long").write_text("0" * (LONGEST_FILE + 1))
    (tmp_path / "octets").write_bytes(b"\xff\xfe")
    return SecretSources({"WORD": f"text:{WORD}", "HEX": "00ff", "NEST": "env:HEX", "DIGITS": "12345678"}, tmp_path)


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("00ff", b"\x00\xff"),
        (" 00 FF ", b"\x00\xff"),
        ("hex:00ff", b"\x00\xff"),
        ("text:00ff", b"00ff"),
        ("text:a:b", b"a:b"),
        ("env:WORD", WORD.encode()),
        ("env:HEX", b"\x00\xff"),
        ("file:word", WORD.encode()),
        ("file:spaces", b" two words "),
    ],
)
def test_each_form(sources: SecretSources, text: str, octets: bytes) -> None:
    assert parse_secret(text, sources) == octets


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("00f", "the value is not an even number of hexadecimal digits"),
        (WORD, "the value is not an even number"),
        (f"vault:{WORD}", "known prefixes"),
        ("env:NOWHERE", "the environment has no variable NOWHERE"),
        ("file:nowhere", "the file nowhere can't be read: No such file"),
        ("file:.", "the file . can't be read"),
        ("file:\0", "can't be read as text"),
        ("file:octets", "the file octets can't be read as text"),
        ("file:long", "has more than"),
        ("env:NEST", "known prefixes"),
    ],
)
def test_what_can_not_be_octets(sources: SecretSources, text: str, problem: str) -> None:
    with pytest.raises(ValueError) as refusal:
        parse_secret(text, sources)
    assert problem in str(refusal.value) and WORD not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "place"),
    [("12345678", "the value"), ("env:DIGITS", "the environment variable DIGITS"), ("file:digits", "the file digits")],
)
def test_a_password_of_digits_alone_says_where_it_is(sources: SecretSources, text: str, place: str) -> None:
    with pytest.raises(ValueError, match=f"^{place} is digits alone"):
        parse_secret(text, sources, password=True)
    assert parse_secret(text, sources) == bytes.fromhex("12345678")


def test_a_relative_path_starts_at_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("0102")
    monkeypatch.chdir(tmp_path)
    assert parse_secret("file:key", SecretSources({})) == b"\x01\x02"

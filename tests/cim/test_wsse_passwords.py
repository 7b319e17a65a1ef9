"""What is kept of a message has no password of a Security header, however that is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami_cim.limits import UNKNOWN_PEER
from ami_cim.wsse import SecurityReading
from ami_cim.wsse.reading import MOST_PASSWORDS

READING = SecurityReading(UNKNOWN_PEER)


def kept(text: str, encoding: str = "utf-8") -> bytes:
    return READING.without_passwords(text.encode(encoding))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("<Security><Password>swordfish</Password></Security>", "<Security><Password>***</Password></Security>"),
        (
            "<w:Security><w:Password Type='a'>swordfish</w:Password >",
            "<w:Security><w:Password Type='a'>***</w:Password >",
        ),
        ("<Security><ü:Password>swordfish</ü:Password>", "<Security><ü:Password>***</ü:Password>"),
        ("<Security><Password\n>swordfish</Password><b/>", "<Security><Password\n>***</Password><b/>"),
        ("<Security><Password>swordfish", "<Security><Password>***"),
        ("<Security><Password Type='>'>swordfish</Password>", "<Security><Password Type='>***</Password>"),
        ("<Security><Password><![CDATA[</Password>]]>swordfish</Password>", "<Security><Password>***</Password>"),
        ("<Security><Password/><a>1</a>", "<Security><Password/>***"),
        ("<Security><PasswordHint>a</PasswordHint>", "<Security><PasswordHint>a</PasswordHint>"),
        ("<Security><Password", "<Security><Password***"),
        (
            "<Security><Password>swordfish</Password><a/><Password>halibut</Password>",
            "<Security><Password>***</Password><a/><Password>***</Password>",
        ),
    ],
)
def test_passwords_are_struck_out(given: str, expected: str) -> None:
    assert kept(given) == expected.encode()


def test_where_they_can_not_be_seen_nothing_is_kept() -> None:
    many = "<Security>" + "<Password>x</Password>" * MOST_PASSWORDS
    assert kept(many) == b"" == kept("<Security><Password>x</Password></Security>", "utf-16")


@given(st.lists(st.sampled_from(["<Password>", "</Password>", "<ä:Password a='b'>", "</ä:Password>", "<a>", "text "])))
def test_no_text_behind_the_beginning_of_a_password_is_kept(parts: list[str]) -> None:
    """Up to the last end before the next one begins."""
    text = "<Security>" + "".join(parts)
    found = kept(text).decode()
    if text.count("Password") <= MOST_PASSWORDS:
        first = next((place for place, one in enumerate(parts) if "Password" in one and "/" not in one), len(parts))
        assert found.startswith("<Security>" + "".join(parts[: first + 1]))
        last = max((place for place, one in enumerate(parts) if "Password" in one), default=-1)
        assert found.endswith("".join(parts[last + 1 :])) or "/" not in parts[last]

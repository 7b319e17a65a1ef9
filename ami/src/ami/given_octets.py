"""Octets as people have them: hex in any dress, copied from a log, in a file of text or of octets.

White space, colons, commas, dashes, 0x and arrows mean nothing; what follows a # is a remark. Frames are told apart by their
own headers, so any number may follow each other; APDUs without frames stand one on a line.
"""

import re
from pathlib import Path
from typing import BinaryIO

from ami.capture import is_capture
from dlms.tree import Session, explain, is_sound

STANDARD_INPUT = "-"
_DRESS = re.compile(r"0x|\\x|[\s:;,._|<>=\[\](){}\"'→←⟶⟵⇒⇐-]", re.IGNORECASE)
_REMARK = re.compile(r"#.*")
_HEX = re.compile(r"[0-9a-fA-F]*")
_FRAMED = (b"\x7e", b"\x00\x01")


class NotOctets(Exception):
    """What was given is no hex and no file; the text says where it stops being so."""


def take(argument: str, standard_input: BinaryIO) -> list[bytes] | bytes:
    """The messages behind one argument: a file of this name, `-` for standard input, or the hex itself; a capture as it is."""
    if argument == STANDARD_INPUT:
        content = standard_input.read()
        return content if is_capture(content) else messages(content, "standard input")
    if (path := _file(argument)) is not None:
        content = path.read_bytes()
        return content if is_capture(content) else messages(content, argument)
    return from_text(argument, f"no file {argument!r}, and no hex" if "/" in argument else "neither a file nor hex")


def _file(argument: str) -> Path | None:
    try:
        path = Path(argument)
        return path if path.is_file() else None
    except (OSError, ValueError):
        return None


def messages(content: bytes, place: str) -> list[bytes]:
    """Text is read as hex, all else is taken as it is."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return [content]
    if any(letter < " " and not letter.isspace() for letter in text):
        return [content]
    return from_text(text, f"{place} is text, and no hex")


def from_text(text: str, complaint: str) -> list[bytes]:
    """One message, or one of each line when every line is an APDU of its own; NotOctets when a character has no place."""
    lines = [_octets(line, number, complaint) for number, line in enumerate(text.splitlines(), 1)]
    lines = [line for line in lines if line]
    if not lines:
        raise NotOctets("nothing to decode: give hex, a file, or - for standard input")
    if len(lines) > 1 and not lines[0].startswith(_FRAMED) and _are_apdus(lines):
        return lines
    return [b"".join(lines)]


def _octets(line: str, number: int, complaint: str) -> bytes:
    digits = _DRESS.sub("", _REMARK.sub("", line))
    if not _HEX.fullmatch(digits):
        wrong = next(letter for letter in digits if not _HEX.fullmatch(letter))
        raise NotOctets(f"{complaint}: {wrong!r} in line {number}, column {line.index(wrong) + 1}, is no hex digit")
    if len(digits) % 2:
        raise NotOctets(f"{complaint}: line {number} has {len(digits)} hex digits, and two make an octet")
    return bytes.fromhex(digits)


def _are_apdus(lines: list[bytes]) -> bool:
    return all(is_sound(tree) for line in lines for tree in explain(line, Session()))

"""What `ami decode` is given: hex on the command line, files of text, of octets or captures, standard input."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from ami.decode.capture import is_capture
from ami.decode.errors import NotOctets
from ami.decode.pasted import read_text
from dlms.tree import MISSING, Session, explain, is_sound

STANDARD_INPUT = "-"
MOST = 1 << 24
"""Octets of a file that is no capture."""
_FRAMED = (b"\x7e", b"\x00\x01", b"\x68")
_WIDE = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


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
    if len(content) > MOST:
        raise NotOctets(f"{place} has {len(content):,} octets, more than {MOST:,}, and is no capture")
    text = _text(content)
    return [content] if text is None else from_text(text, f"{place} is text, and no hex")


def _text(content: bytes) -> str | None:
    """The text of a file, in Latin-1 when it is not UTF-8; None when its octets are none: frames have control characters."""
    wide = _WIDE.get(content[:2])
    for encoding in (wide,) if wide else ("utf-8-sig", "latin-1"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if all(letter.isspace() or letter.isprintable() for letter in text.removeprefix("\ufeff")):
            return text
    return None


def from_text(text: str, complaint: str) -> list[bytes]:
    """One message, or one of each line when every line is an APDU of its own; NotOctets when something has no place."""
    try:
        pieces = [piece for piece in read_text(text) if piece]
    except NotOctets as error:
        raise NotOctets(f"{complaint}: {error}") from None
    if len(pieces) > 1 and not pieces[0].startswith(_FRAMED) and _are_apdus(pieces):
        return pieces
    return [b"".join(pieces)]


def _are_apdus(pieces: list[bytes]) -> bool:
    trees = [tree for piece in pieces for tree in explain(piece, Session())]
    return len(trees) == len(pieces) and all(is_sound(tree) and tree.type != MISSING for tree in trees)

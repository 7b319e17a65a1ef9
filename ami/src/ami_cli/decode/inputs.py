"""What `ami decode` is given: hex on the command line, files of text, of octets or captures, standard input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfileobj
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from ami_cli.decode.captures.files import is_capture
from ami_cli.decode.errors import NotOctets
from ami_cli.decode.pasted import read_text
from ami_dlms.explain import MISSING, DecodingSession, explain, is_sound

STANDARD_INPUT = "-"
MOST = 1 << 24
"""Octets of a file that is no capture."""
_FRAMED = (b"\x7e", b"\x00\x01", b"\x68")
_WIDE = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


@dataclass(frozen=True, slots=True)
class Input:
    """One of the things given: the messages in it, or the capture that it is, which can be read more than once."""

    name: str
    messages: Sequence[bytes] = ()
    capture: BinaryIO | None = None
    size: int = 0


def take(arguments: Sequence[str], standard_input: BinaryIO) -> Iterator[Input]:
    """Files and `-` each for itself; anything else is hex, together. NotOctets when a file is not there, or is none."""
    arguments = arguments or [STANDARD_INPUT]
    paths = [_file(argument) for argument in arguments]
    named = [path is not None or argument == STANDARD_INPUT for path, argument in zip(paths, arguments, strict=True)]
    if not any(named):
        text = " ".join(arguments)
        yield Input("", from_text(text, f"no file {text!r}, and no hex" if "/" in text else "neither a file nor hex"))
        return
    if not all(named):
        raise NotOctets(f"no file {arguments[named.index(False)]!r}")
    for path, argument in zip(paths, arguments, strict=True):
        if path is None:
            yield _from_stream(standard_input)
        else:
            yield _from_file(path, argument)


def _from_file(path: Path, name: str) -> Input:
    with path.open("rb") as file:
        head = file.read(4)
        if not is_capture(head):
            return Input(name, messages(head + file.read(MOST + 1), name))
    return Input(name, capture=path.open("rb"), size=path.stat().st_size)


def _from_stream(stream: BinaryIO) -> Input:
    """A capture that is piped in waits in a temporary file: its keys may be known only when all of it has been seen."""
    head = stream.read(4)
    if not is_capture(head):
        return Input("standard input", messages(head + stream.read(MOST + 1), "standard input"))
    file = cast(BinaryIO, SpooledTemporaryFile(max_size=MOST))  # noqa: SIM115 (who reads it closes it)
    file.write(head)
    copyfileobj(stream, file)
    size = file.tell()
    file.seek(0)
    return Input("standard input", capture=file, size=size)


def _file(argument: str) -> Path | None:
    try:
        path = Path(argument)
        return path if path.is_file() else None
    except (OSError, ValueError):
        return None


def messages(content: bytes, place: str) -> list[bytes]:
    """Text is read as hex, all else is taken as it is."""
    if len(content) > MOST:
        raise NotOctets(f"{place} has more than {MOST:,} octets and is no capture")
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
        if not pieces:
            raise NotOctets("nothing to decode")
    except NotOctets as error:
        raise NotOctets(f"{complaint}: {error}") from None
    if len(pieces) > 1 and not pieces[0].startswith(_FRAMED) and _are_apdus(pieces):
        return pieces
    return [b"".join(pieces)]


def _are_apdus(pieces: list[bytes]) -> bool:
    trees = [tree for piece in pieces for tree in explain(piece, DecodingSession())]
    return len(trees) == len(pieces) and all(is_sound(tree) and tree.type != MISSING for tree in trees)

"""A recorded session as a file: one JSON object a line, the first says what it is, each further one is an APDU in clear and without secrets.

It holds readings and names, so it is its owner's alone; it holds no key. What comes from such a file is checked as what comes from a line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from ami_cli.proxy.passing import Passed
from ami_cli.proxy.taps import Framing
from ami_dlms.explain.keyring import MOST_WAITING

FORM, VERSION = "ami proxy session", 1
LONGEST_LINE = 2 * MOST_WAITING + (1 << 20)
"""What was put together of blocks, as digits, and beside it the last of them with its words: the longest that a record can have."""
MOST_MESSAGES = 1_000_000
MOST_OCTETS = 512 << 20
"""Of a file: whoever reads one has it in memory."""
MODE = 0o600


class SessionFileError(ValueError):
    """A file that can't be used; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One APDU of the file, as `Passed` has it."""

    at: datetime
    connection: int
    from_client: bool
    client: int
    server: int
    clear: bytes | None
    initiate: bytes | None = None
    whole: bytes | None = None
    control: int | None = None

    @classmethod
    def parse(cls, line: Mapping[str, Any]) -> Self:
        """ValueError, KeyError or TypeError for anything else."""
        return cls(
            datetime.fromisoformat(line["at"]),
            int(line["connection"]),
            {"client": True, "meter": False}[line["from"]],
            _port(line["client"]),
            _port(line["server"]),
            _octets(line.get("clear")),
            _octets(line.get("initiate")),
            _octets(line.get("whole")),
            None if line.get("control") is None else int(line["control"]),
        )


@dataclass(frozen=True, slots=True)
class RecordedSession:
    """A whole file."""

    framing: Framing
    messages: tuple[Recorded, ...]


def new_file(path: Path) -> int:
    """The descriptor of a file that was not there before, for its owner alone; SessionFileError when it can't be made."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    except FileExistsError:
        raise SessionFileError(f"{path} is there already; a record is a new file: give another name") from None
    except OSError as error:
        raise SessionFileError(f"{path} can't be written: {error.strerror}") from None


class SessionWriter:
    """Writes one as it happens; each line is there when its method returns."""

    def __init__(self, path: Path, framing: Framing, at: datetime, most_octets: int) -> None:
        """SessionFileError when it can't be made, or is there already."""
        self._file = os.fdopen(new_file(path), "w", encoding="utf-8", errors="backslashreplace", buffering=1)
        self._left = most_octets
        self.messages = 0
        self.full = False
        self._write({"form": FORM, "version": VERSION, "framing": str(framing), "began_at": at.isoformat()})

    def message(self, one: Passed) -> None:
        """One APDU, unless the file is full."""
        line: dict[str, Any] = {"at": one.at.isoformat(), "connection": one.connection}
        line |= {"from": "client" if one.from_client else "meter", "client": one.client, "server": one.server}
        line |= {"says": one.line}
        for name, octets in (("clear", one.clear), ("initiate", one.initiate), ("whole", one.whole)):
            if octets is not None:
                line[name] = octets.hex()
        if one.control is not None:
            line["control"] = one.control
        self._write(line)

    def _write(self, line: Mapping[str, Any]) -> None:
        text = json.dumps(line, ensure_ascii=False) + "\n"
        self._left -= len(text.encode("utf-8", "backslashreplace"))
        self.full = self.full or self._left < 0
        if not self.full:
            self._file.write(text)
            self.messages += 1

    @property
    def closed(self) -> bool:
        """Whether the end was written."""
        return self._file.closed

    def close(self) -> None:
        """The end of the file."""
        self._file.close()


def read_session(path: Path) -> RecordedSession:
    """SessionFileError for what is no such file, OSError for what can't be read."""
    lines = _lines(path)
    first = next(lines, None)
    if first is None or first[1].get("form") != FORM:
        raise SessionFileError(f"{path}: no session of `ami proxy record`")
    if first[1].get("version") != VERSION:
        raise SessionFileError(f"{path}: version {first[1].get('version')!r}, this program reads {VERSION}")
    try:
        framing = Framing(str(first[1].get("framing")))
    except ValueError:
        raise SessionFileError(f"{path}: framing {str(first[1].get('framing'))[:40]!r} is not known") from None
    return RecordedSession(framing, tuple(_messages(path, lines)))


def _messages(path: Path, lines: Iterator[tuple[int, dict[str, Any]]]) -> Iterator[Recorded]:
    for number, line in lines:
        if number > MOST_MESSAGES:
            raise SessionFileError(f"{path}: more than {MOST_MESSAGES:,} messages")
        try:
            yield Recorded.parse(line)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise SessionFileError(f"{path}, line {number}: no message ({type(error).__name__}: {error})") from None


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open("rb") as file:
        number, left = 0, MOST_OCTETS
        while octets := file.readline(LONGEST_LINE + 1):
            number, left = number + 1, left - len(octets)
            if left < 0:
                raise SessionFileError(f"{path}: more than {MOST_OCTETS >> 20} MiB")
            if len(octets) > LONGEST_LINE:
                raise SessionFileError(f"{path}, line {number}: longer than {LONGEST_LINE:,} octets")
            try:
                line = json.loads(octets)
            except (ValueError, RecursionError):
                if number > 1 and not octets.endswith(b"\n"):  # the last, cut when the recorder was killed
                    return
                raise SessionFileError(f"{path}, line {number}: no JSON") from None
            if not isinstance(line, dict):
                raise SessionFileError(f"{path}, line {number}: no object")
            yield number, line


def _octets(value: object) -> bytes | None:
    return None if value is None else bytes.fromhex(str(value))


def _port(value: object) -> int:
    number = int(str(value))
    if not 0 <= number <= 0xFFFF:
        raise ValueError(f"a wrapper port is a number of 16 bits, not {number}")
    return number

"""What a meter keeps over a restart, as files that a person can read: one JSON file, and one file of rows per profile.

Strategy: the JSON file is small and replaced as a whole by renaming, rows are appended as lines of hex digits; a torn last
line is dropped. Both survive the death of the process at any instant; a power cut of the machine may cost the last writes.
Invocation counters stand in the file ahead of their use: after a clean end exactly, after a crash with a gap.
"""

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

FORMAT = 1
COMPACT_AT = 2
"""A file of rows is rewritten when it holds so many times what the profile may hold."""


class StateError(Exception):
    """A state file can't be used; the text says which and what to do."""


@dataclass(slots=True, kw_only=True)
class MeterState:
    """Everything but the rows. Times are seconds since the epoch; energies are watt-seconds."""

    control_mode: int
    control_state: int
    configured_control_mode: int
    import_ws: int
    export_ws: int
    offset_s: int
    time_zone_minutes: int
    configured_time_zone_minutes: int
    event_code: int
    profile_status: int
    captured_until_s: int
    send_from: int
    receive_from: int


class StateFiles:
    """The files of one meter in the state directory."""

    __slots__ = ("_directory", "_name")

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._name = name

    @property
    def _path(self) -> Path:
        return self._directory / f"{self._name}.json"

    def load(self) -> MeterState | None:
        """What was kept, None for a new meter; StateError for a file that is not ours."""
        try:
            content = json.loads(self._path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise self._unusable(type(error).__name__) from None
        names = {one.name for one in fields(MeterState)}
        if not isinstance(content, dict) or content.pop("format", None) != FORMAT or set(content) != names:
            raise self._unusable("another format")
        if not all(type(value) is int for value in content.values()):
            raise self._unusable("a value that is no whole number")
        return MeterState(**content)

    def _unusable(self, why: str) -> StateError:
        return StateError(f"{self._path} can't be used ({why}): mend it, or remove it and give the meter new keys")

    def save(self, state: MeterState) -> None:
        """Replace the file; StateError when that is impossible."""
        _replace(self._path, json.dumps({"format": FORMAT} | asdict(state), indent=1) + "\n")

    def rows(self, profile: str, entries: int) -> "RowFile":
        """The buffer of one profile, by a name that may stand in a file name."""
        return RowFile(self._directory / f"{self._name}.{profile}.rows", entries)


class RowFile:
    """A profile's buffer: the newest `entries` lines of a file, read only when somebody asks."""

    __slots__ = ("_entries", "_mended", "_path", "_rows")

    def __init__(self, path: Path, entries: int) -> None:
        self._path = path
        self._entries = entries
        self._rows: deque[bytes] | None = None
        self._mended = False

    def read(self) -> Sequence[bytes]:
        """All rows, the oldest first."""
        return list(self._loaded())

    def append(self, row: bytes) -> None:
        """Write a row behind the others; the file is shortened now and then."""
        line = row.hex() + "\n"
        try:
            size = self._write_behind(line)
        except OSError as error:
            raise StateError(f"{self._path} can't be written: {error.strerror}") from None
        if self._rows is not None:
            self._rows.append(row)
        if size > COMPACT_AT * self._entries * len(line):
            self._rewrite()

    def clear(self) -> None:
        """Forget all rows."""
        self._rows = deque(maxlen=self._entries)
        self._rewrite()

    def _write_behind(self, line: str) -> int:
        if not self._mended:
            self._mend()
        with self._path.open("a", encoding="ascii") as file:
            file.write(line)
            return file.tell()

    def _mend(self) -> None:
        """Cut off the last line if a crash tore it, so that the next row does not grow onto it."""
        self._mended = True
        if not self._path.exists():
            return
        with self._path.open("rb+") as file:
            content = file.read()
            if not content.endswith(b"\n"):
                file.truncate(content.rfind(b"\n") + 1)

    def _loaded(self) -> deque[bytes]:
        if self._rows is None:
            self._rows = deque(_rows_of(self._path), maxlen=self._entries)
        return self._rows

    def _rewrite(self) -> None:
        _replace(self._path, "".join(row.hex() + "\n" for row in self._loaded()))


def _replace(path: Path, text: str) -> None:
    """All of it or nothing: a reader sees the old file or the new one."""
    new = path.with_name(path.name + ".new")
    try:
        new.write_text(text, "utf-8")
        new.replace(path)
    except OSError as error:
        raise StateError(f"{path} can't be written: {error.strerror}") from None


def _rows_of(path: Path) -> list[bytes]:
    """The rows of a file; a last line without its end was torn by a crash and does not count."""
    try:
        complete, _, _ = path.read_text("ascii").rpartition("\n")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"{path} can't be read ({type(error).__name__})") from None
    try:
        return [bytes.fromhex(line) for line in complete.splitlines()]
    except ValueError:
        raise StateError(f"{path} can't be used: mend it or remove it") from None

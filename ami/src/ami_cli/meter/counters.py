"""Our invocation counters in a small file: values are written down before they are used, so none is ever used twice.

The file also keeps a system title of our own, drawn at random when it is first needed. It must not be the head-end's: two
programs that count for themselves under one title and one key would use an initialization vector twice, which breaks
AES-GCM. Under titles of their own they can't, and the meter is content as long as the counter rises (docs/adr/0003).
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ami_cli.meter.errors import ExitCode, MeterError
from ami_dlms.security import COUNTER_END, SendCounter
from ami_process.platforms import NeedsPosix

try:
    import fcntl
except ModuleNotFoundError as missing:
    raise NeedsPosix(missing) from None

FORMAT = 1
RESERVED_AT_ONCE = 4096
LOW = 64
MAX_JUMP = 2**20  # above ours, to be believed; a key that is new here may begin in the lower half
HALF = COUNTER_END // 2
MANUFACTURER = b"AMI"
RANDOM_OCTETS = 5


def default_file(environ: Mapping[str, str]) -> Path:
    """Where the counters are kept by default."""
    state = environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "ami" / "invocation-counters.json"


class CounterFile:
    """The file; every method reads and writes it under a lock of the system's, so two commands at once are no danger."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def own_title(self, random: bytes) -> bytes:
        """The system title of this file; `random` becomes part of it when there is none yet."""
        with self._locked() as content:
            title: str = content.setdefault("system_title", (MANUFACTURER + random[:RANDOM_OCTETS]).hex().upper())
        return bytes.fromhex(title)

    def reserve(
        self, name: str, at_least: int, *, exactly: bool = False, ours: bool = False, count: int = RESERVED_AT_ONCE
    ) -> SendCounter:
        """Unused values; `name` identifies key and title. With `exactly` the first has to be `at_least`,
        which a person has given; without, it is what a meter claims, and is believed within bounds, or it is `ours`."""
        with self._locked() as content:
            following = content["next"].get(name, 0)
            if exactly and at_least < following:
                raise MeterError(
                    ExitCode.USAGE,
                    f"values below {following} have been used with this key and system title",
                    where="--counter" if ours else "--invocation-counter",
                    hint=f"give {following} or more: no value may be used twice (kept in {self._path})",
                )
            if not exactly and not ours:
                _believe(at_least, following)
            first = max(at_least, following)
            if first + LOW > COUNTER_END:
                raise MeterError(ExitCode.NOT_TRUSTED, "the invocation counter is at its end", hint="change the keys")
            limit = min(first + count, COUNTER_END)
            content["next"][name] = limit
        return SendCounter(first, limit)

    def top_up(self, name: str, counter: SendCounter) -> None:
        """Reserve more when little is left."""
        if counter.remaining >= LOW or counter.limit == COUNTER_END:
            return
        with self._locked() as content:
            if content["next"].get(name) != counter.limit:
                raise MeterError(
                    ExitCode.NOT_TRUSTED,
                    "another command has reserved the next invocation counters in the meantime",
                    hint="let one command at a time work with these keys",
                )
            content["next"][name] = min(counter.limit + RESERVED_AT_ONCE, COUNTER_END)
        counter.extend(content["next"][name])

    def give_back(self, name: str, counter: SendCounter) -> None:
        """What was not used, unless somebody has reserved behind it."""
        with self._locked() as content:
            if content["next"].get(name) == counter.limit:
                content["next"][name] = counter.next_value

    @contextmanager
    def _locked(self) -> Iterator[dict[str, Any]]:
        """The content, to be changed; it is on disk when the block is left."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._path.with_name(self._path.name + ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                content = self._read()
                yield content
                self._write(content)
        except OSError as error:
            raise MeterError(
                ExitCode.USAGE,
                f"can't be used: {error.strerror}",
                where=str(self._path),
                hint="choose another file with --counters",
            ) from None

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self._path.read_text("utf-8"))
        except FileNotFoundError:
            return {"format": FORMAT, "next": {}}
        except ValueError:
            content = None
        if (
            not isinstance(content, dict)
            or content.get("format") != FORMAT
            or not isinstance(content.get("next"), dict)
        ):
            raise MeterError(
                ExitCode.USAGE,
                "is not a file of invocation counters",
                where=str(self._path),
                hint="mend it; or remove it, and the meters' own counters are asked (docs/adr/0003)",
            )
        return content

    def _write(self, content: Mapping[str, Any]) -> None:
        new = self._path.with_name(self._path.name + ".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)


def _believe(claimed: int, ours: int) -> None:
    """A meter's counter is read unprotected, and a value near the end would spend the key in the meter for good
    (docs/mapping.md, M-041)."""
    highest = ours + MAX_JUMP if ours else HALF
    if claimed > highest:
        raise MeterError(
            ExitCode.NOT_TRUSTED,
            f"the meter says that it takes no invocation counter below {claimed}; nothing above {highest} is believed",
            where="--invocation-counter",
            hint=f"somebody else may have answered; if it is true, say so: --invocation-counter {claimed}",
        )

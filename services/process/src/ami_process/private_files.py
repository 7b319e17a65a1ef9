"""Small files with secrets of a process, of which its owner alone may read anything: read with a refusal in a sentence, made whole or not at all."""

import os
import stat
import tempfile
from pathlib import Path

from ami_process.ownership import PRIVATE, PRIVATE_DIRECTORY
from ami_process.settings import SettingsError


def read_private(file: Path, setting: str, what: str, most: int) -> str:
    """The ASCII text of a file that is expected to hold `what`. Raises SettingsError, which names `setting` and never the content."""
    try:
        with file.open("rb") as opened:
            about = os.fstat(opened.fileno())
            if not stat.S_ISREG(about.st_mode) or about.st_size > most:
                raise SettingsError(f"{setting}: {file} is no file of {what}")
            if about.st_mode & ~PRIVATE & 0o777:
                raise SettingsError(f"{setting}: {file} can be read or changed by others: chmod 600 {file}")
            return opened.read(most).decode("ascii")
    except OSError as problem:
        raise _unusable(file, setting, problem) from None
    except UnicodeDecodeError:
        raise SettingsError(f"{setting}: {file} can't be used: it is no text") from None


def make_private_file(file: Path, setting: str, text: str) -> None:
    """The whole file where there is none yet, also when two processes make it at once: the first one's stays. Raises SettingsError."""
    try:
        if file.exists():
            return
        written = _written(file, text)
        try:
            file.hardlink_to(written)
        except FileExistsError:
            return
        finally:
            written.unlink()
    except OSError as problem:
        raise _unusable(file, setting, problem) from None


def replace_private_file(file: Path, setting: str, text: str) -> None:
    """The same for a file that is there: it has the old text or the new one. Raises SettingsError."""
    try:
        _written(file, text).replace(file)
        directory = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as problem:
        raise _unusable(file, setting, problem) from None


def _written(file: Path, text: str) -> Path:
    """A new file beside it with this text, on the disk."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=PRIVATE_DIRECTORY)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=file.name)  # for its owner alone
    with os.fdopen(descriptor, "w") as made:
        made.write(text)
        made.flush()
        os.fsync(made.fileno())
    return Path(name)


def _unusable(file: Path, setting: str, problem: OSError) -> SettingsError:
    return SettingsError(f"{setting}: {file} can't be used: {problem.strerror}")

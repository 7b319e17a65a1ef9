"""Where secrets are kept outside the configuration: variables of the environment and files, fetched for `env:` and `file:`.

A relative path starts at the working directory, as every path of the configuration does. A refusal never holds a value.
"""

from collections.abc import Mapping
from pathlib import Path

LONGEST_FILE = 1 << 20


class SecretSources:
    """Callable with `env` and a name or `file` and a path; what it holds, or ValueError with a sentence."""

    def __init__(self, environ: Mapping[str, str], directory: Path = Path()) -> None:
        self._environ = environ
        self._directory = directory

    def __call__(self, scheme: str, rest: str) -> str:
        if scheme == "file":
            return self._file(rest)
        if rest not in self._environ:
            raise ValueError(f"the environment has no variable {rest}")
        return self._environ[rest]

    def _file(self, path: str) -> str:
        try:
            with (self._directory / path).open(encoding="utf-8") as file:
                content = file.read(LONGEST_FILE + 1)
        except OSError as error:
            raise ValueError(f"the file {path} can't be read: {error.strerror}") from None
        except ValueError:  # it is no UTF-8, or the path holds a zero
            raise ValueError(f"the file {path} can't be read as text") from None
        if len(content) > LONGEST_FILE:
            raise ValueError(f"the file {path} has more than {LONGEST_FILE} letters")
        return content

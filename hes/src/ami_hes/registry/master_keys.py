"""Master keys, which seal the keys of the meters in the store: from a file, or from a variable of the environment.

Both hold hexadecimal digits of 32 octets, one key per line or word; lines that begin with # are none. The first key seals, all of them
open. What keeps a key elsewhere, as a key management service or an HSM does, is another implementation of `MasterKeys`:
it unwraps its key when it is first asked for it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from ami_process.private_files import make_private_file, read_private, replace_private_file
from ami_process.secret_sources import SecretSources
from ami_process.settings import SettingsError

OCTETS = 32
SETTING = "hes.master_key"
MAX_FILE = 65_536
NAME = "hes.master-key"
"""Of the file beside the store where the configuration names no other place."""
ENV, FILE = "env", "file"


@dataclass(frozen=True, slots=True)
class MasterKey:
    """A key of AES-256; `id` tells two of them apart and gives neither away."""

    octets: bytes = field(repr=False)
    id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", sha256(b"master-key" + self.octets).hexdigest()[:16])


class MasterKeys(Protocol):
    """The port to where master keys come from. Its methods raise SettingsError with a sentence."""

    @property
    def place(self) -> str:
        """Where they come from, for a person."""

    def current(self) -> MasterKey:
        """The one that seals; made where there is none and this place may make one."""

    def find(self, key_id: str) -> MasterKey | None:
        """The one of this id, to open what it has sealed; none is made."""

    def renew(self) -> None:
        """Have a new key seal from now on, where this place can make one; the older ones stay."""


class KeyFile:
    """A file for its owner alone (0600), made with a random key when the first secret has to be sealed."""

    def __init__(self, path: Path, random_bytes: Callable[[int], bytes]) -> None:
        self._path = path
        self._random_bytes = random_bytes

    @property
    def place(self) -> str:
        return f"the file {self._path}"

    def current(self) -> MasterKey:
        make_private_file(self._path, SETTING, self._new())
        return self._keys()[0]

    def find(self, key_id: str) -> MasterKey | None:
        if not self._path.exists():
            return None
        return next((key for key in self._keys() if key.id == key_id), None)

    def renew(self) -> None:
        older = "".join(f"{key.octets.hex()}\n" for key in (self._keys() if self._path.exists() else ()))
        replace_private_file(self._path, SETTING, self._new() + older)

    def _keys(self) -> Sequence[MasterKey]:
        return _parse(read_private(self._path, SETTING, "keys", MAX_FILE), self.place)

    def _new(self) -> str:
        return f"{self._random_bytes(OCTETS).hex()}\n"


class KeyVariable:
    """A variable of the environment; the keys in it are made by its owner, and not here."""

    def __init__(self, name: str, environ: Mapping[str, str]) -> None:
        self._name = name
        self._environ = environ

    @property
    def place(self) -> str:
        return f"the environment variable {self._name}"

    def current(self) -> MasterKey:
        return self._keys()[0]

    def find(self, key_id: str) -> MasterKey | None:
        return next((key for key in self._keys() if key.id == key_id), None)

    def renew(self) -> None:
        """The variable has the new key in front of the older ones already."""

    def _keys(self) -> Sequence[MasterKey]:
        try:
            text = SecretSources(self._environ)(ENV, self._name)
        except ValueError as problem:
            raise SettingsError(f"{SETTING}: {problem}") from None
        return _parse("\n".join(text.split()), self.place)


def master_keys_of(
    setting: str | None, store: Path | str, environ: Mapping[str, str], random_bytes: Callable[[int], bytes]
) -> MasterKeys:
    """What a configuration says: `env:NAME`, `file:PATH`, or nothing, for a file beside the store. Raises SettingsError."""
    if setting is None:
        return KeyFile(store.parent / NAME if isinstance(store, Path) else Path("var") / NAME, random_bytes)
    scheme, _, rest = setting.partition(":")
    if scheme == FILE and rest:
        return KeyFile(Path(rest), random_bytes)
    if scheme == ENV and rest:
        return KeyVariable(rest, environ)
    raise SettingsError(f"{SETTING}: expected env:NAME or file:PATH")


def _parse(text: str, place: str) -> Sequence[MasterKey]:
    lines = [line.strip() for line in text.splitlines()]
    keys = [_key(line, place) for line in lines if line and not line.startswith("#")]
    if not keys:
        raise SettingsError(f"{SETTING}: {place} holds no key")
    return keys


def _key(text: str, place: str) -> MasterKey:
    try:
        octets = bytes.fromhex(text)
    except ValueError:
        octets = b""
    if len(octets) != OCTETS:
        raise SettingsError(f"{SETTING}: {place} has to hold keys of {OCTETS} octets in hexadecimal digits")
    return MasterKey(octets)

"""Who asks, and what for: every request has one principal, from whatever proves it, and every route and message needs a role.

A principal is known by a bearer token (RFC 6750) or by the certificate that it shows over mutual TLS. Those of a process are in a file
(TOML), which holds no secret: of a token it has the SHA-256. What proves nothing is nobody, who has the roles that a set-up gives to nobody: all of
them at a loopback address where nothing else is said, and none elsewhere. A proof that is wrong is refused even then, and slows its address down.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.types import Scope

from ami_process.settings import SettingsError
from ami_process.tls import PeerCertificate
from ami_process.toml_texts import parse_toml

MAX_FILE = 1_000_000
OTHERS_MAY_WRITE = 0o022


class Role(StrEnum):
    """What somebody may do; each includes reading."""

    READER = "reader"
    """Look at everything but secrets."""
    OPERATOR = "operator"
    """Order readings, schedules, master data, deliveries: what takes no customer's power."""
    CONTROLLER = "controller"
    """Switch, and limit, and all other controls of meters."""
    SECURITY_OFFICER = "security-officer"
    """Change keys and firmware, admit meters."""
    ADMIN = "admin"
    """Everything."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `how` it is known: `token`, `certificate`, `loopback` or `nobody`."""

    name: str
    roles: frozenset[Role]
    how: str

    def may(self, role: Role) -> bool:
        """Whether it has this role, or one that includes it."""
        return role in self.roles or Role.ADMIN in self.roles or (role is Role.READER and bool(self.roles))


ADMIN = frozenset({Role.ADMIN})
LOCAL = Principal("local", ADMIN, "loopback")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody is not let in."""

    status: HTTPStatus
    reason: str


class Admission(Protocol):
    """Decides who a request comes from."""

    def admit(self, scope: Scope) -> Principal | Refusal:
        """The principal of a request (ASGI scope), or why it is none."""


class _Everybody:
    def admit(self, _: Scope) -> Principal | Refusal:
        return LOCAL


EVERYBODY: Admission = _Everybody()
"""Whoever asks is taken for somebody of this machine."""


class Entry(BaseModel):
    """One table `[[principals]]`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field(min_length=1, max_length=100)
    roles: frozenset[Role] = Field(min_length=1)
    token_sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """Of its bearer token."""
    certificate: str | None = Field(default=None, min_length=1, max_length=300)
    """A name in its certificate (`DNS:cis.example`), its subject (`CN=cis`), or its SHA-256 in hex."""

    @model_validator(mode="after")
    def _can_be_known(self) -> Self:
        if self.token_sha256 is None and self.certificate is None:
            raise ValueError("a principal needs token_sha256 or certificate, to be known by")
        return self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    principals: tuple[Entry, ...] = ()


class Principals:
    """Those of a file."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._by_token = {bytes.fromhex(one.token_sha256): one for one in entries if one.token_sha256 is not None}
        self._by_certificate = {one.certificate: one for one in entries if one.certificate is not None}

    def __len__(self) -> int:
        return len(self._by_token) + len(self._by_certificate)

    def of_token(self, token: str) -> Principal | None:
        """Each digest is compared, and in constant time, so that the time of a refusal tells nothing."""
        digest, found = sha256(token.encode()).digest(), None
        for known, entry in self._by_token.items():
            if hmac.compare_digest(digest, known):
                found = entry
        return None if found is None else Principal(found.name, found.roles, "token")

    def of_certificate(self, peer: PeerCertificate) -> Principal | None:
        """By its fingerprint, its subject, or one of its names; the most exact counts."""
        for key in (peer.fingerprint, peer.subject, *peer.names):
            if entry := self._by_certificate.get(key):
                return Principal(entry.name, entry.roles, "certificate")
        return None


def load(file: Path, setting: str) -> Principals:
    """The principals of a file. Raises SettingsError, which never holds a digest."""
    try:
        with file.open("rb") as opened:
            text = opened.read(MAX_FILE + 1)
        if file.stat().st_mode & OTHERS_MAY_WRITE:
            raise SettingsError(f"{setting}: {file} can be changed by others: chmod go-w {file}")
        entries = _File.model_validate(parse_toml(text.decode())).principals
    except OSError as problem:
        raise SettingsError(f"{setting}: {file} can't be read: {problem.strerror}") from None
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise SettingsError(f"{setting}: {file}: {where}: {first['msg'].removeprefix('Value error, ')}") from None
    except ValueError as problem:
        raise SettingsError(f"{setting}: {file} is not TOML: {problem}") from None
    for what in ("name", "token_sha256", "certificate"):
        values = [value for value in (getattr(one, what) for one in entries) if value is not None]
        if len(set(values)) < len(values):
            raise SettingsError(f"{setting}: {file}: two principals have the same {what}")
    return Principals(entries)


Roles = dict[tuple[str, str], Role]
"""What a route (path, method) needs."""


def lacking(principal: Principal, role: Role) -> str:
    """The sentence of a refusal."""
    return f"{principal.name} may not do this: it takes the role {role}"

"""Who asks, and what for: every request has one principal, from whatever proves it, and every route and message needs a role.

A principal is known by a bearer token (RFC 6750) or by the certificate that it shows over mutual TLS. Those of a process are in a file
(TOML), which holds no secret: of a token it has the SHA-256. What proves nothing is nobody, who has the roles that a set-up gives to nobody: all of
them at a loopback address where nothing else is said, and none elsewhere. A proof that is wrong is refused even then, and slows its address down.
"""

import hmac
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from starlette.types import Scope

from ami_process.secret_sources import SecretSources
from ami_process.settings import SettingsError
from ami_process.tls import PeerCertificate
from ami_process.toml_texts import parse_toml

MAX_FILE = 1_000_000
LEAST_PASSWORD = 16
"""Characters: of a digest that somebody has seen, short passwords can be tried out at leisure."""
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
    """Who asks. `how` it is known: `token`, `oidc`, `certificate`, `signature` or `username` (of its message), `loopback` or `nobody`."""

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
    unproved: bool = False
    """Whether nothing wrong was shown: what is sent may still prove who it is from."""


class Admission(Protocol):
    """Decides who a request comes from."""

    async def let_in(self, scope: Scope) -> Principal | Refusal:
        """The principal of a request (ASGI scope), or why it is none."""


class _Everybody:
    async def let_in(self, _: Scope) -> Principal | Refusal:
        return LOCAL


EVERYBODY: Admission = _Everybody()
"""Whoever asks is taken for somebody of this machine."""


UNNAMED_TOKEN = "token "  # noqa: S105 - the beginning of a name
"""Begins the name of who has a token of a process, and is not in the file of principals."""
OIDC_NAME = "oidc "
"""Begins the name of who is known by a token of an issuer alone."""
ITSELF = "the head-end"
"""What is done by nobody: a time that has run out, what was taken back with its request."""
_RESERVED = frozenset({"local", "session", "nobody", "unknown", "unnamed", ITSELF})


class Entry(BaseModel):
    """One table `[[principals]]`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field(min_length=1, max_length=100)
    roles: frozenset[Role] = Field(min_length=1)
    token_sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """Of its bearer token."""
    certificate: str | None = Field(default=None, min_length=1, max_length=300)
    """A name in its certificate (`DNS:cis.example`), its subject (`CN=cis`), or its SHA-256 in hex; of TLS, and of signatures of its messages."""
    oidc: str | None = Field(default=None, min_length=1, max_length=90)
    """What the tokens of the issuer call it: the claim that `oidc.name_claim` says."""
    username: str | None = Field(default=None, min_length=1, max_length=100)
    """Of a UsernameToken in its messages."""
    password: str | None = Field(default=None, pattern="^(env|file):.+")
    """Where its password is: `env:NAME` or `file:PATH`."""

    @field_validator("name")
    @classmethod
    def _is_nobody_elses(cls, value: str) -> str:
        if value.startswith((UNNAMED_TOKEN, OIDC_NAME)) or value in _RESERVED:
            raise ValueError(f"{value!r} is what somebody without a name is called")
        return value

    @model_validator(mode="after")
    def _can_be_known(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        if not any((self.token_sha256, self.certificate, self.oidc, self.username)):
            raise ValueError(
                "a principal needs token_sha256 or certificate, or oidc, or username with password, to be known by"
            )
        return self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    principals: tuple[Entry, ...] = ()


class Principals:
    """Those of a file."""

    def __init__(self, entries: Sequence[Entry], passwords: Mapping[str, str] | None = None) -> None:
        """`passwords` by username."""
        self._by_oidc = {one.oidc: one for one in entries if one.oidc is not None}
        self._by_username = {one.username: one for one in entries if one.username is not None}
        self._passwords = dict(passwords or {})
        self._by_token = {bytes.fromhex(one.token_sha256): one for one in entries if one.token_sha256 is not None}
        self._by_certificate = {one.certificate: one for one in entries if one.certificate is not None}

    def __len__(self) -> int:
        return len(self._by_token) + len(self._by_certificate) + len(self._by_oidc) + len(self._by_username)

    def of_token(self, token: str) -> Principal | None:
        """Each digest is compared, and in constant time, so that the time of a refusal tells nothing."""
        digest, found = sha256(token.encode()).digest(), None
        for known, entry in self._by_token.items():
            if hmac.compare_digest(digest, known):
                found = entry
        return None if found is None else Principal(found.name, found.roles, "token")

    def of_oidc(self, name: str) -> Principal | None:
        """Whom a token of the issuer names so."""
        entry = self._by_oidc.get(name)
        return None if entry is None else Principal(entry.name, entry.roles, "oidc")

    def of_username(self, username: str) -> tuple[Principal, str] | None:
        """Whom it names, and the password that proves it."""
        entry = self._by_username.get(username)
        return None if entry is None else (Principal(entry.name, entry.roles, "username"), self._passwords[username])

    def of_certificate(self, peer: PeerCertificate, how: str = "certificate") -> Principal | None:
        """By its fingerprint, its subject, or one of its names; the most exact counts."""
        for key in (peer.fingerprint, peer.subject, *peer.names):
            if entry := self._by_certificate.get(key):
                return Principal(entry.name, entry.roles, how)
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
    for what in ("name", "token_sha256", "certificate", "oidc", "username"):
        values = [value for value in (getattr(one, what) for one in entries) if value is not None]
        if len(set(values)) < len(values):
            raise SettingsError(f"{setting}: {file}: two principals have the same {what}")
    return Principals(entries, {one.username: _password(one, setting) for one in entries if one.username is not None})


def _password(entry: Entry, setting: str) -> str:
    scheme, _, rest = (entry.password or "").partition(":")
    try:
        password = SecretSources(os.environ)(scheme, rest).strip("\r\n")
    except ValueError as problem:
        raise SettingsError(f"{setting}: the password of {entry.name}: {problem}") from None
    if len(password) < LEAST_PASSWORD:
        raise SettingsError(f"{setting}: the password of {entry.name} has less than {LEAST_PASSWORD} characters")
    return password


Roles = dict[tuple[str, str], Role]
"""What a route (path, method) needs."""


def lacking(principal: Principal, role: Role) -> str:
    """The sentence of a refusal."""
    return f"{principal.name} may not do this: it takes the role {role}"

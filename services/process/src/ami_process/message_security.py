"""Who a message is from by what is in it, and the same for what we send: the policy of WS-Security, without its XML.

What a message shows (`Proof`) is read by pure functions that are handed in (`SecurityForm`). Here it is decided whether that is somebody, in time, and for the
first time. What was seen is remembered for as long as it could come again; where there is no room for more, messages are refused and nothing is forgotten.
Times are the machine's, as those of TLS are.
"""

import asyncio
import base64
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any, Protocol, Self

from pydantic import Field, model_validator
from starlette.types import Scope

from ami_process.doors import Attempts
from ami_process.environment import real_time
from ami_process.message_reader import MessageReader, MessageReading
from ami_process.principals import Principal, Principals, Refusal
from ami_process.private_files import read_private
from ami_process.replay_memory import MemoryFull, Remembers, ReplayMemory
from ami_process.secret_sources import SecretSources
from ami_process.settings import Seconds, Section, SettingsError
from ami_process.signing_authorities import NotTrusted, SigningAuthorities
from ami_process.sockets import counted_address
from ami_process.store.errors import StoreUnavailable
from ami_process.tls import TlsSettings
from ami_process.worker import Worker

LIGHT = 32_768
"""Octets of an answer that gets its header on the event loop."""
RANDOM_OCTETS = 32
MAX_FILE = 1_000_000
FAILED, EXPIRED, INVALID = "wsse:FailedAuthentication", "wsu:MessageExpired", "wsse:InvalidSecurity"
TOKEN, CHECK = "wsse:InvalidSecurityToken", "wsse:FailedCheck"
_PROVED = frozenset({"token", "oidc", "certificate"})
"""How a connection proves who it comes from."""


class SecurityMode(StrEnum):
    """What is asked of messages that come in."""

    OFF = "off"
    ACCEPTED = "accepted"
    REQUIRED = "required"


class Outgoing(StrEnum):
    """What messages of ours get."""

    NONE = "none"
    USERNAME = "username"
    SIGN = "sign"


class MessageSecuritySettings(Section):
    """`[cis.message_security]` and `[hes.message_security]`: WS-Security of messages ([sign-messages](howto/sign-messages.md))."""

    mode: SecurityMode = Field(
        default=SecurityMode.OFF,
        description="a Security header of messages that come in is not read; is read where there is one; has to be there",
    )
    signature: bool = Field(default=False, description="a UsernameToken is not enough: messages have to be signed")
    password_text: bool = Field(
        default=False,
        description="a UsernameToken with the password as it is (PasswordText) is taken, over https alone; else its digest alone",
    )
    authorities: Path | None = Field(
        default=None, description="who signs the certificates of those that sign messages; unset: those of TLS"
    )
    revoked: Path | None = Field(default=None, description="their revocation lists; unset: those of TLS")
    window_s: Seconds = Field(default=300.0, description="how old a message may be")
    clock_skew_s: float = Field(
        default=30.0, ge=0, le=600, description="by how much the clock of a sender may be ahead of ours"
    )
    remembered: int = Field(
        default=200_000,
        ge=100,
        description="nonces and signatures that are remembered for this long; when there are more, messages are refused (7.1)",
    )
    outgoing: Outgoing = Field(
        default=Outgoing.NONE, description="what messages that we begin get: requests, late replies, events"
    )
    responses: Outgoing = Field(default=Outgoing.NONE, description="what our answers get: `none` or `sign`")
    certificate: Path | None = Field(default=None, description="with which we sign; unset: that of TLS")
    key: Path | None = Field(default=None, description="its private key (0600); unset: that of TLS")
    username: str | None = Field(default=None, min_length=1, max_length=100, description="of our UsernameToken")
    password: str | None = Field(
        default=None, pattern="^(env|file):.+", description="its password: `env:NAME` or `file:PATH`"
    )
    password_as_text: bool = Field(
        default=False, description="the password as it is (PasswordText), which goes over https alone; else its digest"
    )

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        if self.outgoing is Outgoing.USERNAME and self.username is None:
            raise ValueError('outgoing = "username" needs username and password')
        if self.responses is Outgoing.USERNAME:
            raise ValueError("responses are signed, or not: a password is for requests")
        return self

    @property
    def keep_s(self) -> float:
        """How long what was seen could come again."""
        return self.window_s + 2 * self.clock_skew_s

    def with_files_of(self, tls: TlsSettings) -> Self:
        """The same with the files of TLS where it names none."""
        own = {} if self.certificate is not None else {"certificate": tls.certificate, "key": tls.key}
        trusted = {} if self.authorities is not None else {"authorities": tls.authorities, "revoked": tls.revoked}
        return self.model_copy(update=own | trusted)


class UsernameShown(Protocol):
    """A UsernameToken."""

    @property
    def username(self) -> str: ...
    @property
    def password(self) -> str | None: ...
    @property
    def digest(self) -> bytes | None: ...
    @property
    def nonce(self) -> bytes | None: ...
    @property
    def created(self) -> str: ...
    @property
    def created_at(self) -> datetime | None: ...


class Shown(Protocol):
    """What a message shows."""

    @property
    def created_at(self) -> datetime | None: ...
    @property
    def expires_at(self) -> datetime | None: ...
    @property
    def certificate(self) -> bytes | None: ...
    @property
    def signature_id(self) -> bytes | None: ...
    @property
    def username(self) -> Any: ...


class SecurityForm(MessageReading[Any], Protocol):
    """How the security of messages is read and written: pure functions."""

    def refused(self, fault: str, reason: str, details: str | None = None, code: str | None = None) -> Exception:
        """The error of a message that is not taken."""

    def load_signer(self, certificate: bytes, key: bytes) -> Any:
        """Of PEM files; raises ValueError."""

    def seal(self, octets: bytes, header: "SealedHeader") -> bytes:
        """A message with this Security header."""

    def without_passwords(self, octets: bytes) -> bytes:
        """What may be kept of a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedHeader:
    """The Security header of one message of ours; `chance`: 32 random octets, for it alone."""

    created_at: datetime
    expires_at: datetime
    chance: bytes = field(repr=False)
    signer: Any = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    password_as_text: bool = False
    must_understand: bool = True


def _now() -> datetime:
    return datetime.now(UTC)


class Sealing:
    """What messages of ours get."""

    def __init__(
        self,
        settings: MessageSecuritySettings,
        setting: str,
        form: SecurityForm,
        random_bytes: Callable[[int], bytes],
        now: Callable[[], datetime] = _now,
        *,
        signs: bool = False,
    ) -> None:
        """`signs`: some of them are signed, whatever is said for all. Raises SettingsError for files that can't be used."""
        self._settings, self._setting, self._form = settings, setting, form
        self._random_bytes, self._now = random_bytes, now
        signs = signs or Outgoing.SIGN in (settings.outgoing, settings.responses)
        self._signer = self._loaded() if signs else None
        self._password = self._secret() if settings.password is not None else None

    def _loaded(self) -> Any:
        certificate, key = self._settings.certificate, self._settings.key
        if certificate is None or key is None:
            raise SettingsError(f"{self._setting}: signing needs certificate and key, here or in the section of TLS")
        text = read_private(key, f"{self._setting}.key", "a private key", MAX_FILE)
        try:
            return self._form.load_signer(certificate.read_bytes()[:MAX_FILE], text.encode())
        except (OSError, ValueError, IndexError, TypeError) as problem:
            raise SettingsError(f"{self._setting}: {certificate} and {key} can't be used: {problem}") from None

    def _secret(self) -> str:
        scheme, _, rest = (self._settings.password or "").partition(":")
        try:
            return SecretSources(os.environ)(scheme, rest).strip("\r\n")
        except ValueError as problem:
            raise SettingsError(f"{self._setting}.password: {problem}") from None

    async def message(self, octets: bytes, how: Outgoing | None = None, *, encrypted: bool) -> bytes:
        """A request, a late reply or an event; `how`: of its receiver; `encrypted`: whether it goes over https."""
        how = self._settings.outgoing if how is None else how
        return await self._sealed(octets, how, encrypted=encrypted, must_understand=True)

    async def answer(self, octets: bytes) -> bytes:
        """An answer or a fault."""
        return await self._sealed(octets, self._settings.responses, encrypted=False, must_understand=False)

    async def _sealed(self, octets: bytes, how: Outgoing, *, encrypted: bool, must_understand: bool) -> bytes:
        if how is Outgoing.NONE:
            return octets
        now, named = self._now(), how is Outgoing.USERNAME
        if named and self._settings.password_as_text and not encrypted:
            raise SettingsError(f"{self._setting}.password_as_text: a password goes over https alone")
        header = SealedHeader(
            created_at=now,
            expires_at=now + timedelta(seconds=self._settings.window_s),
            chance=self._random_bytes(RANDOM_OCTETS),
            signer=self._signer if how is Outgoing.SIGN else None,
            username=self._settings.username if named else None,
            password=self._password if named else None,
            password_as_text=self._settings.password_as_text,
            must_understand=must_understand,
        )
        if len(octets) <= LIGHT:
            return self._form.seal(octets, header)
        return await asyncio.to_thread(self._form.seal, octets, header)


class MessageSecurity:
    """That of one endpoint, or of the answers to what one asks."""

    def __init__(
        self,
        settings: MessageSecuritySettings,
        setting: str,
        form: SecurityForm,
        worker: Worker,
        principals: Principals,
        sealing: Sealing,
        now: Callable[[], datetime] = _now,
        seconds: Callable[[], float] = real_time,
        memory: Remembers | None = None,
    ) -> None:
        """`worker` calls the function of `form`; `memory` is that of several processes. Raises SettingsError for files that can't be used."""
        self._settings, self._form, self._principals, self._sealing = settings, form, principals, sealing
        self._reader = MessageReader[Any](form, worker)
        self._now, self._attempts = now, Attempts(seconds)
        began_at = now().replace(microsecond=0)  # many write Created without a fraction
        self._memory = memory or ReplayMemory(settings.remembered, settings.keep_s, seconds, began_at)
        files = settings.authorities, settings.revoked
        self._authorities = None if files[0] is None else SigningAuthorities(files[0], files[1], setting)

    @property
    def reads(self) -> bool:
        """Whether messages that come in are looked at."""
        return self._settings.mode is not SecurityMode.OFF

    def keepable(self, octets: bytes) -> bytes:
        """A message as traces and stores may have it: without passwords."""
        return self._form.without_passwords(octets)

    async def answer(self, octets: bytes) -> bytes:
        """An answer of ours with what answers get."""
        return await self._sealing.answer(octets)

    async def sender(
        self, octets: bytes, charset: str | None, scope: Scope, connected: Principal | Refusal
    ) -> Principal | Refusal:
        """Who a message is from, `connected` being who its connection is from. Raises the error of the form, WorkerBusy and WorkerLost."""
        if not self.reads:
            return connected
        shown: Shown | None = await self._reader.read(octets, charset)
        if shown is None:
            if self._settings.mode is SecurityMode.REQUIRED:
                raise self._form.refused(
                    INVALID, "The message has no Security header, and here it has to have one", None, "7.2"
                )
            return connected
        self._check_time(shown)
        found = await self._proved(shown, scope)
        if isinstance(connected, Principal) and connected.how in _PROVED and connected.name != found.name:
            reason = f"The message is from {found.name} and its connection from {connected.name}: which of them asks is not known"
            raise self._form.refused(FAILED, reason)
        return found

    async def answerer(self, octets: bytes, charset: str | None, names: frozenset[str]) -> None:
        """Raises the error of the form unless an answer is signed, in time, by who has one of these names in its certificate."""
        shown: Shown | None = await self._reader.read(octets, charset)
        if shown is None or shown.certificate is None:
            raise self._form.refused(CHECK, "The answer is not signed, and here it has to be")
        self._check_time(shown)
        peer = self._trusted(shown.certificate)
        if names.isdisjoint({peer.fingerprint, peer.subject, *peer.names}):
            raise self._form.refused(FAILED, f"The answer is signed by {peer.subject}, who is not whom we have asked")
        await self._once(shown.signature_id or b"")

    async def check_replay(self, nonce: str, created_at: datetime) -> None:
        """Of Header.ReplayDetection (IEC 61968-100); raises the error of the form for one that is old or was seen."""
        self._check_moment(created_at, "ReplayDetection")
        await self._once(sha256(b"ReplayDetection" + nonce.encode()).digest())

    async def _proved(self, shown: Shown, scope: Scope) -> Principal:
        signer = None if shown.certificate is None else self._signer(shown.certificate)
        user = None if shown.username is None else self._user(shown.username, scope)
        found = signer or user
        if found is None:
            raise self._form.refused(
                INVALID,
                "The Security header proves nothing: it has neither a signature nor a UsernameToken",
                None,
                "7.2",
            )
        if signer is not None and user is not None and signer.name != user.name:
            raise self._form.refused(
                FAILED, f"The message is signed by {signer.name}, and its UsernameToken is {user.name}'s"
            )
        if signer is None and self._settings.signature:
            raise self._form.refused(
                TOKEN, "A UsernameToken is not enough here: Body and Timestamp have to be signed", None, "7.3"
            )
        nonce = None if shown.username is None else shown.username.nonce
        keys = [] if shown.signature_id is None else [shown.signature_id]
        keys += [] if nonce is None else [sha256(b"Nonce" + nonce).digest()]
        await self._once(*keys)
        return found

    def _signer(self, certificate: bytes) -> Principal:
        peer = self._trusted(certificate)
        found = self._principals.of_certificate(peer, "signature")
        if found is None:
            raise self._form.refused(
                FAILED, f"{peer.subject}, who has signed the message, is none of the principals here"
            )
        return found

    def _trusted(self, certificate: bytes) -> Any:
        if self._authorities is None:
            raise self._form.refused(
                FAILED, "Signatures are not taken here: no authority is named that certifies who signs"
            )
        try:
            return self._authorities.check(certificate, self._now())
        except NotTrusted as problem:
            raise self._form.refused(FAILED, f"The signature is not taken: {problem}") from None

    def _user(self, token: UsernameShown, scope: Scope) -> Principal:
        """Who shows the right password; wrong ones slow down this name from this address alone."""
        if token.password is not None and scope.get("scheme") != "https":
            raise self._form.refused(
                TOKEN, "A password as text is taken over https alone: send its digest", None, "7.6"
            )
        if token.password is not None and not self._settings.password_text:
            raise self._form.refused(TOKEN, "A password as text is not taken here: send its digest", None, "7.6")
        if token.created_at is not None:
            self._check_moment(token.created_at, "UsernameToken")
        tried = f"{counted_address((scope.get('client') or ('', 0))[0])} {token.username}"
        if wait_s := self._attempts.waits_s(tried):
            raise self._form.refused(
                FAILED,
                f"Too many wrong passwords of this name came from this address; try again in {wait_s:.0f} s",
                None,
                "7.1",
            )
        known = self._principals.of_username(token.username)
        if (
            not _is_right(token, known[1] if known is not None else base64.b64encode(os.urandom(16)).decode())
            or known is None
        ):
            self._attempts.failed(tried)
            raise self._form.refused(FAILED, "The username or the password is none that is known here")
        return known[0]

    def _check_time(self, shown: Shown) -> None:
        if shown.expires_at is not None and shown.expires_at <= self._now():
            raise self._form.refused(EXPIRED, "The message has expired, by its Timestamp")
        if shown.created_at is not None:
            self._check_moment(shown.created_at, "Timestamp")

    def _check_moment(self, created_at: datetime, what: str) -> None:
        now = self._now()
        if created_at > now + timedelta(seconds=self._settings.clock_skew_s):
            raise self._form.refused(EXPIRED, f"The {what} is of a time that is still to come: is a clock wrong?")
        if created_at < now - timedelta(seconds=self._settings.window_s):
            raise self._form.refused(EXPIRED, f"The {what} is older than {self._settings.window_s:g} s")
        since = self._memory.complete_since
        if since is not None and created_at < since:
            reason = f"The {what} is from before this process began to know what has come, so it may have come already: send it again"
            raise self._form.refused(EXPIRED, reason)

    async def _once(self, *keys: bytes) -> None:
        try:
            is_new = await self._memory.claim(*keys)
        except MemoryFull:
            reason = f"So many messages have come that no more can be told apart from repeated ones ({self._settings.remembered}): send it later"
            raise self._form.refused(FAILED, reason, None, "7.1") from None
        except StoreUnavailable as problem:
            reason = f"Whether the message has come before can't be looked up now: {problem}; send it later"
            raise self._form.refused(FAILED, reason, None, "5.1") from None
        if not is_new:
            raise self._form.refused(
                CHECK, "The message has come before: each one needs a new nonce, a new Timestamp and a new signature"
            )


def _is_right(token: UsernameShown, password: str) -> bool:
    if token.password is not None:
        return hmac.compare_digest(token.password.encode(), password.encode())
    text = (token.nonce or b"") + token.created.encode() + password.encode()
    return hmac.compare_digest(token.digest or b"", sha1(text).digest())  # noqa: S324 - the token profile's own

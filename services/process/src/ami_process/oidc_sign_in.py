"""A person signs in by an issuer: authorization code with PKCE (OpenID Connect Core 1.0, clause 3.1; RFC 7636; RFC 9700).

Whoever begins gets a `Flow`, which has to come back with the code: its state shows that it is the same browser, its nonce that the issuer's token was made for this
sign-in, its verifier that nobody else has taken the code. The ID token says who it is, by the same claims as a bearer token of the issuer.
"""

import asyncio
import base64
import hmac
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from ami_process.oidc import OidcSettings, TokenIssuer
from ami_process.oidc_documents import IssuerAway, IssuerDocuments
from ami_process.principals import Principal, Refusal
from ami_process.secret_sources import SecretSources
from ami_process.settings import SettingsError

RANDOM_OCTETS = 32
MOST_CODE = 4_096
AT_ONCE = 4
"""Codes that are exchanged at once: each is a request to the issuer, which anybody can cause."""
PARTS = 3


@dataclass(frozen=True, slots=True)
class Flow:
    """One sign-in that was begun."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)

    @classmethod
    def begun(cls, random_bytes: Callable[[int], bytes]) -> Self:
        """A new one."""
        return cls(*(_text(random_bytes(RANDOM_OCTETS)) for _ in range(PARTS)))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """What `format` wrote; None for anything else."""
        parts = text.split(".")
        return cls(*parts) if len(parts) == PARTS and all(parts) else None

    def format(self) -> str:
        """For a cookie of the browser that has begun it."""
        return f"{self.state}.{self.nonce}.{self.verifier}"


class OidcSignIn:
    """Of one client at one issuer."""

    def __init__(
        self, issuer: TokenIssuer, settings: OidcSettings, setting: str, trusted: ssl.SSLContext | None = None
    ) -> None:
        """Raises SettingsError for a secret that can't be read."""
        self._issuer, self._settings = issuer, settings
        self._documents = IssuerDocuments(settings.issuer or "", trusted)
        self._secret = None if settings.client_secret is None else _secret(settings.client_secret, setting)
        self._at_once = asyncio.Semaphore(AT_ONCE)

    @property
    def host(self) -> str:
        """Of the issuer, for people."""
        return urlsplit(self._settings.issuer or "").hostname or ""

    async def address(self, flow: Flow, redirect_uri: str) -> str:
        """Where the browser goes; raises IssuerAway."""
        async with self._at_once:
            endpoint = await asyncio.to_thread(self._documents.endpoint, "authorization_endpoint")
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id or "",
            "redirect_uri": redirect_uri,
            "scope": self._settings.scope,
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": _text(sha256(flow.verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

    async def principal(self, answer: Mapping[str, str], flow: Flow, redirect_uri: str) -> Principal | Refusal:
        """Who has signed in, by the parameters with which the browser has come back."""
        if not hmac.compare_digest(answer.get("state", "").encode(), flow.state.encode()):
            return _refused("it is the answer to another sign-in (state)")
        issuer = answer.get("iss")  # RFC 9207
        if issuer is not None and issuer.rstrip("/") != (self._settings.issuer or "").rstrip("/"):
            return _refused("it is the answer of another issuer (iss)")
        code = answer.get("code", "")
        if not 0 < len(code) <= MOST_CODE:
            return _refused(f"the issuer gives no code: {_word(answer.get('error'))}")
        form = {"code": code, "redirect_uri": redirect_uri, "code_verifier": flow.verifier}
        try:
            async with self._at_once:
                client_id = self._settings.client_id or ""
                tokens = await asyncio.to_thread(self._documents.exchanged, client_id, self._secret, form)
        except IssuerAway as problem:
            return _refused(str(problem))
        return await self._by_token(tokens.get("id_token"), flow)

    async def _by_token(self, token: Any, flow: Flow) -> Principal | Refusal:
        if not isinstance(token, str) or not self._issuer.may_be_one(token):
            return _refused("the issuer gives no ID token")
        client_id = self._settings.client_id or ""
        claims = await self._issuer.claims(token, client_id)
        if isinstance(claims, Refusal):
            return claims
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), flow.nonce.encode()):
            return _refused("its ID token was made for another sign-in (nonce)")
        audience, party = claims.get("aud"), claims.get("azp")
        if party != client_id if party is not None else isinstance(audience, list) and len(audience) > 1:
            return _refused("its ID token is for several, and not authorized for us (azp)")
        return self._issuer.named(claims)


def _secret(source: str, setting: str) -> str:
    scheme, _, rest = source.partition(":")
    try:
        return SecretSources(os.environ)(scheme, rest).strip("\r\n")
    except ValueError as problem:
        raise SettingsError(f"{setting}.client_secret: {problem}") from None


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def _word(error: str | None) -> str:
    """The code of an error (RFC 6749, clause 4.1.2.1); its description is anybody's text."""
    return error if error is not None and error.isascii() and error.isidentifier() and len(error) <= 100 else "none"


def _refused(why: str) -> Refusal:
    return Refusal(HTTPStatus.UNAUTHORIZED, f"the sign-in by the issuer is not taken: {why[:200]}")

"""What an OpenID Connect issuer says of itself, its keys and its tokens, fetched within bounds: small JSON over https, of the issuer's own addresses alone.

Each call blocks for as long as the issuer takes, up to an end; whoever has an event loop calls from a thread.
"""

import json
import ssl
from collections.abc import Mapping
from ipaddress import ip_address
from time import monotonic
from typing import Any
from urllib.parse import quote_plus

import httpx

WELL_KNOWN = "/.well-known/openid-configuration"
MOST = 200_000
"""Octets of a document."""
SECONDS = 5.0


class IssuerAway(Exception):
    """The issuer did not say what it was asked for; the text says why, and holds no secret."""


class IssuerDocuments:
    """Those of one issuer."""

    def __init__(self, issuer: str, trusted: ssl.SSLContext | None = None) -> None:
        """`trusted`: for https; None: the usual authorities."""
        self.issuer = issuer
        self._trusted = trusted

    def configuration(self) -> Mapping[str, Any]:
        """OpenID Connect Discovery 1.0, clause 4."""
        found = self._asked("GET", self.issuer.rstrip("/") + WELL_KNOWN)
        said = str(found.get("issuer"))
        if said.rstrip("/") != self.issuer.rstrip("/"):
            raise IssuerAway(f"{self.issuer} says that it is the issuer {said[:200]!r}")
        return found

    def keys(self) -> list[Mapping[str, Any]]:
        """Its public keys (RFC 7517)."""
        found = self._asked("GET", self.endpoint("jwks_uri")).get("keys")
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def token(self, client_id: str, secret: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        """The answer of its token endpoint to client credentials (RFC 6749, clause 4.4; both encoded as clause 2.3.1 has it)."""
        auth = httpx.BasicAuth(quote_plus(client_id), quote_plus(secret))
        form = {"grant_type": "client_credentials"} | dict(form)
        return self._asked("POST", self.endpoint("token_endpoint"), form, auth)

    def exchanged(self, client_id: str, secret: str | None, form: Mapping[str, str]) -> Mapping[str, Any]:
        """The same for an authorization code (RFC 6749, clause 4.1.3); without a secret the client is a public one."""
        auth = None if secret is None else httpx.BasicAuth(quote_plus(client_id), quote_plus(secret))
        form = {"grant_type": "authorization_code", "client_id": client_id} | dict(form)
        return self._asked("POST", self.endpoint("token_endpoint"), form, auth)

    def endpoint(self, name: str) -> str:
        """Where one of its endpoints is, by the name that Discovery has for it."""
        return check_issuer_url(str(self.configuration().get(name)), name)

    def _asked(
        self, method: str, url: str, form: Mapping[str, str] | None = None, auth: httpx.BasicAuth | None = None
    ) -> Mapping[str, Any]:
        trusted = self._trusted or (True if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        try:
            with (
                httpx.Client(timeout=SECONDS, verify=trusted, trust_env=False) as client,
                client.stream(method, url, data=form, auth=auth) as response,
            ):
                octets = _read(response, url)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as problem:
            raise IssuerAway(f"{url} can't be asked: {problem or type(problem).__name__}") from None
        if response.status_code != httpx.codes.OK:
            raise IssuerAway(f"{url} answers with the HTTP status {response.status_code}{_error(octets)}")
        found = _object(octets)
        if found is None:
            raise IssuerAway(f"{url} answers with no JSON object")
        return found


def check_issuer_url(url: str, name: str) -> str:
    """https, or this machine; raises IssuerAway."""
    try:
        parsed = httpx.URL(url)
        host = parsed.host
    except (httpx.InvalidURL, ValueError):
        raise IssuerAway(f"{name} is no URL") from None
    if parsed.scheme == "https" or (parsed.scheme == "http" and is_this_machine(host)):
        return url
    raise IssuerAway(f"{name} has to begin with https://, but for an issuer on this machine")


def is_this_machine(host: str) -> bool:
    """Whether a host is a loopback address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _read(response: httpx.Response, url: str) -> bytes:
    octets, until = bytearray(), monotonic() + SECONDS
    for chunk in response.iter_bytes():
        octets += chunk
        if len(octets) > MOST:
            raise IssuerAway(f"{url} answers with more than {MOST} octets")
        if monotonic() > until:
            raise IssuerAway(f"{url} takes longer than {SECONDS:g} s to answer")
    return bytes(octets)


def _object(octets: bytes) -> Mapping[str, Any] | None:
    try:
        found = json.loads(octets)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _error(octets: bytes) -> str:
    """The code of RFC 6749, clause 5.2, where there is one."""
    said = (_object(octets) or {}).get("error")
    return f": {said[:100]}" if isinstance(said, str) and said.isprintable() else ""

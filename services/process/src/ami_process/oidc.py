"""Who asks, by a token of an OpenID Connect issuer (JWT, RFC 7519 and 9068): signed by one of its keys, for us, in time; its claims give name and roles.

Its keys are kept, and fetched again when a token names one that is not among them, though not more often than every few seconds. An issuer that is away
keeps nobody out whose key is known; where none is known yet, nobody with a token of it is let in.
"""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from time import monotonic
from typing import Any, Self

from pydantic import Field, model_validator

from ami_process.http_urls import HttpUrl
from ami_process.oidc_documents import IssuerAway, IssuerDocuments, check_issuer_url
from ami_process.principals import OIDC_NAME, Principal, Principals, Refusal, Role
from ami_process.settings import Section

KINDS = {"RS256": "RSA", "ES256": "EC"}
"""Algorithms that are taken, and the kind of key of each: no other, and none with a secret that both sides have."""
FLOOR_S = 5.0
"""Keys are not fetched more often, whatever tokens name."""
MOST_KEYS = 100
MOST_TOKEN = 16_384
MOST_NAME = 90
LEAST_RSA = 2_048


class OidcSettings(Section):
    """`[cis.oidc]` and `[hes.oidc]`: the issuer whose tokens are taken ([use-an-issuer](howto/use-an-issuer.md))."""

    issuer: HttpUrl | None = Field(default=None, description="of OpenID Connect, as its tokens name it; unset: none")
    audience: str | None = Field(default=None, min_length=1, description="who its tokens have to be for (`aud`)")
    name_claim: str = Field(default="sub", min_length=1, description="claim that names who asks")
    roles_claim: str = Field(
        default="roles",
        min_length=1,
        description="claim that has the roles: a list, or words with spaces between, as `scope`; `a.b` is b inside of a",
    )
    roles: dict[str, tuple[Role, ...]] = Field(
        default={},
        description='our roles for each word of that claim, as `{ "ami-control" = ["controller"] }`; other words give none',
    )
    client_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="as the issuer knows the console, at which people sign in by it then; unset: by tokens alone",
    )
    client_secret: str | None = Field(
        default=None,
        pattern="^(env|file):.+",
        description="where the secret of that client is: `env:NAME` or `file:PATH`; unset: a public client",
    )
    scope: str = Field(
        default="openid",
        min_length=1,
        max_length=1_000,
        description="that is asked for at a sign-in, with spaces between",
    )
    clock_skew_s: float = Field(default=30.0, ge=0, le=600, description="by how much the issuer's clock may differ")
    keys_for_s: float = Field(
        default=3_600.0,
        ge=10,
        description="how long its keys are used before they are fetched again, as far as it is there",
    )

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.client_id is not None and self.issuer is None:
            raise ValueError("client_id needs issuer: it is that of a client there")
        if self.client_secret is not None and self.client_id is None:
            raise ValueError("client_secret needs client_id")
        if "openid" not in self.scope.split():
            raise ValueError("scope has to hold openid: without it the issuer says nothing of who signs in")
        if self.issuer is not None:
            if self.audience is None:
                raise ValueError("issuer needs audience: a token for somebody else is none for us")
            try:
                check_issuer_url(self.issuer, "issuer")
            except IssuerAway as problem:
                raise ValueError(str(problem)) from None
        return self


class _Keys:
    """The issuer's, by their kid."""

    def __init__(self, documents: IssuerDocuments, keys_for_s: float) -> None:
        self._documents, self._keys_for_s = documents, keys_for_s
        self._known: dict[str, Any] = {}
        self._looked_at = self._fetched_at = float("-inf")
        self._problem: IssuerAway | None = None
        """Why the issuer could not be asked when it was asked last."""
        self._looking = asyncio.Lock()

    async def key(self, kid: str) -> Any:
        """None where the issuer has none of this name; raises IssuerAway where it can't be asked and this one is not known."""
        if kid in self._known and (self._are_new(monotonic()) or self._looking.locked()):
            return self._known[kid]  # who has a known one waits for no look that is under way
        async with self._looking:
            await self._look(kid)
        if self._problem is not None and kid not in self._known:
            raise IssuerAway(str(self._problem))
        return self._known.get(kid)

    def _are_new(self, now: float) -> bool:
        return now <= self._fetched_at + self._keys_for_s

    async def _look(self, kid: str) -> None:
        now = monotonic()
        if (kid in self._known and self._are_new(now)) or now < self._looked_at + FLOOR_S:
            return
        try:
            found = await asyncio.to_thread(self._documents.keys)
        except IssuerAway as problem:
            self._problem = problem
        else:
            self._known, self._fetched_at, self._problem = _usable(found), now, None
        finally:
            self._looked_at = monotonic()  # its end: so who has waited for it looks at what came


def _usable(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Keys for signatures that have a kid, of the kinds that are taken."""
    import jwt  # takes 30 ms, which a process without an issuer need not spend

    usable: dict[str, Any] = {}
    for one in found[:MOST_KEYS]:
        kid = one.get("kid")
        if not isinstance(kid, str) or one.get("use", "sig") != "sig" or one.get("kty") not in KINDS.values():
            continue
        if one.get("kty") == "EC" and one.get("crv") != "P-256":
            continue
        try:
            key = jwt.PyJWK(dict(one), algorithm="RS256" if one["kty"] == "RSA" else "ES256")
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
        if one["kty"] == "EC" or key.key.key_size >= LEAST_RSA:
            usable[kid] = key
    return usable


class TokenIssuer:
    """One issuer, and what its tokens are good for."""

    def __init__(
        self, settings: OidcSettings, principals: Principals | None = None, trusted: ssl.SSLContext | None = None
    ) -> None:
        """`principals`: those that it knows by the claim that names them have their roles from there."""
        self.settings, self.trusted = settings, trusted
        self._principals = principals or Principals(())
        self._keys = _Keys(IssuerDocuments(settings.issuer or "", trusted), settings.keys_for_s)

    def with_principals(self, principals: Principals) -> Self:
        """The same, for a process with this file."""
        self._principals = principals
        return self

    @staticmethod
    def may_be_one(token: str) -> bool:
        """Whether it looks like a token of an issuer."""
        return token.count(".") == 2 and len(token) <= MOST_TOKEN

    async def principal(self, token: str) -> Principal | Refusal:
        """Whose token it is; what is refused is refused with a reason that has nothing of the token."""
        claims = await self.claims(token, self.settings.audience or "")
        return claims if isinstance(claims, Refusal) else self.named(claims)

    async def claims(self, token: str, audience: str) -> Mapping[str, Any] | Refusal:
        """What a token says that is right and for this audience."""
        import jwt

        try:
            algorithm, kid = _head(token)
            key = await self._keys.key(kid)
        except IssuerAway as problem:
            return Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE, f"the issuer of tokens can't be asked for its keys: {problem}"
            )
        except (jwt.PyJWTError, ValueError) as problem:
            return _refused(str(problem))
        if key is None or key.key_type != KINDS[algorithm]:
            return _refused("the issuer has no such key")
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=[algorithm],
                audience=audience,
                issuer=[self.settings.issuer or "", f"{self.settings.issuer}/"],
                leeway=self.settings.clock_skew_s,
                options={"require": ["exp", "iss", "aud"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as problem:
            return _refused(str(problem))
        return claims

    def named(self, claims: Mapping[str, Any]) -> Principal | Refusal:
        """Who they name."""
        name = _inside(claims, self.settings.name_claim)
        if not isinstance(name, str) or not 0 < len(name) <= MOST_NAME or not name.isprintable():
            return _refused(f"its claim {self.settings.name_claim} is no name")
        if known := self._principals.of_oidc(name):
            return known
        words = _inside(claims, self.settings.roles_claim)
        words = words.split() if isinstance(words, str) else words
        listed = [one for one in words if isinstance(one, str)] if isinstance(words, list) else []
        roles = frozenset(role for one in listed for role in self.settings.roles.get(one, ()))
        return Principal(f"{OIDC_NAME}{name}", roles, "oidc")


def _head(token: str) -> tuple[str, str]:
    """Algorithm and kid; ValueError for what is not taken."""
    import jwt

    head = jwt.get_unverified_header(token)
    algorithm, kid = head.get("alg"), head.get("kid")
    if algorithm not in KINDS:
        raise ValueError(f"it has to be signed by {' or '.join(KINDS)}")
    if not isinstance(kid, str) or len(kid) > 200:
        raise ValueError("it names no key (kid)")
    if "crit" in head:
        raise ValueError("it wants something that is not understood (crit)")
    return algorithm, kid


def _inside(claims: Mapping[str, Any], path: str) -> Any:
    """A claim by its name, or one inside of another; a name with dots that is there as it is, goes first."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _refused(why: str) -> Refusal:
    return Refusal(HTTPStatus.UNAUTHORIZED, f"the token of the issuer is not taken: {why[:200]}")

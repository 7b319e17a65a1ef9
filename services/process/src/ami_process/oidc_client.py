"""A token for what we ask, by OAuth 2.0 client credentials: fetched when it is needed, kept until shortly before it ends."""

import asyncio
import os
import ssl
from collections.abc import Callable
from time import monotonic
from typing import Self

from pydantic import Field, model_validator

from ami_process.http_urls import HttpUrl
from ami_process.oidc_documents import IssuerAway, IssuerDocuments, check_issuer_url
from ami_process.secret_sources import SecretSources
from ami_process.settings import Section, SettingsError

EARLY_S = 30.0
"""A token that ends sooner is not used any more."""
SHORTEST_S = 5.0
MOST_TOKEN = 16_384
VARIABLES = "AMI_OIDC_"


class OidcClientSettings(Section):
    """`[cis.oidc_client]`: where the CIS gets its bearer tokens for the HES ([use-an-issuer](howto/use-an-issuer.md))."""

    issuer: HttpUrl | None = Field(default=None, description="of OpenID Connect; unset: no token is sent")
    client_id: str | None = Field(default=None, min_length=1, max_length=200)
    """As the issuer knows us."""
    client_secret: str | None = Field(
        default=None, pattern="^(env|file):.+", description="where the secret is: `env:NAME` or `file:PATH`"
    )
    scope: str | None = Field(default=None, max_length=1_000, description="that is asked for, with spaces between")
    audience: str | None = Field(
        default=None, max_length=1_000, description="that is asked for, where the issuer wants to know"
    )

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.issuer is not None:
            if self.client_id is None or self.client_secret is None:
                raise ValueError("issuer needs client_id and client_secret")
            try:
                check_issuer_url(self.issuer, "issuer")
            except IssuerAway as problem:
                raise ValueError(str(problem)) from None
        return self


class ClientCredentials:
    """The token of one client. Neither it nor the secret is in a message of this class."""

    def __init__(
        self,
        settings: OidcClientSettings,
        setting: str,
        trusted: ssl.SSLContext | None = None,
        seconds: Callable[[], float] = monotonic,
    ) -> None:
        """Raises SettingsError for a secret that can't be read."""
        self._settings, self._seconds = settings, seconds
        self._documents = IssuerDocuments(settings.issuer or "", trusted)
        scheme, _, rest = (settings.client_secret or "").partition(":")
        try:
            self._secret = SecretSources(os.environ)(scheme, rest).strip("\r\n")
        except ValueError as problem:
            raise SettingsError(f"{setting}.client_secret: {problem}") from None
        self._token, self._until = "", 0.0
        self._fetching: asyncio.Task[str] | None = None

    async def token(self) -> str:
        """One that is good for a while; raises IssuerAway. All who wait for one get the same, or hear of the same problem."""
        if self._seconds() < self._until:
            return self._token
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetched())
            self._fetching.add_done_callback(self._is_fetched)
        return await asyncio.shield(self._fetching)

    async def _fetched(self) -> str:
        self._token, lifetime_s = await asyncio.to_thread(self.fetch)
        self._until = self._seconds() + max(lifetime_s - EARLY_S, min(lifetime_s / 2, SHORTEST_S))
        return self._token

    def _is_fetched(self, task: asyncio.Task[str]) -> None:
        self._fetching = None
        if not task.cancelled():
            task.exception()  # nobody may be waiting for it any more

    def forget(self) -> None:
        """The token was not taken: the next one is fetched."""
        self._until = 0.0

    def fetch(self) -> tuple[str, float]:
        """A new token, and for how many seconds it is good; raises IssuerAway."""
        wanted = {"scope": self._settings.scope, "audience": self._settings.audience}
        form = {name: value for name, value in wanted.items() if value is not None}
        answer = self._documents.token(self._settings.client_id or "", self._secret, form)
        token, lifetime_s = answer.get("access_token"), answer.get("expires_in", 60)
        usable = isinstance(token, str) and token.isascii() and token.isprintable() and " " not in token
        if not usable or not isinstance(token, str) or not 0 < len(token) <= MOST_TOKEN:
            raise IssuerAway(f"the issuer {self._settings.issuer} gives no token that can be sent")
        if str(answer.get("token_type", "bearer")).lower() != "bearer":
            raise IssuerAway(f"the issuer {self._settings.issuer} gives a token that is no bearer token")
        return token, float(lifetime_s) if isinstance(lifetime_s, int | float) and lifetime_s > 0 else 60.0


def of_environment(trusted: Callable[[str], ssl.SSLContext]) -> ClientCredentials | None:
    """For a command, by `AMI_OIDC_ISSUER`, `_CLIENT_ID`, `_CLIENT_SECRET` (`env:NAME` or `file:PATH`), `_SCOPE` and `_AUDIENCE`. Raises SettingsError."""
    names = ("issuer", "client_id", "client_secret", "scope", "audience")
    given = {name: value for name in names if (value := os.environ.get(f"{VARIABLES}{name.upper()}"))}
    if "issuer" not in given:
        return None
    try:
        settings = OidcClientSettings.model_validate(given)
    except ValueError:
        needed = f"{VARIABLES}ISSUER needs {VARIABLES}CLIENT_ID and {VARIABLES}CLIENT_SECRET (env:NAME or file:PATH), and to begin with https://"
        raise SettingsError(needed) from None
    return ClientCredentials(settings, VARIABLES.rstrip("_"), trusted(given["issuer"]))

"""Who is let in over HTTP: the tokens, principals and issuer of the settings, for whatever address a process serves."""

from typing import NamedTuple

from ami_hes.app.setup import Setup
from ami_process.doors import Admissions
from ami_process.environment import real_time
from ami_process.oidc import TokenIssuer
from ami_process.tls import client_context
from ami_process.tokens import Tokens


class Admitting(NamedTuple):
    """At one address."""

    tokens: Tokens
    issuer: TokenIssuer | None
    admissions: Admissions


def at(setup: Setup, bound_to: str) -> Admitting:
    """Raises SettingsError."""
    hes = setup.settings.hes
    tokens = Tokens.of(hes.token_file, "hes.token_file", bound_to=bound_to)
    issuer = None
    if hes.oidc.issuer is not None:
        issuer = TokenIssuer(hes.oidc, trusted=client_context(hes.tls, "hes.tls", setup.environment.emit))
    admissions = Admissions.of("hes", tokens, hes.principals, hes.anonymous, bound_to, real_time, issuer)
    return Admitting(tokens, issuer, admissions)

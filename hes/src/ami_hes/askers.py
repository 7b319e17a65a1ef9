"""Who asks, as far as it is known, for the audit log and for limits that go by who asks."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from ami_process.principals import Principal

MOST_NAME = 100
"""Characters of a name that comes from outside."""
HEADER, BEARER, CERTIFICATE, LOOPBACK, NOBODY = "header", "bearer", "certificate", "loopback", "nobody"
OIDC, SIGNATURE, USERNAME = "oidc", "signature", "username"
PROVED = frozenset({BEARER, OIDC, CERTIFICATE, SIGNATURE, USERNAME})
"""Of these somebody else can't say that they are them."""
_PROVED = {"token": BEARER, "oidc": OIDC, "certificate": CERTIFICATE, "signature": SIGNATURE, "username": USERNAME}


@dataclass(frozen=True, slots=True)
class Asker:
    """A principal by name, and how that is known.

    `by`: `header` is what a message says of itself, which nothing proves; `bearer` who has a token, `oidc` who has one of an issuer, `certificate` who has shown one over TLS, `signature` and
    `username` whose message has proved it; `loopback` who is on this
    machine, where the API asks for no token; `nobody` who was refused before it was known.
    """

    name: str
    by: str


_CURRENT: ContextVar[Asker | None] = ContextVar("asker", default=None)
"""Of the request that is being taken or carried out, so that what it asks in turn is asked by the same."""


@contextmanager
def asking_as(asker: Asker) -> Iterator[None]:
    """Whatever is asked inside is asked by this principal, whatever its messages say of themselves."""
    token = _CURRENT.set(asker)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def asker_for(source: str | None, user: str | None) -> Asker:
    """Who asks by a message: who is known to, else who the message says that it is."""
    return _CURRENT.get() or asker_of_message(source, user)


def asker_of_message(source: str | None, user: str | None) -> Asker:
    """By Header.Source, and Header.User where there is one."""
    name = "/".join(one for one in (source, user) if one) or "unnamed"
    return Asker(name[:MOST_NAME], HEADER)


def asker_of_api(principal: Principal | None) -> Asker:
    """Of a request to the API; None: it was refused before anybody was known."""
    if principal is None:
        return UNKNOWN
    return asker_of_principal(principal) or Asker(principal.name[:MOST_NAME], LOOPBACK)


def asker_of_principal(principal: Principal | None) -> Asker | None:
    """Who has proved who they are, by what they have sent with the request itself; None where nothing has."""
    by = None if principal is None else _PROVED.get(principal.how)
    return None if principal is None or by is None else Asker(principal.name[:MOST_NAME], by)


def has_name(name: str, by: str | None, nameless: tuple[str, ...]) -> bool:
    """Whether this is somebody of the file of principals; `by` None: it is not known how it is known. `nameless`: how others' names begin."""
    return by in (None, *PROVED) and not name.startswith(nameless)


UNKNOWN = Asker("unknown", NOBODY)

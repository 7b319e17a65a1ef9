"""The admission of a process: who a request comes from, by its token or its certificate, and how long wrong ones have to wait.

A token of `token_file` whose digest is in the file of principals is that principal's: it has a name and its roles, and counts as the same person.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from starlette.datastructures import Headers
from starlette.types import Scope

from ami_process.oidc import TokenIssuer
from ami_process.principals import LOCAL, Principal, Principals, Refusal, Role, load
from ami_process.sockets import counted_address
from ami_process.tls import PeerCertificate
from ami_process.tokens import Tokens

FREE_FAILURES = 5
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
MOST_ADDRESSES = 10_000


class Attempts:
    """Wrong proofs by address: after a few of them who shows a wrong one there waits, twice as long each time."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def waits_s(self, address: str) -> float:
        """How long it still has to wait; 0: not at all."""
        return max(0.0, self._failures.get(address, (0, 0.0))[1] - self._seconds())

    def failed(self, address: str) -> None:
        """Count a wrong proof."""
        count = self._failures.pop(address, (0, 0.0))[0] + 1
        over = count - FREE_FAILURES
        pause_s = 0.0 if over < 0 else min(FIRST_PAUSE_S * 2 ** min(over, 10), LONGEST_PAUSE_S)
        self._failures[address] = count, self._seconds() + pause_s
        if len(self._failures) > MOST_ADDRESSES:
            self._failures.popitem(last=False)


def too_many(wait_s: float) -> tuple[HTTPStatus, str]:
    """What an address is told that has to wait."""
    return HTTPStatus.TOO_MANY_REQUESTS, f"too many wrong tokens came from this address; try again in {wait_s:.0f} s"


class Doors:
    """The admission of one process: its tokens, whose owners are admins, its principals, and nobody."""

    def __init__(
        self,
        tokens: Tokens,
        principals: Principals,
        nobody: Principal | None,
        setting: str,
        seconds: Callable[[], float],
        otherwise: str = "",
        issuer: TokenIssuer | None = None,
    ) -> None:
        """`nobody`: None where nobody may do anything. `setting` is where principals can be named, `otherwise` what else can be done: for a refusal."""
        self._tokens = tokens
        self._principals = principals
        self._nobody = nobody
        self._setting = setting
        self._otherwise = otherwise
        self._issuer = issuer
        self._attempts = Attempts(seconds)

    @property
    def is_open(self) -> bool:
        """Whether who proves nothing is let in."""
        return self._nobody is not None

    def owner(self, token: str) -> Principal | None:
        """Whose token it is."""
        return self._principals.of_token(token) or self._tokens.owner(token)

    async def let_in(self, scope: Scope) -> Principal | Refusal:
        """The principal of a request, or why it is none."""
        scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        token = token.strip()
        if self._issuer is None or scheme.lower() != "bearer" or not self._issuer.may_be_one(token):
            return self.admit(scope)
        if known := self.owner(token):
            return known
        found, address = await self._issuer.principal(token), _address(scope)
        if isinstance(found, Principal) or found.status is not HTTPStatus.UNAUTHORIZED:
            return found
        if wait_s := self._attempts.waits_s(address):
            return Refusal(*too_many(wait_s))
        self._attempts.failed(address)
        return found

    def admit(self, scope: Scope) -> Principal | Refusal:
        """The same by what this process knows itself."""
        authorization = Headers(scope=scope).get("authorization")
        if authorization is not None and (len(self._tokens) or len(self._principals) or self._issuer is not None):
            return self._by_token(authorization, _address(scope))
        peer: PeerCertificate | None = scope.get("peer_certificate")
        if peer is not None and (known := self._principals.of_certificate(peer)):
            return known
        if self._nobody is not None:
            return self._nobody
        if not (len(self._principals) or self._issuer or self._otherwise) and (problem := self._tokens.refusal(None)):
            return Refusal(*problem)
        shown = f"the certificate of {peer.subject} is none of those" if peer is not None else "nothing proves who asks"
        reason = f"{shown}; a bearer token or a certificate of the file that {self._setting} names is needed"
        return Refusal(HTTPStatus.UNAUTHORIZED, f"{reason}{self._otherwise}", unproved=True)

    def _by_token(self, authorization: str, address: str) -> Principal | Refusal:
        """A right token is let in whatever came from its address before: it can't be guessed, and many clients may share an address."""
        scheme, _, token = authorization.partition(" ")
        principal = self.owner(token.strip())
        if scheme.lower() == "bearer" and principal is not None:
            return principal
        if wait_s := self._attempts.waits_s(address):
            return Refusal(*too_many(wait_s))
        self._attempts.failed(address)
        return Refusal(HTTPStatus.UNAUTHORIZED, "the bearer token is none that is known here")


def _address(scope: Scope) -> str:
    return counted_address((scope.get("client") or ("", 0))[0])


@dataclass(frozen=True, slots=True)
class Admissions:
    """Those of one process: for its API, and for messages."""

    api: Doors
    messages: Doors
    principals: Principals

    @classmethod
    def of(
        cls,
        section: str,
        tokens: Tokens,
        principals: Path | None,
        anonymous: Sequence[Role] | None,
        bound_to: str,
        seconds: Callable[[], float],
        issuer: TokenIssuer | None = None,
    ) -> Self:
        """`section` of the settings has `principals` and `anonymous`, the roles of a sender of messages that proves nothing. Raises SettingsError."""
        setting = f"{section}.principals"
        known = Principals(()) if principals is None else load(principals, setting)
        if issuer is not None:
            issuer = issuer.with_principals(known)
        local = LOCAL if principals is None and issuer is None and ip_address(bound_to).is_loopback else None
        nobody = local if anonymous is None else _nobody(anonymous)
        open_to = local if tokens.refusal(None) is None else None
        api = Doors(tokens, known, open_to, setting, seconds, issuer=issuer)
        otherwise = f"; {section}.anonymous says what others may do"
        return cls(api, Doors(tokens, known, nobody, setting, seconds, otherwise, issuer), known)


def _nobody(roles: Sequence[Role]) -> Principal | None:
    return Principal("nobody", frozenset(roles), "nobody") if roles else None

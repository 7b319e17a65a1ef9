"""Bearer tokens (RFC 6750) for the APIs of a process, from a file that its owner alone can read.

The file holds one token per line; blank lines and those that begin with # are none. Where it is missing it is made, with one
random token. Without a file there are no tokens, which is only served where the process listens on a loopback address: there
the other users of the machine are trusted, and `http_entrance` keeps foreign web pages out.
"""

import hmac
import re
import secrets
from collections.abc import Collection
from hashlib import sha256
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from starlette.datastructures import Headers
from starlette.types import Scope

from ami_process.principals import ADMIN, LOCAL, UNNAMED_TOKEN, Principal, Refusal
from ami_process.private_files import make_private_file, read_private
from ami_process.settings import SettingsError

RANDOM_OCTETS = 32
MAX_FILE = 65_536
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{32,256}={0,2}")


class Tokens:
    """Those that are taken. Neither they nor what was given in their place is ever in a message of this class."""

    def __init__(self, tokens: Collection[str], setting: str, *, open_to_all: bool = False) -> None:
        """`setting` is where the file can be named; `open_to_all`: no token is asked for."""
        self._digests = [sha256(token.encode()).digest() for token in tokens]
        self._setting = setting
        self._open_to_all = open_to_all

    @classmethod
    def of(cls, file: Path | None, setting: str, *, bound_to: str) -> Self:
        """From the file, for a process that listens at the address `bound_to`. Raises SettingsError."""
        if file is not None:
            return cls(load(file, setting), setting)
        return cls((), setting, open_to_all=ip_address(bound_to).is_loopback)

    def __len__(self) -> int:
        return len(self._digests)

    def refusal(self, authorization: str | None) -> tuple[HTTPStatus, str] | None:
        """Why a request with this Authorization header is refused; None when it is let in."""
        if self._open_to_all:
            return None
        if not self._digests:
            reason = f"there is no token yet, and without one only this machine is served at a loopback address: set {self._setting}"
            return HTTPStatus.FORBIDDEN, reason
        scheme, _, given = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            return HTTPStatus.UNAUTHORIZED, f"a bearer token of the file that {self._setting} names is needed"
        if self.owner(given.strip()) is None:
            return HTTPStatus.UNAUTHORIZED, f"the bearer token is none of the file that {self._setting} names"
        return None

    def owner(self, token: str) -> Principal | None:
        """Whoever has one of these tokens is an admin, called by the beginning of its SHA-256."""
        # each is compared, and in constant time, so that the time of the refusal tells nothing
        digest = sha256(token.encode()).digest()
        if sum([hmac.compare_digest(digest, one) for one in self._digests]) == 0:
            return None
        return Principal(f"{UNNAMED_TOKEN}{digest.hex()[:8]}", ADMIN, "token")

    async def let_in(self, scope: Scope) -> Principal | Refusal:
        """As `admit`."""
        return self.admit(scope)

    def admit(self, scope: Scope) -> Principal | Refusal:
        """The admission of a process that knows nobody but the owners of these tokens."""
        authorization = Headers(scope=scope).get("authorization")
        if problem := self.refusal(authorization):
            return Refusal(*problem)
        return self.owner((authorization or "").partition(" ")[2].strip()) or LOCAL


def load(file: Path, setting: str) -> tuple[str, ...]:
    """The tokens of a file, which is made if it is missing. Raises SettingsError."""
    make_private_file(file, setting, secrets.token_urlsafe(RANDOM_OCTETS) + "\n")
    text = read_private(file, setting, "tokens", MAX_FILE)
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    tokens = [(number, line) for number, line in lines if line and not line.startswith("#")]
    for number, token in tokens:
        if _TOKEN.fullmatch(token) is None:
            reason = "no token: 32 to 256 letters, digits and - . _ ~ + /"
            raise SettingsError(f"{setting}: {file}: line {number} is {reason}")
    if not tokens:
        raise SettingsError(f"{setting}: {file} holds no token; remove it, and one is made")
    return tuple(token for _, token in tokens)

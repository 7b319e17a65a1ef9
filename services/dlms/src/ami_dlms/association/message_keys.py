"""Which keys general-ciphering may use inside an association: those that both ends hold, or one made for each message.

Kept apart from the other settings because it can stay away: without it an association knows its global keys alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, field

from ami_dlms.errors import LocalError
from ami_dlms.frozen import frozen
from ami_dlms.security import AsymmetricKeys, GlobalKeys, PrivateKey, SecuritySuite
from ami_dlms.transitions import IdentityEnum

RandomBytes = Callable[[int], bytes]
DRAWS = 8


class KeyForm(IdentityEnum):
    """How general-ciphering leads to its key: one that both hold, a new one sent along, or one agreed by the scheme named."""

    IDENTIFIED = "identified"
    WRAPPED = "wrapped"
    C_1E_1S = "C(1e,1s)"
    C_0E_2S = "C(0e,2s)"


GLOBAL_KEY_ALONE = frozenset({KeyForm.IDENTIFIED})


@frozen
class MessageKeys:
    """The form of our own requests and notifications, and the forms that we take of the peer; answers go as was asked.

    Where `taken` leaves IDENTIFIED out, nothing but opening and release passes under a global or dedicated key.
    `random_bytes` has to give secret, unpredictable octets.
    """

    _: KW_ONLY
    own: KeyForm = KeyForm.IDENTIFIED
    taken: frozenset[KeyForm] = GLOBAL_KEY_ALONE
    random_bytes: RandomBytes | None = field(default=None, repr=False)

    @property
    def forms(self) -> frozenset[KeyForm]:
        """Every form that may be met; an answer to our own comes in it."""
        return self.taken | {self.own}

    def check(self, suite: SecuritySuite, keys: GlobalKeys, held: AsymmetricKeys, *, trusts: bool) -> None:
        """LocalError when something is missing that one of the forms needs, in either direction."""
        if self.own not in self.taken:
            raise LocalError(
                f"our own form is {self.own.value}: what is taken has to hold it, since answers come in it"
            )
        forms = self.forms - GLOBAL_KEY_ALONE
        if forms and self.random_bytes is None:
            raise LocalError("keys of one message need a source of random octets")
        if KeyForm.WRAPPED in forms and keys.master_key is None:
            raise LocalError("wrapped keys need a master key")
        if not forms & {KeyForm.C_1E_1S, KeyForm.C_0E_2S}:
            return
        if not suite.coordinate_length:
            raise LocalError(f"suite {suite:d} knows no key agreement")
        if held.agreement is None or held.peer_agreement is None:
            raise LocalError("agreed keys need our agreement key and the peer's")
        if KeyForm.C_1E_1S in forms and (held.signing is None or (held.peer_signing is None and not trusts)):
            raise LocalError(
                "agreed keys of ephemeral pairs need our signing key, and the peer's or whom to trust for it"
            )

    def fresh(self, length: int) -> bytes:
        """That many random octets."""
        octets = b"" if self.random_bytes is None else self.random_bytes(length)
        if len(octets) != length:
            raise LocalError(f"{length} random octets are needed, the source gave {len(octets)}")
        return octets

    def ephemeral(self, suite: SecuritySuite) -> PrivateKey:
        """A fresh private key; the few numbers outside the curve's range are drawn again."""
        for _ in range(DRAWS):
            octets = self.fresh(suite.coordinate_length)
            try:
                return PrivateKey(octets)
            except LocalError:
                continue
        raise LocalError("the source of random octets gives none that make a private key")


GLOBAL_KEYS = MessageKeys()

"""What the Security header of a message proves, or claims where a password decides, and the faults of WS-Security 1.1 (clause 12)."""

from dataclasses import dataclass, field
from datetime import datetime

from ami_cim.errors import InvalidMessage

FAILED, CHECK, INVALID = "wsse:FailedAuthentication", "wsse:FailedCheck", "wsse:InvalidSecurity"
UNSUPPORTED_TOKEN, ALGORITHM = "wsse:UnsupportedSecurityToken", "wsse:UnsupportedAlgorithm"
TOKEN, UNAVAILABLE, EXPIRED = "wsse:InvalidSecurityToken", "wsse:SecurityTokenUnavailable", "wsu:MessageExpired"

_CODES = {UNSUPPORTED_TOKEN: "7.3", ALGORITHM: "7.3", INVALID: "7.7"}
"""Reply codes of IEC 61968-100 (7: security); every other fault is 7.4, authentication failure."""


def refused(fault: str, reason: str, details: str | None = None, code: str | None = None) -> InvalidMessage:
    """The error of a message whose security is not taken."""
    return InvalidMessage(code or _CODES.get(fault, "7.4"), reason, details, fault_code=fault)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsernameProof:
    """A UsernameToken: either `password` as text, or `digest`, which is SHA-1 over nonce, `created` and password (token profile 1.1, 3.1)."""

    username: str
    password: str | None = field(default=None, repr=False)
    digest: bytes | None = None
    nonce: bytes | None = None
    created: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a message shows."""

    created_at: datetime | None = None
    """Of its Timestamp; None: it has none, and neither a signature."""
    expires_at: datetime | None = None
    certificate: bytes | None = None
    """DER: its key has signed Body and Timestamp. Whose it is, is not known yet."""
    signature_id: bytes | None = None
    """SHA-256 of the canonical SignedInfo: the same message again has the same one."""
    username: UsernameProof | None = None

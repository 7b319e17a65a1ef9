"""Symmetric security of DLMS: suites, keys, invocation counters, authenticated encryption, proofs of authentication."""

from dlms.security.aead import Unprotected, gmac, overhead, protect, unprotect
from dlms.security.counters import COUNTER_END, ReceiveCounter, ReplayError, SendCounter
from dlms.security.hls import gmac_holds, gmac_response, same_secret
from dlms.security.keys import GlobalKeys
from dlms.security.suites import AUTHENTICATED, ENCRYPTED, SecurityControl, SecuritySuite

__all__ = [
    "AUTHENTICATED",
    "COUNTER_END",
    "ENCRYPTED",
    "GlobalKeys",
    "ReceiveCounter",
    "ReplayError",
    "SecurityControl",
    "SecuritySuite",
    "SendCounter",
    "Unprotected",
    "gmac",
    "gmac_holds",
    "gmac_response",
    "overhead",
    "protect",
    "same_secret",
    "unprotect",
]

"""How the partners prove that they know the secret: passwords (LLS) and f(challenge) of HLS (Green Book 9.2.7.4).

Mechanism 5 computes SC || IC || GMAC(SC || AK || challenge) under the sender's system title. All comparing is done in
constant time and a failure never says what differed.
"""

from __future__ import annotations

from hmac import compare_digest

from dlms.errors import LocalError
from dlms.security.aead import HEADER_LENGTH, SYSTEM_TITLE_LENGTH, TAG_LENGTH, gmac
from dlms.security.keys import GlobalKeys
from dlms.security.suites import AUTHENTICATED

CHALLENGE_LENGTHS = range(8, 65)
GMAC_LENGTH = HEADER_LENGTH + TAG_LENGTH


def same_secret(ours: bytes, theirs: bytes) -> bool:
    """Compare two secrets in constant time."""
    return compare_digest(ours, theirs)


def gmac_response(
    suite: int, keys: GlobalKeys, system_title: bytes, invocation_counter: int, challenge: bytes
) -> bytes:
    """f(challenge) of mechanism 5, 17 octets, under the system title of the one who computes it."""
    control = suite | AUTHENTICATED
    counter = invocation_counter.to_bytes(4, "big")
    return bytes((control,)) + counter + gmac(control, keys, system_title + counter, challenge)


def gmac_holds(suite: int, keys: GlobalKeys, peer_system_title: bytes, challenge: bytes, response: bytes) -> bool:
    """Whether `response` is the peer's f(challenge) of mechanism 5."""
    if len(response) != GMAC_LENGTH or len(peer_system_title) != SYSTEM_TITLE_LENGTH:
        return False
    counter = int.from_bytes(response[1:HEADER_LENGTH], "big")
    return compare_digest(response, gmac_response(suite, keys, peer_system_title, counter, challenge))


def check_challenge(challenge: bytes) -> None:
    """A challenge has 8 to 64 octets (Green Book 9.2.2.2.2.4); LocalError for one of ours that has not."""
    if len(challenge) not in CHALLENGE_LENGTHS:
        raise LocalError(f"a challenge has 8 to 64 octets, got {len(challenge)}")

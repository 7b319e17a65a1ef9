"""The words for authentication mechanisms and cipherings in configuration files, on command lines and on pages.

HLS 2 has no word: its proof is a function of the manufacturer's, which a file or a command line can't give
(`ClientSettings.manufacturer_proof` can).
"""

from ami_dlms.association.settings import Ciphering
from ami_dlms.enums import Mechanism
from ami_dlms.errors import LocalError

NONE = "none"
MECHANISMS = {
    NONE: Mechanism.LOWEST,
    "lls": Mechanism.LOW,
    "hls-md5": Mechanism.MD5,
    "hls-sha1": Mechanism.SHA1,
    "hls-gmac": Mechanism.GMAC,
    "hls-sha256": Mechanism.SHA256,
    "hls-ecdsa": Mechanism.ECDSA,
}
CIPHERINGS: dict[str, Ciphering | None] = {NONE: None} | {one.value: one for one in Ciphering}
_MECHANISM_WORDS = {mechanism: word for word, mechanism in MECHANISMS.items()}


def parse_mechanism(word: str) -> Mechanism:
    """The mechanism of a word; LocalError names the known words."""
    if word not in MECHANISMS:
        raise LocalError(f"one of {', '.join(MECHANISMS)} was expected")
    return MECHANISMS[word]


def format_mechanism(mechanism: Mechanism) -> str:
    """The word for a mechanism; LocalError for one that has none."""
    if mechanism not in _MECHANISM_WORDS:
        raise LocalError(f"authentication mechanism {mechanism.name} has no word in configurations")
    return _MECHANISM_WORDS[mechanism]


def parse_ciphering(word: str) -> Ciphering | None:
    """How APDUs are wrapped, None: they are not; LocalError names the known words."""
    if word not in CIPHERINGS:
        raise LocalError(f"one of {', '.join(CIPHERINGS)} was expected")
    return CIPHERINGS[word]


def format_ciphering(ciphering: Ciphering | None) -> str:
    """The word for a way of wrapping."""
    return NONE if ciphering is None else ciphering.value

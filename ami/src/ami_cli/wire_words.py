"""An APDU in a line of words: its service, what it is about (class, OBIS code, attribute), what came of it; of a list each item.

The head-end's own octets are ciphered; who runs a demo has its keys in the configuration, and `Deciphering` uses them for nothing else.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ami_dlms.errors import LocalError
from ami_dlms.explain import DecodingSession, Keyring, Node, deciphered, explain, headline, is_ciphered, items_of
from ami_process.secret_sources import SecretSources
from ami_registry import parse_secret

DECIPHERED = ", deciphered"
MOST_ITEMS = 8
MOST_SESSIONS = 500
"""Meters whose APDUs are deciphered; further ones are named by their tag."""
_KEYS = ("encryption_key", "authentication_key")


def words(tree: Node, *, ciphered: bool) -> str:
    """The tree of an APDU as a line; `ciphered`: it was on the wire."""
    items = items_of(tree)
    said = headline(tree)
    if len(items) > 1:
        listed = [headline(one).partition(": ")[2] or one.text for one in items[:MOST_ITEMS]] + (
            ["…"] if len(items) > MOST_ITEMS else []
        )
        said = f"{said.partition(':')[0]}: {'; '.join(listed)}"
    return said + (DECIPHERED if ciphered else "")


class Deciphering:
    """The frames of a demo in words."""

    def __init__(self, meters: Sequence[Mapping[str, Any]], environ: Mapping[str, str]) -> None:
        self._sessions: dict[str, DecodingSession] = {}
        for meter in meters[:MOST_SESSIONS]:
            keyring = _keyring(meter, SecretSources(environ))
            if keyring is not None:
                self._sessions[meter["name"]] = DecodingSession(keyring)

    def __call__(self, meter: str, digits: str) -> str:
        """What a frame to or from a meter says; its digits as the event `apdu` has them, with asterisks for what is masked."""
        octets = bytes.fromhex(digits.replace("*", "0"))
        [frame, *_] = explain(octets, self._sessions.get(meter, DecodingSession()))
        apdu = frame.parts[-1] if frame.parts else frame
        clear = deciphered(apdu)
        return words(clear, ciphered=is_ciphered(apdu) and clear is not apdu)


def _keyring(meter: Mapping[str, Any], sources: SecretSources) -> Keyring | None:
    """None where a key is not to be had here: the octets are then shown without words."""
    given = {name: str(meter[name]) for name in _KEYS if name in meter}
    try:
        keys = {name: parse_secret(text, sources) for name, text in given.items()}
        return Keyring(keys.get("encryption_key"), keys.get("authentication_key"))
    except (ValueError, LocalError):
        return None

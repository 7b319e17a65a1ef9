"""What a person knows beside the octets: keys and system titles; and what earlier messages of the same input have shown.

An association's APDUs name the titles of both ends, and its InitiateRequest may carry the dedicated key, so a recorded
session explains itself from the global keys alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

from ami_dlms.errors import LocalError
from ami_dlms.framing.mbus import MbusAssembler
from ami_dlms.frozen import frozen
from ami_dlms.security import GlobalKeys, PrivateKey, PublicKey
from ami_dlms.security.aead import SYSTEM_TITLE_LENGTH


@frozen
class Title:
    """A system title and where it comes from."""

    octets: bytes
    origin: str

    def __str__(self) -> str:
        return f"{self.octets.hex().upper()} ({self.origin})"


@frozen
class Keyring:
    """Keys are never shown. Without the authentication key encrypted contents are deciphered, but nothing is verified.

    General-ciphering may send its key along under the key-encryption (master) key, or agree on it with the agreement keys;
    `signature_keys` are the public keys of all who may have signed.
    """

    encryption_key: bytes | None = field(default=None, repr=False)
    authentication_key: bytes | None = field(default=None, repr=False)
    dedicated_key: bytes | None = field(default=None, repr=False)
    title: bytes | None = None
    title_peer: bytes | None = None
    key_encryption_key: bytes | None = field(default=None, repr=False)
    agreement_key: PrivateKey | None = field(default=None, repr=False)
    peer_agreement_key: PublicKey | None = None
    signature_keys: tuple[PublicKey, ...] = ()

    def __post_init__(self) -> None:
        for name, one in (("title", self.title), ("title-peer", self.title_peer)):
            if one is not None and len(one) != SYSTEM_TITLE_LENGTH:
                raise LocalError(f"{name}: a system title has {SYSTEM_TITLE_LENGTH} octets, not {len(one)}")
        for key in (self.encryption_key, self.dedicated_key, self.key_encryption_key):
            if key is not None:
                self._keys(key)

    @property
    def can_verify(self) -> bool:
        """Whether tags can be checked."""
        return self.authentication_key is not None

    def global_keys(self) -> GlobalKeys | None:
        """The global keys, None without an encryption key."""
        return None if self.encryption_key is None else self._keys(self.encryption_key)

    def _keys(self, key: bytes) -> GlobalKeys:
        """The broadcast key takes the same place: to decode a broadcast, give that one."""
        return GlobalKeys(key, self.authentication_key or bytes(len(key)), broadcast_encryption_key=key)

    def keys_under(self, encryption_key: bytes) -> GlobalKeys:
        """The keys of one message that brings its own; LocalError when the authentication key is of another suite."""
        return self._keys(encryption_key)

    def dedicated_keys(self, learned: bytes | None) -> GlobalKeys | None:
        """The keys of ded-* APDUs, from the dedicated key that was given or else learned."""
        key = self.dedicated_key or learned
        return None if key is None else self._keys(key)


MOST_ROUTES = 256
MOST_WAITING = 1 << 24
"""Octets of one long transfer."""
Key = TypeVar("Key")
Waiting = TypeVar("Waiting")


def waiting(table: dict[Key, Waiting], key: Key, fresh: Callable[[], Waiting]) -> Waiting:
    """What waits under a key, or something fresh; the oldest gives way when there are too many."""
    if key not in table:
        if len(table) >= MOST_ROUTES:
            del table[next(iter(table))]
        table[key] = fresh()
    return table[key]


@dataclass(slots=True)
class DecodingSession:
    """What is known while the messages of one input are read, one after the other.

    What waits for its other parts is bounded: of more routes than MOST_ROUTES the oldest is forgotten. `layers` is how many
    APDUs are being read one in the other.
    """

    keyring: Keyring = field(default_factory=Keyring)
    client: Title | None = None
    server: Title | None = None
    dedicated_key: bytes | None = field(default=None, repr=False)
    route: tuple[int, int] | None = None
    layers: int = 0
    blocks: dict[tuple[object, ...], dict[int, bytes]] = field(default_factory=dict, repr=False)
    segments: dict[tuple[object, ...], list[tuple[int, bytes]]] = field(default_factory=dict, repr=False)
    assemblers: dict[tuple[int, ...], MbusAssembler] = field(default_factory=dict, repr=False)

    def aside(self) -> DecodingSession:
        """The same knowledge for octets that are not verified: what they say does not come back."""
        return replace(self, blocks={}, segments={}, assemblers={})

    def titles(self, in_message: Title | None, *, from_server: bool) -> list[Title]:
        """The titles that may have sent a message, the likeliest first, each once."""
        found: dict[bytes, Title] = {}
        for one in (in_message, *self._known(from_server=from_server)):
            if one is not None and len(one.octets) == SYSTEM_TITLE_LENGTH:
                found.setdefault(one.octets, one)
        return list(found.values())

    def _known(self, *, from_server: bool) -> Iterator[Title | None]:
        given, peer = self.keyring.title, self.keyring.title_peer
        ends = [self.client, given and Title(given, "--title")], [self.server, peer and Title(peer, "--title-peer")]
        first, second = reversed(ends) if from_server else ends
        for one in (*first, *second):
            yield one or None

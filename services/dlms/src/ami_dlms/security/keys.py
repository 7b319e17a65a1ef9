"""Keys of one association: the global symmetric ones, and the private and public ones of suites 1 and 2.

No secret key appears in a repr or in an error text. Objects of the library are made once per key, because making them
costs more than using them. Points and private numbers travel as the standard writes them: x || y, and one integer.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ami_dlms.errors import LocalError, SecurityError
from ami_dlms.frozen import frozen
from ami_dlms.security.suites import SecuritySuite

KEY_LENGTHS = (16, 32)
SUITE_1 = SecuritySuite.ECDH_ECDSA_AES_GCM_128_SHA_256
SUITE_2 = SecuritySuite.ECDH_ECDSA_AES_GCM_256_SHA_384
_CURVES: dict[SecuritySuite, ec.EllipticCurve] = {SUITE_1: ec.SECP256R1(), SUITE_2: ec.SECP384R1()}
_SUITES = {suite.coordinate_length: suite for suite in _CURVES}


@dataclass(frozen=True, slots=True)
class GlobalKeys:
    """Global unicast encryption key and authentication key, 16 octets each (32 in suite 2).

    `broadcast_encryption_key` serves frames whose security control asks for it, `master_key` (the KEK) wraps other keys.
    """

    encryption_key: bytes = field(repr=False)
    authentication_key: bytes = field(repr=False)
    broadcast_encryption_key: bytes | None = field(default=None, repr=False)
    master_key: bytes | None = field(default=None, repr=False)
    cipher: AESGCM = field(init=False, repr=False, compare=False)
    broadcast_cipher: AESGCM | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        wanted = len(self.encryption_key)
        if wanted not in KEY_LENGTHS:
            raise LocalError(f"encryption key of {wanted} octets, wanted 16 or 32")
        for name in ("authentication_key", "broadcast_encryption_key", "master_key"):
            key = getattr(self, name)
            if key is not None and len(key) != wanted:
                raise LocalError(f"{name.replace('_', ' ')} of {len(key)} octets, wanted {wanted}")
        broadcast = self.broadcast_encryption_key
        object.__setattr__(self, "cipher", AESGCM(self.encryption_key))
        object.__setattr__(self, "broadcast_cipher", None if broadcast is None else AESGCM(broadcast))

    def with_encryption_key(self, encryption_key: bytes) -> GlobalKeys:
        """The same authentication key with another encryption key: how dedicated, wrapped and agreed keys are used."""
        return replace(self, encryption_key=encryption_key, broadcast_encryption_key=None)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A point of P-256 or P-384 as x || y: 64 octets in suite 1, 96 in suite 2."""

    octets: bytes
    point: ec.EllipticCurvePublicKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        half = len(self.octets) // 2
        suite = _suite_of(half if len(self.octets) == 2 * half else 0, "a public key")
        x, y = int.from_bytes(self.octets[:half], "big"), int.from_bytes(self.octets[half:], "big")
        try:
            point = ec.EllipticCurvePublicNumbers(x, y, _CURVES[suite]).public_key()
        except ValueError:
            raise LocalError("a public key is not a point of the curve of its suite") from None
        object.__setattr__(self, "point", point)

    @property
    def suite(self) -> SecuritySuite:
        return _SUITES[len(self.octets) // 2]


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A private key of P-256 or P-384, 32 or 48 octets: for signing, for agreement, or ephemeral (then never reused)."""

    octets: bytes = field(repr=False)
    number: ec.EllipticCurvePrivateKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        suite = _suite_of(len(self.octets), "a private key")
        try:
            number = ec.derive_private_key(int.from_bytes(self.octets, "big"), _CURVES[suite])
        except ValueError:
            raise LocalError("a private key is not in the range of the curve of its suite") from None
        object.__setattr__(self, "number", number)

    @property
    def suite(self) -> SecuritySuite:
        return _SUITES[len(self.octets)]

    @property
    def public_key(self) -> PublicKey:
        """The point that belongs to it."""
        return public_key_of(self.number.public_key())


@frozen
class AsymmetricKeys:
    """What one end of a partnership holds for suites 1 and 2: its own private keys and its partner's public ones."""

    signing: PrivateKey | None = None
    peer_signing: PublicKey | None = None
    agreement: PrivateKey | None = None
    peer_agreement: PublicKey | None = None

    def check(self, suite: SecuritySuite) -> None:
        """LocalError when a key is not of the suite's curve."""
        for key in (self.signing, self.peer_signing, self.agreement, self.peer_agreement):
            if key is not None and key.suite is not suite:
                raise LocalError(f"a key of suite {key.suite:d} does not fit suite {suite:d}")


def public_key_of(point: ec.EllipticCurvePublicKey) -> PublicKey:
    """A point of the library as x || y."""
    numbers, size = point.public_numbers(), (point.curve.key_size + 7) // 8
    return PublicKey(numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big"))


def peer_public_key(octets: bytes, suite: SecuritySuite) -> PublicKey:
    """A public key that the peer sent; SecurityError when it is no point of the suite's curve."""
    if not octets or len(octets) != 2 * suite.coordinate_length:
        raise SecurityError(f"a public key of {len(octets)} octets does not fit suite {suite:d}")
    try:
        return PublicKey(octets)
    except LocalError as error:
        raise SecurityError(str(error)) from None


def _suite_of(length: int, what: str) -> SecuritySuite:
    suite = _SUITES.get(length)
    if suite is None:
        raise LocalError(f"{what} has no length that suite 1 or suite 2 knows")
    return suite

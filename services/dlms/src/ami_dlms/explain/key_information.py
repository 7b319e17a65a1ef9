"""The key that general-ciphering leads to (Green Book 9.2.7.2.4.8), from the keys that a person gives; and signatures.

The reader of a recording has the private key of either end, so both halves of an agreement are taken: C(1e,1s) needs the
recipient's private key alone, C(0e,2s) one end's private and the other's public key.
"""

from __future__ import annotations

from collections.abc import Sequence

from ami_dlms.apdu.ciphered import AgreedKey, GeneralCiphering, GeneralSigning, WrappedKey
from ami_dlms.cursor import encode_length
from ami_dlms.errors import LocalError, SecurityError
from ami_dlms.explain.keyring import Keyring
from ami_dlms.security import (
    PublicKey,
    agree_one_pass,
    agree_static_unified,
    peer_public_key,
    signature_holds,
    unwrap_key,
)

ONE_PASS, STATIC_UNIFIED = b"\1", b"\2"


class NoKey(Exception):
    """Why no key is there, in words for a person."""


def header_octets(message: GeneralCiphering | GeneralSigning) -> bytes:
    """The five fields before the key information or the content, each with its length: what tag and signature cover."""
    fields = (
        message.transaction_id,
        message.originator_system_title,
        message.recipient_system_title,
        message.date_time,
        message.other_information,
    )
    return b"".join(encode_length(len(one)) + one for one in fields)


def key_of(message: GeneralCiphering, keyring: Keyring) -> bytes | None:
    """The key that was sent along or agreed; None when the message uses one that both ends hold. NoKey says what is missing."""
    info = message.key_info
    try:
        if isinstance(info, WrappedKey):
            return unwrap_key(_given(keyring.key_encryption_key, "--kek"), info.key_ciphered_data)
        if isinstance(info, AgreedKey):
            return _agreed(message, info, keyring)
    except (LocalError, SecurityError) as error:
        raise NoKey(str(error)) from None
    return None


def _agreed(message: GeneralCiphering, info: AgreedKey, keyring: Keyring) -> bytes:
    own = keyring.agreement_key
    if own is None:
        raise NoKey("give --agreement-key")
    sender, recipient = message.originator_system_title, message.recipient_system_title
    if info.key_parameters == ONE_PASS:
        public = info.key_ciphered_data[: 2 * own.suite.coordinate_length]
        return agree_one_pass(own, peer_public_key(public, own.suite), sender, recipient)
    if info.key_parameters == STATIC_UNIFIED:
        peer = keyring.peer_agreement_key
        if peer is None:
            raise NoKey("give --peer-agreement-key")
        return agree_static_unified(own, peer, sender, recipient, message.transaction_id)
    raise NoKey(f"key agreement scheme {info.key_parameters.hex() or 'of no name'} is not known")


def _given(key: bytes | None, option: str) -> bytes:
    if key is None:
        raise NoKey(f"give {option}")
    return key


def signature_verdict(message: GeneralSigning, keys: Sequence[PublicKey]) -> bool | None:
    """Whether the signature is that of one of these keys; None without keys."""
    signed = header_octets(message) + encode_length(len(message.content)) + message.content
    return any(signature_holds(key, signed, message.signature) for key in keys) if keys else None


def ephemeral_verdict(info: AgreedKey, keys: Sequence[PublicKey]) -> bool | None:
    """The same of an ephemeral key, which precedes its signature."""
    octets = info.key_ciphered_data
    halves = ((key, octets[: 2 * key.suite.coordinate_length]) for key in keys)
    return any(signature_holds(key, public, octets[len(public) :]) for key, public in halves) if keys else None

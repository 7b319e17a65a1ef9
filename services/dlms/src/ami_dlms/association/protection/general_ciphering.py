"""General-ciphering as pure functions (Green Book 9.2.7.2.4.8): its own key information, its own authenticated header.

The five fields before the key information are authenticated with their lengths; the key information is not, but a wrapped
key carries a check of its own and an ephemeral key a signature. Keys that are not `identified` serve one message, so that
its counter may start at 0, and freshness is the matter of the caller: nothing here remembers a transaction id or a key.
Inside associations `protection` gives every message a counter that never comes twice, whatever its key.
"""

from __future__ import annotations

from dataclasses import field
from typing import NamedTuple, TypeVar

from ami_dlms.apdu.ciphered import AgreedKey, GeneralCiphering, GeneralSigning, IdentifiedKey, KeyInfo, WrappedKey
from ami_dlms.association.message_keys import KeyForm
from ami_dlms.association.settings import Security
from ami_dlms.cursor import encode_length
from ami_dlms.enums import KekId, KeyId
from ami_dlms.errors import ForeignTitleError, LocalError, SecurityError
from ami_dlms.frozen import frozen
from ami_dlms.security import (
    BROADCAST,
    GlobalKeys,
    PrivateKey,
    ProtectionFlags,
    SecuritySuite,
    Unprotected,
    agree_one_pass,
    agree_static_unified,
    open_ephemeral_key,
    protect,
    signature_length,
    signed_ephemeral_key,
    unprotect,
    unwrap_key,
    wrap_key,
)
from ami_dlms.security.keywrap import CHECK_LENGTH
from ami_dlms.security.suites import SUITE_MASK, suite_of

PRESENCE_AND_CHOICE = 2
ONE_PASS, STATIC_UNIFIED = b"\1", b"\2"
_SCHEMES = {ONE_PASS: KeyForm.C_1E_1S, STATIC_UNIFIED: KeyForm.C_0E_2S}
T = TypeVar("T")


class CipheringHeader(NamedTuple):
    """What goes before the content of general-ciphering and general-signing, all of it authenticated or signed."""

    transaction_id: bytes
    originator_system_title: bytes
    recipient_system_title: bytes
    date_time: bytes = b""
    other_information: bytes = b""

    @property
    def octets(self) -> bytes:
        """The fields as they travel: each with its length."""
        return b"".join(encode_length(len(value)) + value for value in self)


@frozen
class NewKey:
    """Protect under a fresh random key, sent along wrapped under the master key."""

    key: bytes = field(repr=False)


@frozen
class OnePass:
    """Protect under the key that a fresh ephemeral pair and the recipient's static one agree on: C(1e,1s)."""

    ephemeral: PrivateKey


@frozen
class StaticUnified:
    """Protect under the key that both static pairs and the transaction id agree on: C(0e,2s)."""


KeyChoice = IdentifiedKey | NewKey | OnePass | StaticUnified
UNICAST = IdentifiedKey(KeyId.GLOBAL_UNICAST_ENCRYPTION_KEY)


def choice_of(form: KeyForm, security: Security) -> KeyChoice:
    """What to protect under in this form: a fresh key where it wants one."""
    if form is KeyForm.WRAPPED:
        return NewKey(security.message_keys.fresh(len(security.keys.encryption_key)))
    if form is KeyForm.C_1E_1S:
        return OnePass(security.message_keys.ephemeral(suite_of(security.suite)))
    return UNICAST if form is KeyForm.IDENTIFIED else StaticUnified()


def form_of(key_info: KeyInfo | None) -> KeyForm:
    """The form of a key that came; SecurityError for the broadcast key, another kind key, or an unknown scheme."""
    if key_info is None or key_info == UNICAST:
        return KeyForm.IDENTIFIED
    if isinstance(key_info, WrappedKey):
        return KeyForm.WRAPPED
    if isinstance(key_info, AgreedKey) and key_info.key_parameters in _SCHEMES:
        return _SCHEMES[key_info.key_parameters]
    raise SecurityError("an association takes no key of this kind in general-ciphering")


def key_info_length(form: KeyForm, suite: SecuritySuite) -> int:
    """Octets of the key information, with the octet that says that it is there."""
    fixed = PRESENCE_AND_CHOICE
    if form is KeyForm.IDENTIFIED:
        return fixed + 1
    if form is KeyForm.WRAPPED:
        return fixed + 1 + _with_length(suite.key_length + CHECK_LENGTH)
    ephemeral = 2 * suite.coordinate_length + signature_length(suite)
    return fixed + _with_length(len(ONE_PASS)) + _with_length(ephemeral if form is KeyForm.C_1E_1S else 0)


def _with_length(octets: int) -> int:
    return len(encode_length(octets)) + octets


def protect_general(
    header: CipheringHeader,
    choice: KeyChoice,
    security: Security,
    demand: ProtectionFlags,
    invocation_counter: int,
    plaintext: bytes,
) -> GeneralCiphering:
    """An encoded APDU under general-ciphering; the counter is 0 for every key that serves this message alone."""
    key_info, keys = _chosen(header, choice, security)
    content = protect(
        security.control(demand), keys, header.originator_system_title, invocation_counter, plaintext, header.octets
    )
    return GeneralCiphering(*header, key_info, content)


def unprotect_general(message: GeneralCiphering, security: Security, demand: ProtectionFlags) -> Unprotected:
    """The content for our own system title; SecurityError for a wrong party, key, suite or tag, or less than `demand`."""
    header = header_of(message)
    check_parties(header, security)
    if not message.content:
        raise SecurityError("a ciphered APDU without content")
    control, wanted = message.content[0], security.control(demand)
    if control & BROADCAST:
        raise SecurityError("general-ciphering names its key, so the key set bit has to be 0")
    if (control ^ wanted) & SUITE_MASK or wanted & ~control:
        raise SecurityError(f"security control {control:#04x} protects less than {wanted:#04x}, or in another suite")
    keys = _keys_of(header, message.key_info, security)
    return unprotect(keys, header.originator_system_title, message.content, header.octets)


def header_of(message: GeneralCiphering | GeneralSigning) -> CipheringHeader:
    """The fields before the key information or the content."""
    return CipheringHeader(
        message.transaction_id,
        message.originator_system_title,
        message.recipient_system_title,
        message.date_time,
        message.other_information,
    )


def check_parties(header: CipheringHeader, security: Security) -> None:
    """SecurityError when a message is for somebody else, or not from the partner that the settings name."""
    if header.recipient_system_title != security.system_title:
        raise SecurityError(f"a message for system title {header.recipient_system_title.hex()}, not for us")
    known = security.peer_system_title
    if known is not None and header.originator_system_title != known:
        raise ForeignTitleError(f"foreign system title {header.originator_system_title.hex()}, expected {known.hex()}")


def _chosen(header: CipheringHeader, choice: KeyChoice, security: Security) -> tuple[KeyInfo, GlobalKeys]:
    """What to write about the key, and the key."""
    keys, held = security.keys, security.asymmetric
    if isinstance(choice, IdentifiedKey):
        return choice, _identified(choice, keys, LocalError)
    if isinstance(choice, NewKey):
        master = _needed(keys.master_key, "a master key", LocalError)
        return WrappedKey(KekId.MASTER_KEY, wrap_key(master, choice.key)), keys.with_encryption_key(choice.key)
    peer = _needed(held.peer_agreement, "the recipient's agreement key", LocalError)
    sender, recipient = header.originator_system_title, header.recipient_system_title
    if isinstance(choice, OnePass):
        sent = signed_ephemeral_key(choice.ephemeral, _needed(held.signing, "a signing key", LocalError))
        key = agree_one_pass(choice.ephemeral, peer, sender, recipient)
        return AgreedKey(ONE_PASS, sent), keys.with_encryption_key(key)
    own = _needed(held.agreement, "an agreement key", LocalError)
    key = agree_static_unified(own, peer, sender, recipient, header.transaction_id)
    return AgreedKey(STATIC_UNIFIED, b""), keys.with_encryption_key(key)


def _keys_of(header: CipheringHeader, key_info: KeyInfo | None, security: Security) -> GlobalKeys:
    """The key that a message leads to; without key information it is the global unicast one."""
    keys = security.keys
    if key_info is None or isinstance(key_info, IdentifiedKey):
        return _identified(key_info or UNICAST, keys, SecurityError)
    if isinstance(key_info, WrappedKey):
        key = unwrap_key(_needed(keys.master_key, "a master key", SecurityError), key_info.key_ciphered_data)
        if len(key) != len(keys.encryption_key):
            raise SecurityError(f"a wrapped key of {len(key)} octets does not fit the suite")
        return keys.with_encryption_key(key)
    return keys.with_encryption_key(_agreed(header, key_info, security))


def _agreed(header: CipheringHeader, key_info: AgreedKey, security: Security) -> bytes:
    held = security.asymmetric
    own = _needed(held.agreement, "an agreement key", SecurityError)
    sender, recipient = header.originator_system_title, header.recipient_system_title
    if key_info.key_parameters == ONE_PASS:
        signer = _needed(held.peer_signing, "the originator's signature key", SecurityError)
        return agree_one_pass(own, open_ephemeral_key(key_info.key_ciphered_data, signer), sender, recipient)
    if key_info.key_parameters == STATIC_UNIFIED and not key_info.key_ciphered_data:
        peer = _needed(held.peer_agreement, "the originator's agreement key", SecurityError)
        return agree_static_unified(own, peer, sender, recipient, header.transaction_id)
    raise SecurityError(f"key agreement scheme {key_info.key_parameters.hex() or 'of no name'} is not known")


def _identified(choice: IdentifiedKey, keys: GlobalKeys, error: type[LocalError | SecurityError]) -> GlobalKeys:
    if choice == UNICAST:
        return keys
    return keys.with_encryption_key(_needed(keys.broadcast_encryption_key, "a broadcast key", error))


def _needed(held: T | None, name: str, error: type[LocalError | SecurityError]) -> T:
    if held is None:
        raise error(f"general-ciphering needs {name}")
    return held

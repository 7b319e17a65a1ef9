"""What is checked of a ciphered APDU before a key is used: its title, its security control, the form of its key."""

from __future__ import annotations

from ami_dlms.apdu.ciphered import GeneralCiphering, GeneralDedCiphering, GeneralGloCiphering, ServiceCiphering
from ami_dlms.association.message_keys import KeyForm
from ami_dlms.association.protection.apdu_protection import CipheringKind
from ami_dlms.association.protection.general_ciphering import form_of
from ami_dlms.association.settings import Security
from ami_dlms.enums import ApduTag
from ami_dlms.errors import ForeignTitleError, SecurityError
from ami_dlms.security import AUTHENTICATED, BROADCAST, COMPRESSED, ProtectionFlags
from ami_dlms.security.suites import SUITE_MASK

CipheredApdu = GeneralGloCiphering | GeneralDedCiphering | GeneralCiphering | ServiceCiphering
CIPHERED = (GeneralGloCiphering, GeneralDedCiphering, GeneralCiphering, ServiceCiphering)


_DEDICATED_TAGS = frozenset(int(tag) for tag in ApduTag if tag.name.startswith("DED_"))


def kind_of(message: CipheredApdu) -> CipheringKind:
    """What carries the protected APDU."""
    if isinstance(message, GeneralGloCiphering):
        return CipheringKind.GENERAL_GLO
    if isinstance(message, GeneralDedCiphering):
        return CipheringKind.GENERAL_DED
    if isinstance(message, GeneralCiphering):
        return CipheringKind.GENERAL_CIPHERING
    return CipheringKind.DED if message.tag in _DEDICATED_TAGS else CipheringKind.GLO


def check_title(message: CipheredApdu, peer_title: bytes | None) -> None:
    """SecurityError when an APDU names another originator than the peer."""
    if isinstance(message, ServiceCiphering):
        return
    if isinstance(message, GeneralCiphering):
        title = message.originator_system_title
    else:
        title = message.system_title or peer_title or b""
    if title != peer_title:
        known = "none is known" if peer_title is None else f"expected {peer_title.hex()}"
        raise ForeignTitleError(f"foreign system title {title.hex()} in a ciphered APDU, {known}")


def check_control(control: int, kind: CipheringKind, security: Security, required: ProtectionFlags) -> None:
    """SecurityError for a security control octet of another suite, of less than is required, or of what is not supported."""
    wanted = security.control(required)
    if control & COMPRESSED:
        raise SecurityError(f"security control {control:#04x} asks for compression (V.44), which is not supported")
    if control & BROADCAST and kind not in (CipheringKind.GENERAL_GLO, CipheringKind.GLO):
        raise SecurityError(f"security control {control:#04x} asks for a broadcast key in {kind.value}")
    if (control ^ wanted) & SUITE_MASK:
        raise SecurityError(f"security control {control:#04x} is of another suite than {security.suite}")
    if wanted & ~control:
        raise SecurityError(f"security control {control:#04x} protects less than the policy {wanted:#04x} wants")


def accepted_key_form(message: CipheredApdu, control: int, security: Security, *, opening: bool) -> KeyForm:
    """The form of the key; SecurityError when it is none of those that the settings take."""
    taken = security.message_keys.taken
    form = form_of(message.key_info) if isinstance(message, GeneralCiphering) else KeyForm.IDENTIFIED
    if form not in taken and not (opening and form is KeyForm.IDENTIFIED):
        names = ", ".join(sorted(one.value for one in taken))
        raise SecurityError(f"an APDU under a key of the form {form.value}; what is taken here: {names}")
    if form is not KeyForm.IDENTIFIED and not control & AUTHENTICATED:
        raise SecurityError("a key of one message without a tag: nothing would hold its header")
    return form

"""What a server sends outside associations, unencrypted or with its own protection (Green Book 9.3.10, 9.3.11, 9.3.17).

It names its sender in general-glo-ciphering, so the receiver looks up keys and counter by system title; glo-* APDUs name
no sender and are refused. A signature goes inside the ciphering: a signed APDU alone says who wrote it, and nothing in it tells
whether it was sent before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ami_dlms import apdu
from ami_dlms.apdu.ciphered import GeneralGloCiphering, GeneralSigning, ServiceCiphering
from ami_dlms.apdu.notify import DataNotification, DataNotificationConfirm
from ami_dlms.association.events import UNSOLICITED, Unsolicited
from ami_dlms.association.protection.apdu_protection import PROTECTION_MASK, SIGNED, TRANSACTION_ID_LENGTH
from ami_dlms.association.protection.general_ciphering import CipheringHeader
from ami_dlms.association.protection.general_signing import sign_general, signed_content
from ami_dlms.association.settings import Security
from ami_dlms.errors import LocalError, ProtocolError, SecurityError
from ami_dlms.security import (
    AUTHENTICATED,
    GlobalKeys,
    ProtectionFlags,
    PublicKey,
    ReceiveCounter,
    SendCounter,
    Unprotected,
    protect,
    unprotect,
)
from ami_dlms.security.suites import SUITE_MASK


class Sender(NamedTuple):
    """Who may send unsolicited APDUs: keys and counter, the key of its signatures, our own title that it signs for, its policy and suite (None: any)."""

    keys: GlobalKeys
    receive_counter: ReceiveCounter
    signing: PublicKey | None = None
    own_title: bytes = b""
    wanted: ProtectionFlags = ProtectionFlags.AUTHENTICATED
    suite: int | None = None


Lookup = Callable[[bytes], Sender | tuple[GlobalKeys, ReceiveCounter] | None]


def protect_notification(
    notification: Unsolicited, security: Security | None, send_counter: SendCounter | None
) -> bytes:
    """The octets of an unsolicited APDU, by the policy of responses: unencrypted, or in general-glo, signed within if wanted.

    A signature is for `peer_system_title`, or for any receiver when the settings name none.
    """
    demand = ProtectionFlags.NOTHING if security is None else security.required.response
    return _protected(notification, demand, security, send_counter)


def protect_confirmation(
    confirmation: DataNotificationConfirm, security: Security | None, send_counter: SendCounter | None
) -> bytes:
    """The word of a receiver that it has a DataNotification, by the policy of requests; for the rest as `protect_notification`."""
    demand = ProtectionFlags.NOTHING if security is None else security.required.request
    return _protected(confirmation, demand, security, send_counter)


def _protected(
    what: Unsolicited | DataNotificationConfirm,
    demand: ProtectionFlags,
    security: Security | None,
    send_counter: SendCounter | None,
) -> bytes:
    plaintext = apdu.encode(what)
    if security is None or not demand.control:
        return plaintext
    if send_counter is None:
        raise LocalError("what is protected outside an association needs a send counter")
    title, counter = security.system_title, send_counter.take()
    if demand & ProtectionFlags.SIGNED:
        transaction_id = counter.to_bytes(TRANSACTION_ID_LENGTH, "big")
        header = CipheringHeader(transaction_id, title, security.peer_system_title or b"")
        plaintext = apdu.encode(sign_general(header, security, plaintext))
    content = protect(security.control(demand), security.keys, title, counter, plaintext)
    return apdu.encode(GeneralGloCiphering(title, content))


def unprotect_notification(octets: bytes, lookup: Lookup) -> tuple[DataNotification, bytes | None]:
    """A DataNotification and the system title that vouches for it (None: it came unencrypted); see `unprotect_unsolicited`."""
    held, title = unprotect_unsolicited(octets, lookup)
    if not isinstance(held, DataNotification):
        raise ProtocolError(f"{type(held).__name__} is no DataNotification")
    return held, title


def unprotect_unsolicited(
    octets: bytes, lookup: Lookup, clear: Callable[[bytes], None] | None = None
) -> tuple[Unsolicited, bytes | None]:
    """Whatever a server sends outside associations, and the system title that vouches for it (None: it came unencrypted).

    `lookup` gives keys and receive counter of a system title, a `Sender` for more, or None for a stranger. SecurityError
    moves no counter. `clear` is called with what was deciphered.
    """
    message = apdu.decode(octets)
    if isinstance(message, UNSOLICITED):
        return message, None
    if isinstance(message, GeneralSigning):
        raise SecurityError("a notification that is signed and not ciphered: nothing in it tells a replay")
    if isinstance(message, ServiceCiphering):
        raise SecurityError("a glo- or ded- APDU outside associations: nothing in it says whose key it is under")
    if not isinstance(message, GeneralGloCiphering):
        raise ProtocolError(f"{type(message).__name__} is no notification")
    known = lookup(message.system_title)
    if known is None:
        raise SecurityError(f"no keys for system title {message.system_title.hex()}")
    held = _open(message, known if isinstance(known, Sender) else Sender(*known), clear)
    if not isinstance(held, UNSOLICITED):
        raise ProtocolError(f"{type(held).__name__} is no notification")
    return held, message.system_title


def unprotect_confirmation(octets: bytes, sender: Sender | None) -> DataNotificationConfirm:
    """The word of a receiver that it has a DataNotification; None: it comes unencrypted. SecurityError moves no counter."""
    message = apdu.decode(octets)
    if sender is not None:
        if not isinstance(message, GeneralGloCiphering):
            raise SecurityError("a confirmation without the protection that requests have")
        message = _open(message, sender)
    if not isinstance(message, DataNotificationConfirm):
        raise ProtocolError(f"{type(message).__name__} confirms nothing")
    return message


def _open(message: GeneralGloCiphering, sender: Sender, clear: Callable[[bytes], None] | None = None) -> apdu.Apdu:
    opened = unprotect(sender.keys, message.system_title, message.content)
    if opened.control & ~PROTECTION_MASK or not opened.control & AUTHENTICATED:
        raise SecurityError(f"security control {opened.control:#04x} does not authenticate a notification")
    if sender.suite is not None and opened.control & SUITE_MASK != sender.suite:
        raise SecurityError(f"security control {opened.control:#04x} is of another suite than {sender.suite}")
    if sender.wanted.control & ~opened.control:
        raise SecurityError(f"security control {opened.control:#04x} protects less than the sender's policy wants")
    sender.receive_counter.check(opened.invocation_counter)
    plaintext = _signed_content(message.system_title, opened, sender)
    sender.receive_counter.accept(opened.invocation_counter)
    if clear is not None:
        clear(plaintext)
    return apdu.decode(plaintext)


def _signed_content(title: bytes, opened: Unprotected, sender: Sender) -> bytes:
    """What a signed notification holds, after its signature was found to be its sender's, and for us or for anybody."""
    if opened.plaintext[:1] != SIGNED:
        if sender.wanted & ProtectionFlags.SIGNED:
            raise SecurityError("a notification without the signature that the sender's policy wants")
        return opened.plaintext
    message = apdu.decode(opened.plaintext)
    if not isinstance(message, GeneralSigning) or message.originator_system_title != title:
        raise SecurityError("a notification that somebody else than its sender has signed")
    if message.recipient_system_title not in (b"", sender.own_title):
        raise SecurityError(
            f"a notification signed for system title {message.recipient_system_title.hex()}, not for us"
        )
    return signed_content(message, sender.signing)

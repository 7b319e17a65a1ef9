"""DataNotification outside and inside associations: a push that carries its own protection (Green Book 9.4.6.5).

A push names its sender in general-glo-ciphering, so the receiver looks up keys and counter by system title.
"""

from __future__ import annotations

from collections.abc import Callable

from dlms import apdu
from dlms.apdu.blocks import GeneralBlockTransfer
from dlms.apdu.ciphered import GeneralGloCiphering
from dlms.apdu.notify import DataNotification
from dlms.association.forms import PROTECTION_MASK
from dlms.association.general_blocks import OneWayBlocks
from dlms.association.settings import Security
from dlms.association.transfer import MAX_REQUEST_OCTETS
from dlms.enums import ApduTag
from dlms.errors import LocalError, ProtocolError, SecurityError
from dlms.security import AUTHENTICATED, Demand, GlobalKeys, ReceiveCounter, SendCounter, protect, unprotect

_GENERAL_BLOCK_TRANSFER = bytes((ApduTag.GENERAL_BLOCK_TRANSFER,))
Lookup = Callable[[bytes], "tuple[GlobalKeys, ReceiveCounter] | None"]


class PushedBlocks:
    """Pushes of one sender outside associations, where long ones come in blocks of a general block transfer."""

    def __init__(self) -> None:
        self._blocks = OneWayBlocks(MAX_REQUEST_OCTETS)

    def join(self, octets: bytes) -> bytes | None:
        """The APDU that is complete with these octets, for `unprotect_notification`; None: more blocks are needed."""
        if octets[:1] != _GENERAL_BLOCK_TRANSFER:
            return octets
        block = apdu.decode(octets)
        return self._blocks.take(block) if isinstance(block, GeneralBlockTransfer) else None


def protect_notification(
    notification: DataNotification, security: Security | None, send_counter: SendCounter | None
) -> bytes:
    """The octets of a push APDU, protected by general-glo-ciphering when there is security."""
    plaintext = apdu.encode(notification)
    if security is None or not security.demanded.response.control:
        return plaintext
    if send_counter is None:
        raise LocalError("a protected notification needs a send counter")
    if security.demanded.response & Demand.SIGNED:
        raise LocalError("a signed notification is not supported")
    control = security.control(security.demanded.response)
    content = protect(control, security.keys, security.system_title, send_counter.take(), plaintext)
    return apdu.encode(GeneralGloCiphering(security.system_title, content))


def unprotect_notification(octets: bytes, lookup: Lookup) -> tuple[DataNotification, bytes | None]:
    """The notification and the system title that vouches for it (None: it came in clear).

    `lookup` gives keys and receive counter of a system title, or None for a stranger. SecurityError moves no counter.
    """
    message = apdu.decode(octets)
    if isinstance(message, DataNotification):
        return message, None
    if not isinstance(message, GeneralGloCiphering):
        raise ProtocolError(f"{type(message).__name__} is no notification")
    known = lookup(message.system_title)
    if known is None:
        raise SecurityError(f"no keys for system title {message.system_title.hex()}")
    held = _open(message, *known)
    if not isinstance(held, DataNotification):
        raise ProtocolError(f"{type(held).__name__} is no notification")
    return held, message.system_title


def _open(message: GeneralGloCiphering, keys: GlobalKeys, counter: ReceiveCounter) -> apdu.Apdu:
    opened = unprotect(keys, message.system_title, message.content)
    if opened.control & ~PROTECTION_MASK or not opened.control & AUTHENTICATED:
        raise SecurityError(f"security control {opened.control:#04x} does not authenticate a notification")
    counter.check(opened.invocation_counter)
    counter.accept(opened.invocation_counter)
    return apdu.decode(opened.plaintext)

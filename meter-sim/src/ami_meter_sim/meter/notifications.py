"""The octets of a push: a DataNotification or an EventNotification, protected, framed by the wrapper, whole or in blocks of a general block transfer.

Strategy: made for one attempt, since every protected APDU takes a counter of its own; a receiver that has taken the earlier one
would refuse the same octets as a replay.
"""

from dataclasses import replace
from typing import NamedTuple

from ami_dlms.apdu.notify import DataNotification, EventNotificationRequest
from ami_dlms.association import Security, protect_notification
from ami_dlms.association.blocks.general_block_transfer import one_way
from ami_dlms.framing.wrapper import WrapperPdu
from ami_dlms.framing.wrapper import encode as encode_wrapper
from ami_dlms.security import ProtectionFlags, SecurityPolicy, SendCounter


class Sending(NamedTuple):
    """Who sends to whom, and with what: `security` None sends unencrypted, `max_pdu_size` 0 whole."""

    server_wport: int
    client_wport: int
    security: Security | None = None
    send_counter: SendCounter | None = None
    max_pdu_size: int = 0


def notification_frames(
    sending: Sending, notification: DataNotification | EventNotificationRequest
) -> tuple[bytes, ...]:
    """Wrapper PDUs in their order; LocalError without keys or counters for what the policy wants."""
    counter = sending.send_counter if sending.security is not None else None
    octets = protect_notification(notification, sending.security, counter)
    whole = not sending.max_pdu_size or len(octets) <= sending.max_pdu_size
    apdus = (octets,) if whole else one_way(octets, sending.max_pdu_size)
    return tuple([encode_wrapper(WrapperPdu(sending.server_wport, sending.client_wport, apdu)) for apdu in apdus])


def protected_as(security: Security | None, wanted: ProtectionFlags | None) -> Security | None:
    """The security with what a push setup wants in place of the association's policy; None where nothing is protected."""
    if wanted is ProtectionFlags.NOTHING:
        return None
    if security is None or wanted is None:
        return security if security is not None and security.ciphered else None
    return replace(security, policy=SecurityPolicy(security.required.request, wanted))

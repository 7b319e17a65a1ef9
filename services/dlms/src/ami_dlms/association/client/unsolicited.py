"""What a client gets that its pending request does not explain: notifications, and APDUs that are discarded with a reason."""

from __future__ import annotations

from ami_dlms.apdu import Apdu
from ami_dlms.apdu.notify import DataNotification, EventNotificationRequest
from ami_dlms.apdu.short_names import InformationReportRequest
from ami_dlms.association.client.exchange import Exchange
from ami_dlms.association.events import (
    Cause,
    Discarded,
    EventNotified,
    InformationReported,
    Notified,
    Opened,
    Unsolicited,
)
from ami_dlms.enums import Conformance
from ami_dlms.framing.framing import WrapperPdu


def notified(message: Unsolicited, *, protected: bool) -> Notified | EventNotified | InformationReported:
    """The event of a notification."""
    if isinstance(message, DataNotification):
        return Notified(message, protected)
    if isinstance(message, EventNotificationRequest):
        return EventNotified(message, protected)
    return InformationReported(message, protected)


def not_agreed(message: Unsolicited, opened: Opened | None) -> Discarded | None:
    """Why a notification is discarded: pushes are always taken, the other two where the association agreed to them."""
    agreed = Conformance(0) if opened is None else opened.conformance
    if isinstance(message, EventNotificationRequest) and not agreed & Conformance.EVENT_NOTIFICATION:
        return Discarded("an event notification came, which was not agreed", Cause.NOT_AGREED)
    if isinstance(message, InformationReportRequest) and not agreed & Conformance.INFORMATION_REPORT:
        return Discarded("an information report came, which was not agreed", Cause.NOT_AGREED)
    return None


def not_pending(message: Apdu, exchange: Exchange | None) -> Discarded:
    """Why an answer is discarded that the pending exchange, if any, does not take."""
    name = type(message).__name__
    if exchange is None:
        return Discarded(f"{name} came, and nothing was asked", Cause.NOTHING_ASKED)
    answered, requested = exchange.invoke_ids(message)
    if answered is None:
        return Discarded(f"{name} came, which answers another service")
    return Discarded(f"an answer came under invoke id {answered}, {requested} was asked", Cause.INVOKE_ID)


def other_address(pdu: WrapperPdu, server_wport: int, client_wport: int) -> Discarded:
    """Why an APDU is discarded that came from or to other wrapper ports."""
    there = f"from {pdu.source} to {pdu.destination}, and not from {server_wport} to {client_wport}"
    return Discarded(f"an answer came {there}", Cause.ADDRESS)

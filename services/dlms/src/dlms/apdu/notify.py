"""Unsolicited services (IEC 62056-5-3): DataNotification (push) and EventNotification."""

from __future__ import annotations

from dataclasses import dataclass

from dlms.apdu.fields import (
    AttributeReference,
    DataValue,
    DateTimeOrNothing,
    LongInvokeIdAndPriority,
    OptionalDateTime,
)


@dataclass(frozen=True, slots=True)
class DataNotification:
    """Data-Notification; `date_time` is None when the meter sent an empty one."""

    long_invoke_id_and_priority: LongInvokeIdAndPriority
    date_time: DateTimeOrNothing
    body: DataValue


@dataclass(frozen=True, slots=True)
class DataNotificationConfirm:
    """Data-Notification-Confirm: the client has taken a DataNotification that asked to be confirmed."""

    long_invoke_id_and_priority: LongInvokeIdAndPriority
    date_time: DateTimeOrNothing


@dataclass(frozen=True, slots=True)
class EventNotificationRequest:
    """EventNotificationRequest: one attribute value that the server sends of its own accord."""

    time: OptionalDateTime
    descriptor: AttributeReference
    value: DataValue

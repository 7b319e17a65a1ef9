"""Unsolicited services (IEC 62056-5-3): DataNotification (push) and EventNotification."""

from __future__ import annotations

from ami_dlms.apdu.fields import (
    AttributeReference,
    DataValue,
    DateTimeOrNothing,
    LongInvokeIdAndPriority,
    OptionalEventTime,
)
from ami_dlms.frozen import frozen


@frozen
class DataNotification:
    """Data-Notification; `date_time` is None when the meter sent an empty one."""

    long_invoke_id_and_priority: LongInvokeIdAndPriority
    date_time: DateTimeOrNothing
    body: DataValue


@frozen
class DataNotificationConfirm:
    """Data-Notification-Confirm: the client has taken a DataNotification that asked to be confirmed."""

    long_invoke_id_and_priority: LongInvokeIdAndPriority
    date_time: DateTimeOrNothing


@frozen
class EventNotificationRequest:
    """EventNotificationRequest: one attribute value that the server sends unsolicited.

    Meters in the field write the time as a Data, 09 0C and 12 octets, with or without the octet 01 of OPTIONAL before it:
    both are read, the standard's form is written.
    """

    time: OptionalEventTime
    descriptor: AttributeReference
    value: DataValue

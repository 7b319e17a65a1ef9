"""What has happened to meters: from what they push (`pushes`), what their logs have (`log_reading`) and the ends of controls (`control_ends`), by way of the store, where it is kept once, to the subscribers of
EndDeviceEvents (`publishing`) and to who asks for them (`orders`). `ami_hes.events` is something else: what this process reports of its
own work."""

from ami_hes.end_device_events.control_ends import end_event
from ami_hes.end_device_events.native_names import NamesByMeter
from ami_hes.end_device_events.orders import EventOrders
from ami_hes.end_device_events.orders import parts_of as parts_of_events
from ami_hes.end_device_events.orders import question_of as question_of_events
from ami_hes.end_device_events.publishing import EventPublisher
from ami_hes.end_device_events.taking import EventTaker

__all__ = [
    "EventOrders",
    "EventPublisher",
    "EventTaker",
    "NamesByMeter",
    "end_event",
    "parts_of_events",
    "question_of_events",
]

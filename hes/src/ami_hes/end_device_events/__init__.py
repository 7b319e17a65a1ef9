"""What has happened to meters: from what they push (`pushes`), by way of the store, where it is kept once, to the subscribers of
EndDeviceEvents (`publishing`). `ami_hes.events` is something else: what this process reports of its own work."""

from ami_hes.end_device_events.publishing import EventPublisher
from ami_hes.end_device_events.taking import EventTaker

__all__ = ["EventPublisher", "EventTaker"]

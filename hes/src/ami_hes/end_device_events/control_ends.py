"""The end of a control as an event of its meter (docs/mapping.md, M-163). Pure.

A control has one end, and perhaps an answer of the meter that came too late for it: each is one event, whose id follows from the request
and the meter, so that one that is carried out again by another life of the process is the same.
"""

import json
from uuid import uuid5

from ami_cim.identity import mrid_key
from ami_hes.commands import ControlEnd
from ami_hes.end_device_events.made import HEAD_END, NAMESPACE
from ami_hes.store import StoredDeviceEvent
from ami_mapping.alarms import NO_CODE

CONTROL = "control"
"""Source of such an event."""


def end_event(end: ControlEnd) -> StoredDeviceEvent:
    """What the head-end has seen, at the time by its own clock."""
    meter, which = end.command.meter, "late" if end.late else "control"
    details = [("endDeviceControlType", end.control_type), ("result", "done" if end.ok else "failed")]
    details += [("replyCode", end.reply_code)] if end.reply_code else []
    details += [("attempted", str(end.attempted).lower()), ("lateAnswer", str(end.late).lower())]
    return StoredDeviceEvent(
        event_id=str(uuid5(NAMESPACE, f"{mrid_key(meter.mrid)} {which} {end.command.request_id}")),
        mrid=meter.mrid,
        meter_name=meter.name,
        code=end.event_type or NO_CODE,
        source=CONTROL,
        created_at=end.at,
        by_meter=False,
        received_at=end.at,
        secured=True,
        reason=end.reason,
        details=json.dumps([*details, ("clock", HEAD_END)]),
    )

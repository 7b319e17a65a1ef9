"""What came in the name of a meter and was not believed, as an event of this meter (docs/mapping.md, M-154). Pure.

It is seen by the head-end, so it has the codes that a meter has for the same thing where it is the one that is spoken to, and says whose
clock and whose observation it is. What no row of events.csv has a code for makes none.
"""

from collections.abc import Mapping
from datetime import datetime

from ami_dlms.obis import Obis
from ami_hes.end_device_events.made import EventTime, Told, made
from ami_hes.meters import Meter
from ami_hes.store import StoredDeviceEvent
from ami_mapping.events import event_rows

FRAUD_LOG = Obis.parse("0-0:99.98.1*255")
_NUMBERS: Mapping[str, int] = {"authentication": 46, "protection": 49}
"""The number of the same thing in the log of a meter, by kind of suspicion (`ami_hes.meters.refusals`)."""


def suspicion_event(meter: Meter, kind: str, number: int, host: str, at: datetime) -> StoredDeviceEvent | None:
    """The event, or None for a kind without a code; `number` of them have come, the last from this address."""
    row = event_rows().get((FRAUD_LOG, _NUMBERS.get(kind, 0)))
    if row is None:
        return None
    details = [("seenBy", "head-end"), ("number", str(number)), ("address", host)]
    told = Told(meter, EventTime(at, by_meter=False), at)
    return made(told, "refused", kind, row.code, f"{row.meaning}: what came in the name of this meter", details)

"""What was read of meters beside the tree of its message: nearly all of its octets, and valid by the way they are written.

In the tree there is one empty MeterReading in place of all of them, so that a schema sees everything else. No text becomes such an
element, whatever is in it, and no other element has that name.
"""

from collections.abc import Sequence
from dataclasses import replace

from ami_cim.errors import LocalError
from ami_cim.payloads import Payload
from ami_cim.payloads.meter_reading_text import EMPTY, meter_reading_text
from ami_cim.payloads.meter_readings import MeterReading, MeterReadings

_EMPTY = EMPTY.encode()
_BEGIN, _END = b"<MeterReading>", b"</MeterReading>"
_ONE = (MeterReading(),)


def set_apart(payload: Payload | None) -> tuple[Payload | None, list[bytes]]:
    """The payload with one empty MeterReading, and those that it has as octets.

    Raises LocalError for what can't be written.
    """
    if not isinstance(payload, MeterReadings) or not payload.meter_readings:
        return payload, []
    return replace(payload, meter_readings=_ONE), [meter_reading_text(one).encode() for one in payload.meter_readings]


def take_out(octets: bytes) -> tuple[bytes, list[bytes]]:
    """The inverse of `put_back`, of octets that were written here: they have all MeterReadings in one place."""
    starts = [at for at in (octets.find(_BEGIN), octets.find(_EMPTY)) if at >= 0]
    if not starts:
        return octets, []
    end = max(octets.rfind(one) + len(one) for one in (_END, _EMPTY) if one in octets)
    start = min(starts)
    return octets[:start] + _EMPTY + octets[end:], [octets[start:end]]


def put_back(octets: bytes, readings: Sequence[bytes]) -> bytes:
    """The MeterReadings in place of the empty one."""
    if not readings:
        return octets
    before, found, behind = octets.partition(_EMPTY)
    if not found:
        raise LocalError("The MeterReadings are not where they were written")
    return b"".join((before, *readings, behind))

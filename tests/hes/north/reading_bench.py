"""Requests for readings, and a stand-in that says what it has read, in the operation's own form."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from north_bench import StandIn, mrid

from ami_cim.identity import EndDevice, Identified
from ami_cim.message import Header, RequestMessage
from ami_cim.payloads.get_meter_readings import GetMeterReadings
from ami_hes.commands import Outcome
from ami_hes.operations.read_results import ReadValue, ReadValues

CODE = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
BOUND = 30_000
"""Octets of a message, of which ten values of 40 meters are several."""


def read(values: int) -> str:
    """The payload of a meter that was read: this many values of one ReadingType."""
    rows = tuple(ReadValue(CODE, str(number), number * 60_000, 0) for number in range(values))
    return ReadValues(rows).format()


def asked(meters: int, **header: Any) -> RequestMessage:
    message_id = header.pop("message_id", None) or str(uuid.uuid4())
    head = Header(
        verb="get", noun="MeterReadings", message_id=message_id, correlation_id=message_id, timestamp=AT, **header
    )
    devices = tuple(EndDevice(mrid=mrid(number)) for number in range(1, meters + 1))
    types = (Identified(mrid=CODE),)
    return RequestMessage(header=head, query=GetMeterReadings(end_devices=devices, reading_types=types))


def reads(meters: int, values: int, failed: tuple[int, ...] = ()) -> StandIn:
    outcomes: dict[str, Outcome | Exception] = {
        f"M{number}": Outcome(True, payload=read(values)) for number in range(1, meters + 1)
    }
    failures = {f"M{number}": Outcome(False, "4.1", "WARNING", "no answer") for number in failed}
    return StandIn(outcomes | failures, acts=False)

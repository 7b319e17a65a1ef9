"""MeterReadings as a stand-in for the HES gives them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cis_stand_in import METERS, Behaviour, StandInHes, reply_to, soap

from ami_cim.envelope import Received
from ami_cim.identity import EndDevice
from ami_cim.message import Reply, ReplyError
from ami_cim.payloads.interval_blocks import IntervalBlock
from ami_cim.payloads.interval_columns import IntervalColumns
from ami_cim.payloads.meter_readings import MeterReading, MeterReadings, Reading
from ami_cim.quality import Quality

IMPORT = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"
QUARTERS = "0.0.2.4.1.1.12.0.0.0.0.0.0.0.0.3.72.0"
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
M1 = EndDevice(mrid=METERS[0].mrid)
OK = Reply(result="OK")
MORE = Reply(result="OK", errors=(ReplyError(code="0.1"),))


def register(
    value: str, at: datetime | None = NOON, device: EndDevice | None = M1, code: str = IMPORT, **more: Any
) -> MeterReading:
    return MeterReading(meter=device, readings=(Reading(reading_type=code, value=value, taken_at=at, **more),))


def quarters(values: Sequence[str | None], first_ends: datetime = NOON, device: EndDevice = M1) -> MeterReading:
    times = tuple(first_ends + timedelta(minutes=15) * number for number in range(len(values)))
    known, missing = (Quality(code="1.0.0"),), (Quality(code="2.5.259"),)
    columns = IntervalColumns(
        values=tuple(values),
        times=times,
        quality_sets=(known, missing),
        quality_of=tuple(int(value is None) for value in values),
    )
    return MeterReading(meter=device, blocks=(IntervalBlock(reading_type=QUARTERS, columns=columns),))


def giving(*meters: MeterReading, reply: Reply = OK) -> Behaviour:
    async def behave(_: StandInHes, received: Received) -> Any:
        return soap(reply_to(received.message, reply, MeterReadings(meters)), received.wrapper)

    return behave

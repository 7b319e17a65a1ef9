"""A MeterReadings of 100,000 values, read into columns and written from them, beside lxml that parses and validates the same octets."""

import gc
import statistics
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import process_time

from lxml import etree

from ami_cim import envelope, wire
from ami_cim.identity import EndDevice
from ami_cim.limits import for_peer
from ami_cim.message import EventMessage, Header
from ami_cim.payloads.interval_blocks import IntervalBlock
from ami_cim.payloads.interval_columns import IntervalColumns
from ami_cim.payloads.meter_readings import MeterReading, MeterReadings
from ami_cim.quality import Quality
from ami_cim.schema import Schemas, schema_directory
from ami_cli.bench_readings.figures import Ratio

METERS, ROWS = 100, 1_000
START = datetime(2026, 1, 15, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
LXML = "lxml that parses and validates them"


def message_ratios(runs: int) -> tuple[Ratio, Ratio]:
    """CPU time, in turns; the first turn warms up."""
    schemas, limits = Schemas(), for_peer(64_000_000)
    schema = etree.XMLSchema(etree.parse(str(schema_directory() / "xsd/MeterReadingsMessage.xsd")))
    header = Header(verb="created", noun="MeterReadings", timestamp=START, message_id="m-1", correlation_id="c-1")
    message = EventMessage(header=header, payload=_readings())
    wrapper = envelope.typed_wrapper("created", "MeterReadings")
    octets = wire.write_event(message, wrapper, schemas)
    reading, writing = list[float](), list[float]()
    for _ in range(runs + 1):
        base = _took_s(lambda: schema.assertValid(etree.fromstring(octets)[0][0]))
        reading.append(_took_s(lambda: wire.read_delivery(octets, schemas, limits)) / base)
        # rows of intervals are valid by the way they are written, so what is written is validated here as its receiver would do it
        written = _took_s(
            lambda: schema.assertValid(etree.fromstring(wire.write_event(message, wrapper, schemas))[0][0])
        )
        writing.append(written / base)
    return (
        Ratio("100,000 values read and validated into columns", LXML, statistics.median(reading[1:])),
        Ratio("100,000 values written from columns, then parsed and validated", LXML, statistics.median(writing[1:])),
    )


def _readings() -> MeterReadings:
    """Each meter has values of its own; times and qualities are alike, as those of a collection are."""
    times = tuple(START + QUARTER * row for row in range(1, ROWS + 1))
    good = ((Quality(code="1.0.0"),),)

    def of_meter(number: int) -> MeterReading:
        values = tuple(f"{number}.{row:06d}" for row in range(ROWS))
        columns = IntervalColumns(values=values, times=times, quality_sets=good, quality_of=(0,) * ROWS)
        block = IntervalBlock(reading_type="0.0.2.4.1.1.12.0.0.0.0.0.0.0.0.3.72.0", columns=columns)
        return MeterReading(meter=EndDevice(f"id-{number}"), blocks=(block,))

    return MeterReadings(tuple(map(of_meter, range(METERS))))


def _took_s(run: Callable[[], object]) -> float:
    gc.collect()
    before = process_time()
    run()
    return process_time() - before

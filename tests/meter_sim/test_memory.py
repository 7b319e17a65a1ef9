"""The two doors to what a meter remembers, as they are kept in memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ami_dlms import data
from ami_dlms.obis import Obis
from ami_meter_sim.objects.memory import HistoryInMemory, KeptInMemory, Record, RecordKind

LOG = Obis.parse("0-0:99.98.0")
OTHER = Obis.parse("0-0:99.98.1")
START = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_changed_attribute_counts_until_it_goes_back_to_the_model() -> None:
    kept = KeptInMemory()
    kept.put(1, LOG, 2, data.unsigned(7))
    assert kept.get(1, LOG, 2) == data.unsigned(7)
    assert kept.get(1, LOG, 3) is None
    kept.put(1, LOG, 2, None)
    assert kept.get(1, LOG, 2) is None


def test_records_come_back_in_time_narrowed_by_kind_span_and_source() -> None:
    history = HistoryInMemory()
    for minutes, source in ((2, LOG), (1, OTHER), (0, LOG)):
        history.happened(Record(START + timedelta(minutes=minutes), RecordKind.EVENT, source, minutes))
    history.happened(Record(START, RecordKind.SWITCH, None, 0))
    numbers = [one.number for one in history.records(RecordKind.EVENT)]
    assert numbers == [0, 1, 2]
    assert [one.number for one in history.records(RecordKind.EVENT, source=LOG)] == [0, 2]
    until = START + timedelta(minutes=2)
    assert [one.number for one in history.records(RecordKind.EVENT, START + timedelta(minutes=1), until)] == [1]

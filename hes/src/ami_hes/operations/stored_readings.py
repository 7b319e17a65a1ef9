"""Answers from the store, alone or with what is read from the meter because it is not kept."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from ami_hes.meters import MeterFault
from ami_hes.operations.asked_types import Asked, SortedOut, answered_by, is_now
from ami_hes.operations.kept_readings import SECOND_MS, code_of, merged, still_to_read, value_from
from ami_hes.operations.read_profiles import fault_of
from ami_hes.operations.read_results import NotRead, ReadSeries, ReadValue, ReadValues, number_of
from ami_hes.store import Readings, StoredSeries, StoreUnavailable
from ami_mapping.faults import Fault, explain
from ami_mapping.intervals import Span
from ami_mapping.lookup import readings

Read = Callable[[SortedOut], Awaitable[ReadValues]]
"""Reads from the meter."""
Kept = Mapping[str, StoredSeries]


class StoredReadings:
    """What is kept of one meter."""

    def __init__(self, store: Readings | None, mrid: str, now: Callable[[], datetime]) -> None:
        self._store = store
        self._mrid = mrid
        self._now = now

    async def answer(self, asked: SortedOut, read: Read | None) -> ReadValues:
        """What is kept, and what is missing there by `read`; without that nothing else. Raises MeterFault."""
        kept = await self._kept(asked)
        if read is None:
            return _only(asked, kept)
        spans = [still_to_read(one, kept.get(code_of(one)), asked.span) for one in asked.columns if asked.span]
        left = tuple(one for one, span in zip(asked.columns, spans, strict=True) if span is not None)
        found = ReadValues()
        if asked.everything or asked.attributes or left:
            found = await _or_faults(read, replace(asked, columns=left, span=_around(spans) or asked.span), kept)
        return _joined(asked, kept, found)

    async def _kept(self, asked: SortedOut) -> Kept:
        """By their codes: of columns all that is kept of the time, of attributes the last value."""
        if self._store is None:
            return {}
        start, end = (0, number_of(self._now())) if asked.span is None else _milliseconds(asked.span)
        now_codes, codes = list(map(code_of, asked.attributes)), list(map(code_of, asked.columns))
        found: list[StoredSeries] = []
        try:
            if now_codes or asked.everything:
                latest = await self._store.latest(self._mrid, now_codes, until=end)
                found += [one for one in latest if asked.span is None or one.times[-1] > start]
            if codes:
                found += await self._store.find(self._mrid, codes, after=start, until=end)
        except StoreUnavailable as problem:
            raise MeterFault("internal", "store", detail=str(problem)) from None
        return {one.reading_type: one for one in found}


async def _or_faults(read: Read, left: SortedOut, kept: Kept) -> ReadValues:
    """A meter that can't be reached takes nothing from what is kept."""
    try:
        return await read(left)
    except MeterFault as fault:
        if not kept or left.everything:  # of registers as of now nothing is taken from the store (M-136)
            raise
        why = fault_of(fault)
        return ReadValues(not_read=tuple(_not_read(one, why) for one in (*left.attributes, *left.columns)))


def _only(asked: SortedOut, kept: Kept) -> ReadValues:
    values, not_read = list[ReadValue](), list[NotRead]()
    for one in (*asked.attributes, *_last_of(asked, kept)):
        if (stored := kept.get(code_of(one))) is not None:
            values.append(value_from(stored, one))
        else:
            not_read.append(_not_read(one, _nothing(one)))
    return _joined(asked, kept, ReadValues(tuple(values), (), tuple(not_read)))


def _last_of(asked: SortedOut, kept: Kept) -> list[Asked]:
    """All that is kept of a meter, where nothing is named."""
    table = readings()
    sub = asked.of_sub_meter
    codes = [one for one in kept if is_now(one, table, of_sub_meter=sub)] if asked.everything else []
    return [answered_by(code, table, of_sub_meter=sub).by_attributes for code in codes]


def _joined(asked: SortedOut, kept: Kept, found: ReadValues) -> ReadValues:
    read = {one.reading_type: one for one in found.series}
    refused = {one.reading_type for one in found.not_read}
    series, not_read = list[ReadSeries](), list(found.not_read)
    for one in asked.columns:
        code = str(one.matches[0].reading_type(one.multiplier or 0))
        joined = merged(one, kept.get(code_of(one)), read.get(code), asked.span or Span(0, 0))
        if joined is not None:
            series.append(joined)
        elif one.reading_type not in refused:
            not_read.append(_not_read(one, _nothing(one)))
    return ReadValues(found.values, tuple(series), tuple(not_read))


def _nothing(one: Asked) -> Fault:
    return explain("reading", "not-kept", attempted=None, detail=one.reading_type)


def _not_read(one: Asked, fault: Fault) -> NotRead:
    return NotRead(one.reading_type, fault.code, fault.level, fault.reason)


def _milliseconds(span: Span) -> tuple[int, int]:
    return span.start * SECOND_MS, span.end * SECOND_MS


def _around(spans: Sequence[Span | None]) -> Span | None:
    there = [one for one in spans if one is not None]
    return Span(min(one.start for one in there), max(one.end for one in there)) if there else None

"""MeterReadings: a get becomes one command per meter, and what was read becomes one Reply with the readings in its payload (IEC 61968-9).

Pure functions. A ReadingType that is not served, or that one meter could not give, is one error, and all others are given
(docs/mapping.md, M-120 and M-127). A request that asks for something in a way that is not understood is refused as a whole.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache

from ami_cim.asked_readings import asked_readings
from ami_cim.codes import Level, Verb
from ami_cim.errors import CimError, InvalidMessage
from ami_cim.identity import EndDevice, Identified, Identifier, Name
from ami_cim.message import Reply, ReplyError, RequestMessage, Result
from ami_cim.paging import page_of
from ami_cim.payloads.get_meter_readings import GetMeterReadings
from ami_cim.payloads.interval_blocks import IntervalBlock
from ami_cim.payloads.interval_columns import IntervalColumns
from ami_cim.payloads.meter_readings import MeterReading, MeterReadings, Reading
from ami_cim.periods import Period
from ami_cim.quality import Quality
from ami_hes.commands import Command, MeterId
from ami_hes.meters.registry import Meter, Registry
from ami_hes.nouns.asked_names import AskedNames, format_asked
from ami_hes.nouns.devices import (
    devices_of,
    meter_of_device,
    meter_of_usage_point,
    meters_of_group,
    meters_of_usage_point_group,
)
from ami_hes.nouns.header import error
from ami_hes.nouns.partners import STANDARD, Partner
from ami_hes.nouns.plans import Plan, Refused, Report, RequestContext, Worked
from ami_hes.operations import read_meter
from ami_hes.operations.asked_types import demand_served
from ami_hes.operations.read_results import (
    METER,
    SOURCES,
    STORE,
    NotRead,
    ReadSeries,
    ReadValue,
    ReadValues,
    WantedReadings,
    moment_at,
    moments_at,
    number_of,
)
from ami_mapping.lookup import readings
from ami_mapping.partner_codes import is_dropped
from ami_mapping.qualities import parse_quality
from ami_mapping.reading_types import ReadingType, RefusedReadingType

REASON = "inquiry"
"""Readings/reason of what was read because somebody asked for it."""
HEAD_END_TIME = "meter, time of the head-end system"
"""Readings/source of values whose timeStamp is when their answer came: the meter gives none (M-119)."""
HOUR_MS = 3_600_000
LONGEST_PERIODS_MS = {11: 25 * HOUR_MS, 13: (31 * 24 + 1) * HOUR_MS}
"""macroPeriod -> how long a day, or a month, is at most."""
MOST_TYPES = 200
MOST_QUALITIES = 50
LONGEST = timedelta(days=400)
_IDENTIFYING = ("EndDevice/", "UsagePoint/")
"""Parents of elements that say more about a device that mRID and Names already identify; they change nothing."""


def size(message: RequestMessage, partner: Partner = STANDARD) -> int:
    """How many devices, usage points and groups a request names, whether known or not, each as often as it does."""
    _check_verb(message.header.verb)
    query = _query_of(message)
    named = query.usage_points, query.end_device_groups, query.usage_point_groups
    return len(devices_of(query.end_devices, partner)) + sum(map(len, named))


def plan(context: RequestContext, message: RequestMessage, registry: Registry) -> Plan:
    """The commands and the errors of a request; raises Refused if nothing of it may be done."""
    _check_verb(context.verb)
    query = _query_of(message)
    _demand_understood(query)
    period = _period_of(query, context.accepted_at)
    types, errors = _types_of(query, context.partner)
    source, qualities = _source_of(query), _qualities_of(query)
    if period[0] is not None and not types and source != STORE:
        why = "without ReadingTypes it is all that the meters have now; name those of a time, or ask for what is kept (source store)"
        raise Refused(error("5.2", f"Nothing was read: {why}."))
    meters: dict[str, Meter] = {}
    for found in _meters_of(query, registry, context.partner):
        if isinstance(found, ReplyError):
            errors.append(found)
        else:
            meters.setdefault(found.name, found)
    body = WantedReadings(tuple(types), *period, source, qualities).format()
    commands = [
        Command(context.request_id, MeterId(one.name, one.mrid), read_meter.NAME, body)
        for one in _page(list(meters.values()), message)
    ]
    summary = " ".join(types) or "all that the meters have"
    summary += f" with quality {' or '.join(qualities)}" if qualities else ""
    return Plan(tuple(commands), tuple(dict.fromkeys(errors)), summary, _asked(query, context.partner))


def report(context: RequestContext, errors: Sequence[ReplyError], worked: Sequence[Worked]) -> Report:
    """The Reply for all of them, and what was read: OK if all of it was, FAILED if nothing, else PARTIAL.

    What was not asked for by a get is not in its payload, but goes to subscribers (`created`).
    """
    found = [(one, ReadValues.parse(one.outcome.payload)) for one in worked]
    partner = context.partner
    if partner.dropped:
        found = [(one, _without(values, partner.dropped)) for one, values in found]
    asked = AskedNames.parse(context.query)
    entries = [
        *errors,
        *(asked.about(one.command.meter, entry) for one, values in found for entry in _errors(one, values, partner)),
    ]
    read = [(one, values) for one, values in found if values.values or values.series]
    result: Result = "FAILED" if not read else "PARTIAL" if entries else "OK"
    payload = _payload(read, REASON) if read and context.verb == Verb.GET else None
    return Reply(result=result, errors=tuple(entries)), payload if payload is None else _spelled(payload, partner)


def created(read: Sequence[tuple[Worked, ReadValues]], partner: Partner = STANDARD) -> MeterReadings:
    """What was read of meters without being asked for, as an event to this partner has it."""
    return _spelled(_payload(read, None), partner)


def _payload(read: Sequence[tuple[Worked, ReadValues]], reason: str | None) -> MeterReadings:
    return MeterReadings(tuple(_meter_reading(one, values, reason) for one, values in read))


def _check_verb(verb: str) -> None:
    if verb != Verb.GET:
        raise Refused(error("2.9", f"The verb {verb} is not served for MeterReadings. Served is: get."))


def _query_of(message: RequestMessage) -> GetMeterReadings:
    try:
        query = asked_readings(message)
    except CimError as problem:
        raise Refused(error(problem.code, f"{problem.reason}.")) from None
    if query is None:
        raise Refused(error("1.7", "The Request has neither GetMeterReadings nor IDs that say what is asked for."))
    return query


def _demand_understood(query: GetMeterReadings) -> None:
    """What would be answered otherwise than it is asked is refused."""
    beyond = [name for name in query.unsupported if not name.startswith(_IDENTIFYING)]
    if beyond:
        raise Refused(error("5.2", f"Nothing was read: {', '.join(beyond)} of GetMeterReadings is not supported."))
    if not (query.end_devices or query.usage_points or query.end_device_groups or query.usage_point_groups):
        raise Refused(error("1.7", "GetMeterReadings names no EndDevice, no UsagePoint and no group of them."))


def _period_of(query: GetMeterReadings, now: datetime) -> tuple[int | None, int | None]:
    """From when to when, in milliseconds; None for what is read as it is now."""
    periods = {(one.start, one.end) for one in query.periods}
    if len(periods) > 1:
        raise Refused(error("1.6", "GetMeterReadings says several times; one is read at once."))
    start, end = periods.pop() if periods else (None, None)
    if start is None:
        if end is not None:
            raise Refused(error("1.7", "The time that is asked for has an end and no start."))
        return None, None
    if (end or now) <= start:
        raise Refused(error("1.6", "The time that is asked for ends before it starts."))
    if (end or now) - start > LONGEST:
        raise Refused(error("3.1", f"The time that is asked for is longer than {LONGEST.days} days."))
    return number_of(start), None if end is None else number_of(end)


def _source_of(query: GetMeterReadings) -> str:
    """Where the values are to come from; the meter where nothing is said."""
    sources = {one.source for one in query.readings if one.source is not None} or {METER}
    if len(sources) > 1 or not sources <= set(SOURCES):
        words = ", ".join(f'"{one}"' for one in SOURCES)
        raise Refused(error("5.2", f"Nothing was read: Reading/source is one of {words}."))
    return sources.pop()


def _qualities_of(query: GetMeterReadings) -> tuple[str, ...]:
    """The ReadingQualityTypes of which a value has to have one; none where it may have any (M-139)."""
    if any(one.comment or one.source or one.assessed_at for one in query.qualities):
        raise Refused(
            error("5.2", "Nothing was read: values are chosen by the ReadingQualityType of a ReadingQuality alone.")
        )
    codes = tuple(dict.fromkeys(one.code for one in query.qualities))
    if len(codes) > MOST_QUALITIES:
        raise Refused(
            error(
                "3.1", f"The request names {len(codes)} ReadingQualities; at most {MOST_QUALITIES} are taken at once."
            )
        )
    for code in codes:
        try:
            parse_quality(code)
        except ValueError as problem:
            identifier = Identifier(value=code[:200], kind="other", object_type="ReadingQualityType")
            raise Refused(replace(error("2.15", f"Nothing was read: {problem}."), identifier=identifier)) from None
    return codes


def _page(meters: Sequence[Meter], message: RequestMessage) -> Sequence[Meter]:
    """Those of the page that the Options ask for."""
    try:
        page = page_of(message)
    except InvalidMessage as problem:
        raise Refused(error(problem.code, f"{problem}.")) from None
    if meters and page.offset >= len(meters):
        raise Refused(error("1.6", f"The Option offset is behind the last of {len(meters)} meters."))
    return meters[page.offset : None if page.limit is None else page.offset + page.limit]


def _types_of(query: GetMeterReadings, partner: Partner) -> tuple[list[str], list[ReplyError]]:
    """The ReadingTypes that are served, as they are for all, none where none is named, and an error for each that is not."""
    named = list(dict.fromkeys(_code_of(one) for one in query.reading_types))
    if len(named) > MOST_TYPES:
        raise Refused(
            error("3.1", f"The request names {len(named)} ReadingTypes; at most {MOST_TYPES} are taken at once.")
        )
    types, errors = list[str](), list[ReplyError]()
    for one in named:
        try:
            general = partner.general(one)
            demand_served(general, readings() if partner.codes is None else partner.codes.served)
            types.append(general)
        except RefusedReadingType as refused:
            identifier = Identifier(value=one[:200], kind="other", object_type="ReadingType")
            errors.append(
                ReplyError(code=refused.code, level=Level.FATAL, reason=refused.reason, identifier=identifier)
            )
    if named and not types:
        raise Refused(*errors)
    return list(dict.fromkeys(types)), errors


def _code_of(one: Identified) -> str:
    """The mRID of a reading type is its code; some partners write it as a name."""
    return one.mrid or next((name.name for name in one.names), "")


def _meters_of(query: GetMeterReadings, registry: Registry, partner: Partner) -> Iterator[Meter | ReplyError]:
    for device in devices_of(query.end_devices, partner):
        yield meter_of_device(device, registry)
    for point in query.usage_points:
        yield meter_of_usage_point(point, registry)
    groups = [
        *(meters_of_group(one, registry) for one in query.end_device_groups),
        *(meters_of_usage_point_group(one, registry) for one in query.usage_point_groups),
    ]
    for members in groups:
        yield from [members] if isinstance(members, ReplyError) else members


def _asked(query: GetMeterReadings, partner: Partner) -> str:
    others = bool(query.usage_points or query.end_device_groups or query.usage_point_groups)
    return format_asked(devices_of(query.end_devices, partner), others=others)


def _errors(worked: Worked, found: ReadValues, partner: Partner) -> list[ReplyError]:
    """One for each ReadingType that this meter could not give, or one for the meter that gave nothing."""
    outcome = worked.outcome
    if found.not_read:
        return [_not_read(one, partner) for one in found.not_read]
    if outcome.ok:
        return []
    level = Level(outcome.level or Level.FATAL)
    return [ReplyError(code=outcome.code or "5.3", level=level, reason=outcome.reason or None)]


def _not_read(one: NotRead, partner: Partner) -> ReplyError:
    reason = one.reason if one.reading_type in one.reason else f"{one.reading_type}: {one.reason}"
    reason = reason.replace(one.reading_type, partner.spelled(one.reading_type))
    return ReplyError(code=one.code, level=Level(one.level), reason=reason)


def _without(found: ReadValues, dropped: tuple[str, ...]) -> ReadValues:
    """Without what the partner does not want of all that a meter has."""
    return replace(
        found,
        values=tuple(one for one in found.values if not is_dropped(one.reading_type, dropped)),
        series=tuple(one for one in found.series if not is_dropped(one.reading_type, dropped)),
    )


def _spelled(payload: MeterReadings, partner: Partner) -> MeterReadings:
    """With its ReadingTypes as the partner has them."""
    if not partner.switches:
        return payload

    def spelled(one: MeterReading) -> MeterReading:
        readings = tuple(replace(each, reading_type=partner.spelled(each.reading_type)) for each in one.readings)
        blocks = tuple(replace(each, reading_type=partner.spelled(each.reading_type)) for each in one.blocks)
        return replace(one, readings=readings, blocks=blocks)

    return replace(payload, meter_readings=tuple(map(spelled, payload.meter_readings)))


def _meter_reading(worked: Worked, found: ReadValues, reason: str | None) -> MeterReading:
    meter = worked.command.meter
    return MeterReading(
        meter=EndDevice(meter.mrid, (Name(name=meter.name),)),
        readings=(
            *(_reading(one, reason) for one in found.values),
            *(one for series in found.series for one in _readings(series, reason)),
        ),
        blocks=tuple(_block(one) for one in found.series if one.intervals),
    )


def _reading(one: ReadValue, reason: str | None) -> Reading:
    received_at = moment_at(one.received_at)
    return Reading(
        reading_type=one.reading_type,
        value=one.value,
        taken_at=received_at if one.at is None else moment_at(one.at),
        reported_at=received_at,
        source=STORE if one.stored else HEAD_END_TIME if one.at is None else METER,
        reason=reason,
        qualities=_qualities(one.qualities),
    )


def _readings(series: ReadSeries, reason: str | None) -> Iterator[Reading]:
    """Days and billing periods are readings, each at the end of its period, which timePeriod says (M-105)."""
    if series.intervals:
        return
    qualities = [_qualities(one) for one in series.quality_sets]
    sources = _sources(series) or (METER,) * len(series.times)
    starts = _starts(series)
    for start, at, value, said, source in zip(
        starts, series.times, series.values, series.quality_of, sources, strict=True
    ):
        yield Reading(
            reading_type=series.reading_type,
            value=value,
            taken_at=moment_at(at),
            period=Period(start=None if start is None else moment_at(start), end=moment_at(at)),
            reported_at=moment_at(series.received_at),
            source=source,
            reason=reason,
            qualities=qualities[said],
        )


def _block(series: ReadSeries) -> IntervalBlock:
    columns = IntervalColumns(
        values=series.values,
        times=moments_at(series.times),
        quality_sets=tuple(_qualities(one) for one in series.quality_sets),
        quality_of=series.quality_of,
        sources=_sources(series),
    )
    return IntervalBlock(reading_type=series.reading_type, columns=columns)


def _starts(series: ReadSeries) -> list[int | None]:
    """Where the period of each value begins: where the one before it ends, unless more than one can lie between."""
    longest = LONGEST_PERIODS_MS.get(ReadingType.parse(series.reading_type).macro_period, 0)
    before = (None, *series.times[:-1])
    return [
        start if start is not None and at - start <= longest else None
        for start, at in zip(before, series.times, strict=True)
    ]


def _sources(series: ReadSeries) -> tuple[str, ...]:
    """Of each value, where some come from the store; else all of them come from the meter, and nothing is said of it."""
    stored = set(series.stored)
    return tuple(STORE if place in stored else METER for place in range(len(series.times))) if stored else ()


def _qualities(codes: Sequence[str]) -> tuple[Quality, ...]:
    return _alike(tuple(codes))


@lru_cache(1_000)
def _alike(codes: tuple[str, ...]) -> tuple[Quality, ...]:
    """Nearly all values of an answer have the same."""
    return tuple(Quality(code=one) for one in codes)

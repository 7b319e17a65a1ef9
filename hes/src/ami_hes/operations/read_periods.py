"""Reads values of closed billing periods from objects whose OBIS F says which period (docs/mapping.md, M-105 and M-142).

Which period a number means is what the meter says of it: the object with the time at which that period ended has the same F. These
times are read before the values and after them, because a period that ends meanwhile gives the objects other values.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import DataTag
from ami_dlms.obis import Obis
from ami_hes.meters import GetRefused, MeterFault, Session
from ami_hes.meters.known_objects import KnownObjects
from ami_hes.meters.known_scalers import KnownScalers
from ami_hes.operations.asked_types import Asked
from ami_hes.operations.identity import check_identity
from ami_hes.operations.read_results import NotRead, ReadSeries, number_of
from ami_mapping.attributes import UnreadableValue, moment_of, scaler_unit_of, value_of
from ami_mapping.faults import Fault, explain, explain_refused_reading
from ami_mapping.intervals import Span
from ami_mapping.lookup import Match
from ami_mapping.qualities import SUSPECT

PERIODS = frozenset((*range(100), *range(101, 126)))
"""Values of OBIS F that name one billing period: by its number, or counted back from the last one, which is 101."""
DATA, VALUE = 1, 2
MOST_OBJECTS = 1_000
"""Of one request; a meter keeps some tens of periods."""
Objects = Sequence[tuple[int, Obis]]
Answers = Mapping[AttributeDescriptor, Data | GetRefused]


@dataclass(frozen=True, slots=True)
class _Value:
    """An object of a period, and the object with when that ended."""

    match: Match
    value: AttributeDescriptor
    scaler_unit: AttributeDescriptor | None
    ended: AttributeDescriptor


class PeriodReader:
    """Reads over one session."""

    def __init__(
        self, session: Session, known: KnownObjects, scalers: KnownScalers, now: Callable[[], datetime]
    ) -> None:
        self.series: list[ReadSeries] = []
        self.not_read: list[NotRead] = []
        self._session = session
        self._known = known
        self._scalers = scalers
        self._now = now

    async def read(self, asked: Sequence[Asked], span: Span) -> None:
        """Of each the periods that ended in the span. Raises MeterFault for what is the same for all of them."""
        await check_identity(self._session)
        objects = await self._known.of(self._session)
        wanted = {one: found for one in asked if (found := self._values_of(one, objects))}
        if sum(map(len, wanted.values())) > MOST_OBJECTS:
            raise MeterFault("protocol", "other", where="reading billing periods", detail="the meter lists too many")
        if not wanted:
            return
        answers = await self._answers([value for found in wanted.values() for value in found])
        doubtful = await self._doubtful(answers)
        for one, found in wanted.items():
            self._take(one, found, answers, doubtful, span)

    def _values_of(self, asked: Asked, objects: Objects) -> list[_Value]:
        """Those that the meter lists with a time at which their period ended; an error where there is none."""
        there = [
            (match, obis) for match in asked.matches for class_id, obis in objects if _is_of(match, class_id, obis)
        ]
        listed = set(objects)
        found = [
            _Value(match, value, scaler_unit_of(match.row, value), AttributeDescriptor(DATA, ended, VALUE))
            for match, obis in there
            if (DATA, ended := _end_of(obis)) in listed
            and (value := AttributeDescriptor(match.row.class_id, obis, match.row.attribute))
        ]
        if not found:
            kind, name = ("reading", "no-end-of-period") if there else ("reading-type", "not-in-meter")
            self.fail([asked], explain(kind, name, attempted=None, detail=asked.reading_type))
        return found

    async def _answers(self, wanted: Sequence[_Value]) -> Answers:
        """All of one state of the meter: read once more where a period has ended meanwhile."""
        ends = list(dict.fromkeys(one.ended for one in wanted))
        attributes = [name for one in wanted for name in (one.value, one.scaler_unit) if name is not None]
        values = list(dict.fromkeys(attributes))
        before = await self._session.get_each(*ends)
        for _ in range(2):
            read = await self._session.get_each(*values)
            after = await self._session.get_each(*ends)
            if _alike(before, after):
                return dict(zip((*ends, *values), (*after, *read), strict=True))
            before = after
        where = "reading billing periods"
        raise MeterFault("protocol", "other", where=where, detail="their ends changed while they were read")

    async def _doubtful(self, answers: Answers) -> set[AttributeDescriptor]:
        """Scalers that are others than they were first (M-133)."""
        units = {name: unit for name, unit in answers.items() if not isinstance(unit, GetRefused) and _is_unit(name)}
        meter = self._session.meter
        differing = await self._scalers.differing(meter, units)
        self._scalers.report(meter, differing, units)
        return differing

    def _take(
        self, asked: Asked, found: Sequence[_Value], answers: Answers, doubtful: set[AttributeDescriptor], span: Span
    ) -> None:
        rows: dict[int, tuple[str, bool]] = {}
        code, fault = "", None
        for one in found:
            try:
                ended_at = _moment(_given(answers[one.ended]))
                if ended_at is None or not span.has(ended_at // 1000):
                    continue
                unit = None if one.scaler_unit is None else _given(answers[one.scaler_unit])
                reading_type, text = value_of(
                    one.match, _given(answers[one.value]), unit, multiplier=asked.multiplier or 0
                )
            except UnreadableValue as problem:
                where = f"reading {one.value}"
                fault = explain(
                    "data-access-result", "unexpected-value", attempted=None, where=where, detail=str(problem)
                )
                continue
            except GetRefused as refusal:
                fault = explain_refused_reading(refusal.name, where=refusal.where)
                continue
            code = str(reading_type)
            before, was_doubtful = rows.get(ended_at, (text, False))
            rows[ended_at] = text, was_doubtful or one.scaler_unit in doubtful or before != text
        if fault is not None:
            self.fail([asked], fault)
        elif not rows:
            self.fail([asked], explain("reading", "no-rows", attempted=None, detail=asked.reading_type))
        if rows:
            self.series.append(self._series(code, rows))

    def _series(self, code: str, rows: Mapping[int, tuple[str, bool]]) -> ReadSeries:
        times = tuple(sorted(rows))
        return ReadSeries(
            code,
            intervals=False,
            times=times,
            values=tuple(rows[at][0] for at in times),
            quality_sets=((), (SUSPECT,)),
            quality_of=tuple(int(rows[at][1]) for at in times),
            received_at=number_of(self._now()),
        )

    def fail(self, asked: Sequence[Asked], fault: Fault) -> None:
        """None of these is read, or not all of it, for one reason."""
        self.not_read += [NotRead(one.reading_type, fault.code, fault.level, fault.reason) for one in asked]


def _is_of(match: Match, class_id: int, obis: Obis) -> bool:
    period = obis[5]
    return class_id == match.row.class_id and period in PERIODS and match.means(obis, period=period)


def _end_of(obis: Obis) -> Obis:
    """The object with when the same period ended: C=0, D=1, E=2, of the same medium and channel."""
    return Obis(bytes((obis[0], obis[1], 0, 1, 2, obis[5])))


def _is_unit(name: AttributeDescriptor) -> bool:
    return name.class_id != DATA and name.attribute_id == 3  # of classes 3 and 4


def _given(answer: Data | GetRefused) -> Data:
    if isinstance(answer, GetRefused):
        raise answer
    return answer


def _moment(time: Data) -> int | None:
    """In milliseconds since 1970; None where the place is not used yet: its time is not specified. UnreadableValue for what is no time."""
    if time.tag is DataTag.NULL_DATA:
        return None
    try:
        return number_of(moment_of(time))
    except UnreadableValue:
        if time.tag in (DataTag.OCTET_STRING, DataTag.DATE_TIME):
            return None
        raise


def _alike(before: Sequence[Data | GetRefused], after: Sequence[Data | GetRefused]) -> bool:
    def said(one: Data | GetRefused) -> object:
        return one.name if isinstance(one, GetRefused) else one

    return list(map(said, before)) == list(map(said, after))

"""Reads values that are attributes of objects: registers, momentary values, demands, counters, states (docs/mapping.md, M-120 to M-127).

Value, scaler_unit and time of a value are asked for in one request where the meter takes lists, so that a scaler is never that of
another time than its value. The object that a meter usually has is tried first; only a meter that has no such object is asked for
the list of what it has.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple, Self

from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.quantity import ScalerUnit
from ami_dlms.data import Data
from ami_dlms.errors import DlmsError
from ami_dlms.obis import Obis
from ami_hes.meters import GetRefused, MeterFault, Session
from ami_hes.meters.known_objects import KnownObjects
from ami_hes.meters.known_scalers import KnownScalers
from ami_hes.operations.asked_types import Asked, is_attribute
from ami_hes.operations.identity import read_each_identified
from ami_hes.operations.read_results import NotRead, ReadValue, number_of
from ami_mapping.attributes import UnreadableValue, capture_time_of, moment_of, scaler_unit_of, value_of
from ami_mapping.faults import Fault, explain, explain_refused_reading
from ami_mapping.lookup import Match, ReadingTable, first_in_meter
from ami_mapping.qualities import SUSPECT
from ami_mapping.reading_types import ReadingType
from ami_mapping.readings import ReadingRow
from ami_mapping.values import scaling_of, shifted

ABSENT = ("OBJECT_UNDEFINED", "OBJECT_CLASS_INCONSISTENT")
"""Data-access-results by which a meter says that it has no such object."""
EXTENDED_REGISTER, CAPTURE_TIME = 4, 5
MOST_AT_ONCE = 24
"""Attributes of one request: a value without a time of its own has that of its answer, which is not to be one for all."""
Objects = Sequence[tuple[int, Obis]]
Answer = Data | GetRefused
MOST_BATCHED = 64
MOST_SCALINGS = 8


@dataclass(frozen=True, slots=True, eq=False)
class _Target:
    """What is read for a ReadingType; the one of a usual place serves all meters."""

    asked: Asked
    match: Match
    value: AttributeDescriptor
    scaler_unit: AttributeDescriptor | None
    time: AttributeDescriptor | None
    attributes: tuple[AttributeDescriptor, ...]
    _scalings: list[tuple[Data, str, int]] = field(default_factory=list, init=False)

    @classmethod
    def of(cls, asked: Asked, match: Match, value: AttributeDescriptor) -> Self:
        """With the attributes that belong to the value."""
        scaler_unit, time = scaler_unit_of(match.row, value), capture_time_of(match.row, value)
        attributes = tuple(one for one in (value, scaler_unit, time) if one is not None)
        return cls(asked, match, value, scaler_unit, time, attributes)

    def reading(self, value: Data, unit: Data | None) -> tuple[str, str]:
        """The code and the text of the reading; UnreadableValue where it is none."""
        if unit is not None and type(value.value) is int and (scaling := self._scaling(unit)) is not None:
            code, shift = scaling
            return code, shifted(value.value, shift)
        reading_type, text = value_of(self.match, value, unit, multiplier=self.asked.multiplier)
        return str(reading_type), text

    def _scaling(self, unit: Data) -> tuple[str, int] | None:
        """How whole numbers with this scaler_unit become readings, worked out once; None where they do not."""
        for known, code, shift in self._scalings:
            if known == unit:
                return code, shift
        try:
            found = scaling_of(self.match, ScalerUnit.decode(unit), multiplier=self.asked.multiplier)
        except (DlmsError, ValueError):
            return None
        scaling = str(found[0]), found[1]
        if len(self._scalings) < MOST_SCALINGS:
            self._scalings.append((unit, *scaling))
        return scaling


class _Places(NamedTuple):
    """Where the answers to the attributes of a target are among those of its batch."""

    value: int
    scaler_unit: int | None
    time: int | None


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """What is asked for in one request."""

    targets: tuple[_Target, ...]
    attributes: tuple[AttributeDescriptor, ...]
    places: tuple[_Places, ...]
    scaler_units: tuple[AttributeDescriptor, ...]
    scaler_places: tuple[int, ...]

    @classmethod
    def of(cls, targets: Sequence[_Target]) -> Self:
        """Each attribute once."""
        where: dict[AttributeDescriptor | None, int] = {}
        for target in targets:
            for one in target.attributes:
                where.setdefault(one, len(where))
        places = tuple(_Places(where[one.value], where.get(one.scaler_unit), where.get(one.time)) for one in targets)
        units = tuple(dict.fromkeys(one.scaler_unit for one in targets if one.scaler_unit is not None))
        attributes = tuple(one for one in where if one is not None)
        return cls(tuple(targets), attributes, places, units, tuple(where[one] for one in units))


def all_of(objects: Objects, table: ReadingTable, medium: str = "") -> list[Asked]:
    """Every ReadingType that has an attribute among these objects, times of occurrence excepted (M-110); `medium` is that of a sub-meter."""
    found: dict[ReadingType, Asked] = {}
    for class_id, obis in objects:
        for match in table.of_object(class_id, obis):
            if match.row.context.medium != medium:
                continue
            code = match.reading_type()
            known = found.get(code)
            if (
                is_attribute(match.row, of_sub_meter=bool(medium))
                and not _is_time(match.row)
                and (known is None or not match.row.first)
            ):
                found[code] = Asked(str(code), None, (match,))
    return list(found.values())


def _is_time(row: ReadingRow) -> bool:
    return row.class_id == EXTENDED_REGISTER and row.attribute == CAPTURE_TIME


class AttributeReader:
    """Reads attributes over one session; what was read stays when the meter falls silent half way."""

    def __init__(
        self,
        session: Session,
        known: KnownObjects,
        scalers: KnownScalers,
        now: Callable[[], datetime],
        channel: int | None = None,
    ) -> None:
        """`channel` is that of a sub-meter, whose values are asked for and no others."""
        self.values: list[ReadValue] = []
        self.not_read: list[NotRead] = []
        self._session = session
        self._known = known
        self._scalers = scalers
        self._now = now
        self._channel = channel
        self._begun = False
        self._doubted: set[AttributeDescriptor] = set()

    async def read(self, asked: Sequence[Asked]) -> list[Asked]:
        """Each where a meter usually has it; those that this meter does not have there. Raises MeterFault before the first answer."""
        return await self._read(_usual(tuple(asked), self._channel or 0))

    async def read_listed(self, asked: Sequence[Asked], objects: Objects) -> None:
        """Each where the meter has listed it."""
        targets = []
        for one in asked:
            found = first_in_meter(one.matches, objects, channel=self._channel)
            if found is None:
                self._fail(one, explain("reading-type", "not-in-meter", attempted=None, detail=one.reading_type))
            else:
                targets.append(_Target.of(one, *found))
        for one in await self._read(tuple(targets)):
            self._known.forget(self._session)  # it has listed what it does not have
            self._fail(one, explain_refused_reading(ABSENT[0], where=f"reading {one.reading_type}"))

    async def _read(self, targets: tuple[_Target, ...]) -> list[Asked]:
        absent: list[Asked] = []
        fault: MeterFault | None = None
        for batch in _batches(targets, min(self._session.most_in_a_list - 1, MOST_AT_ONCE)):
            answers: Sequence[Answer] = ()
            try:
                if fault is None:
                    answers = await self._answers(batch)
            except MeterFault as ended:
                if not self._begun:
                    raise
                fault = ended
            received_at = number_of(self._now())
            for target, places in zip(batch.targets, batch.places, strict=True):
                if fault is not None:
                    self._fail(target.asked, fault.explained(attempted=None))
                elif _is_absent(answers[places.value]):
                    absent.append(target.asked)
                else:
                    self._take(target, places, answers, received_at)
        return absent

    async def _answers(self, batch: _Batch) -> Sequence[Answer]:
        """Of each; what has another scaler than it had first is read once more, and then doubted (M-133)."""
        answers = await self._given(batch.attributes)
        meter = self._session.meter
        units = [answers[place] for place in batch.scaler_places]
        self._doubted = set()
        if self._scalers.are_as_before(meter, batch.scaler_units, units):
            return answers
        self._doubted = await self._scalers.differing(meter, _scalers(batch.targets, batch.attributes, answers))
        if not self._doubted:
            self._scalers.are_alike(meter, batch.scaler_units, units)
            return answers
        again = [target for target in batch.targets if target.scaler_unit in self._doubted]
        names = tuple(dict.fromkeys(one for target in again for one in target.attributes))
        given = dict(zip(names, await self._given(names), strict=True))
        found = _scalers(again, names, list(given.values()))
        self._doubted = await self._scalers.differing(meter, found)
        self._scalers.report(meter, self._doubted, found)
        return [given.get(one, answer) for one, answer in zip(batch.attributes, answers, strict=True)]

    async def _given(self, attributes: Sequence[AttributeDescriptor]) -> Sequence[Answer]:
        read = self._session.get_each(*attributes) if self._begun else read_each_identified(self._session, *attributes)
        answers = await read
        self._begun = True
        return answers

    def _take(self, target: _Target, places: _Places, answers: Sequence[Answer], received_at: int) -> None:
        asked, value = target.asked, answers[places.value]
        unit = None if places.scaler_unit is None else answers[places.scaler_unit]
        if isinstance(value, GetRefused):
            return self._fail(asked, explain_refused_reading(value.name, where=value.where))
        if isinstance(unit, GetRefused):
            return self._fail(asked, explain_refused_reading(unit.name, where=unit.where))
        try:
            code, text = target.reading(value, unit)
        except UnreadableValue as problem:
            where = f"reading {target.value}"
            fault = explain("data-access-result", "unexpected-value", attempted=None, where=where, detail=str(problem))
            return self._fail(asked, fault)
        said = (SUSPECT,) if target.scaler_unit in self._doubted else ()
        own_time = None if places.time is None else _own_time(answers[places.time])
        if own_time is None and self._channel is not None and target.time is not None:
            where = f"reading {target.time}"
            detail = "the sub-meter has given nothing yet: its value has no time"
            return self._fail(
                asked, explain("data-access-result", "unexpected-value", attempted=None, where=where, detail=detail)
            )
        self.values.append(ReadValue(code, text, own_time, received_at, said))
        return None

    def _fail(self, asked: Asked, fault: Fault) -> None:
        self.not_read.append(NotRead(asked.reading_type, fault.code, fault.level, fault.reason))


def _scalers(
    targets: Iterable[_Target], attributes: Iterable[AttributeDescriptor], answers: Iterable[Answer]
) -> dict[AttributeDescriptor, Data]:
    """Those that the meter has given."""
    units = {one.scaler_unit for one in targets}
    given = zip(attributes, answers, strict=True)
    return {name: unit for name, unit in given if name in units and not isinstance(unit, GetRefused)}


@lru_cache(maxsize=MOST_BATCHED)
def _usual(asked: tuple[Asked, ...], channel: int) -> tuple[_Target, ...]:
    """Channel 0 is where most meters have what they measure themselves; the same few are asked of thousands of meters."""
    found = ((one, one.matches[0], one.matches[0].descriptor(channel=channel)) for one in asked)
    return tuple(_Target.of(one, match, attribute) for one, match, attribute in found if attribute is not None)


@lru_cache(maxsize=MOST_BATCHED)
def _batches(targets: tuple[_Target, ...], room: int) -> tuple[_Batch, ...]:
    """As many at once as go into one request beside the device id; where the meter takes no lists, one by one."""
    batches: list[_Batch] = []
    batch: list[_Target] = []
    size = 0
    for target in targets:
        if batch and size + len(target.attributes) > room:
            batches.append(_Batch.of(batch))
            batch, size = [], 0
        batch.append(target)
        size += len(target.attributes)
    if batch:
        batches.append(_Batch.of(batch))
    return tuple(batches)


def _own_time(found: Answer) -> int | None:
    """The meter's time of the value; None where it has none, or none that is a moment."""
    if isinstance(found, GetRefused):
        return None
    try:
        return number_of(moment_of(found))
    except UnreadableValue:
        return None


def _is_absent(answer: Data | GetRefused) -> bool:
    return isinstance(answer, GetRefused) and answer.name in ABSENT

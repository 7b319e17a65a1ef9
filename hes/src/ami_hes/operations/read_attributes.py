"""Reads values that are attributes of objects: registers, momentary values, demands, counters, states (docs/mapping.md, M-120 to M-127).

Value, scaler_unit and time of a value are asked for in one request where the meter takes lists, so that a scaler is never that of
another time than its value. The object that a meter usually has is tried first; only a meter that has no such object is asked for
the list of what it has.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Self

from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.obis import Obis
from ami_hes.meters import GetRefused, MeterFault, Session
from ami_hes.meters.known_objects import KnownObjects
from ami_hes.meters.known_scalers import KnownScalers
from ami_hes.operations.asked_types import MOST_REMEMBERED, Asked, is_attribute
from ami_hes.operations.identity import read_each_identified
from ami_hes.operations.read_results import NotRead, ReadValue, number_of
from ami_mapping.attributes import UnreadableValue, capture_time_of, moment_of, scaler_unit_of, value_of
from ami_mapping.faults import Fault, explain, explain_refused_reading
from ami_mapping.lookup import Match, ReadingTable, first_in_meter
from ami_mapping.qualities import SUSPECT
from ami_mapping.reading_types import ReadingType
from ami_mapping.readings import ReadingRow

ABSENT = ("OBJECT_UNDEFINED", "OBJECT_CLASS_INCONSISTENT")
"""Data-access-results by which a meter says that it has no such object."""
EXTENDED_REGISTER, CAPTURE_TIME = 4, 5
MOST_AT_ONCE = 24
"""Attributes of one request: a value without a time of its own has that of its answer, which is not to be one for all."""
Objects = Sequence[tuple[int, Obis]]
Answers = dict[AttributeDescriptor, Data | GetRefused]


@dataclass(frozen=True, slots=True)
class _Target:
    asked: Asked
    match: Match
    value: AttributeDescriptor
    scaler_unit: AttributeDescriptor | None
    time: AttributeDescriptor | None
    attributes: tuple[AttributeDescriptor, ...]

    @classmethod
    def of(cls, asked: Asked, match: Match, value: AttributeDescriptor) -> Self:
        """With the attributes that belong to the value."""
        scaler_unit, time = scaler_unit_of(match.row, value), capture_time_of(match.row, value)
        attributes = tuple(one for one in (value, scaler_unit, time) if one is not None)
        return cls(asked, match, value, scaler_unit, time, attributes)


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
        channel = self._channel or 0
        return await self._read([found for one in asked if (found := _usual(one, channel)) is not None])

    async def read_listed(self, asked: Sequence[Asked], objects: Objects) -> None:
        """Each where the meter has listed it."""
        targets = []
        for one in asked:
            found = first_in_meter(one.matches, objects, channel=self._channel)
            if found is None:
                self._fail(one, explain("reading-type", "not-in-meter", attempted=None, detail=one.reading_type))
            else:
                targets.append(_Target.of(one, *found))
        for one in await self._read(targets):
            self._known.forget(self._session)  # it has listed what it does not have
            self._fail(one, explain_refused_reading(ABSENT[0], where=f"reading {one.reading_type}"))

    async def _read(self, targets: Sequence[_Target]) -> list[Asked]:
        absent: list[Asked] = []
        fault: MeterFault | None = None
        for batch in _batches(targets, self._session.most_in_a_list):
            answers: Answers = {}
            try:
                if fault is None:
                    answers = await self._answers(batch)
            except MeterFault as ended:
                if not self._begun:
                    raise
                fault = ended
            for target in batch:
                if fault is not None:
                    self._fail(target.asked, fault.explained(attempted=None))
                elif _is_absent(answers[target.value]):
                    absent.append(target.asked)
                else:
                    self._take(target, answers)
        return absent

    async def _answers(self, batch: Sequence[_Target]) -> Answers:
        """Of each; what has another scaler than it had first is read once more, and then doubted (M-133)."""
        answers = await self._given(batch)
        meter = self._session.meter
        self._doubted = await self._scalers.differing(meter, _scalers(batch, answers))
        if self._doubted:
            again = [target for target in batch if target.scaler_unit in self._doubted]
            answers |= await self._given(again)
            self._doubted = await self._scalers.differing(meter, _scalers(again, answers))
            self._scalers.report(meter, self._doubted, _scalers(again, answers))
        return answers

    async def _given(self, batch: Sequence[_Target]) -> Answers:
        attributes = list(dict.fromkeys(one for target in batch for one in target.attributes))
        read = self._session.get_each(*attributes) if self._begun else read_each_identified(self._session, *attributes)
        answers = dict(zip(attributes, await read, strict=True))
        self._begun = True
        return answers

    def _take(self, target: _Target, answers: Answers) -> None:
        asked, received_at = target.asked, number_of(self._now())
        value = answers[target.value]
        unit = None if target.scaler_unit is None else answers[target.scaler_unit]
        for part in (value, unit):
            if isinstance(part, GetRefused):
                return self._fail(asked, explain_refused_reading(part.name, where=part.where))
        try:
            code, text = value_of(target.match, value, unit, multiplier=asked.multiplier)  # type: ignore[arg-type]
        except UnreadableValue as problem:
            where = f"reading {target.value}"
            fault = explain("data-access-result", "unexpected-value", attempted=None, where=where, detail=str(problem))
            return self._fail(asked, fault)
        said = (SUSPECT,) if target.scaler_unit in self._doubted else ()
        own_time = _own_time(target, answers)
        if own_time is None and self._channel is not None and target.time is not None:
            where = f"reading {target.time}"
            detail = "the sub-meter has given nothing yet: its value has no time"
            return self._fail(
                asked, explain("data-access-result", "unexpected-value", attempted=None, where=where, detail=detail)
            )
        self.values.append(ReadValue(str(code), text, own_time, received_at, said))
        return None

    def _fail(self, asked: Asked, fault: Fault) -> None:
        self.not_read.append(NotRead(asked.reading_type, fault.code, fault.level, fault.reason))


def _scalers(batch: Iterable[_Target], answers: Answers) -> dict[AttributeDescriptor, Data]:
    """Those that the meter has given."""
    units = {one.scaler_unit for one in batch}
    return {name: unit for name, unit in answers.items() if name in units and not isinstance(unit, GetRefused)}


@lru_cache(maxsize=MOST_REMEMBERED)
def _usual(one: Asked, channel: int) -> _Target | None:
    """Channel 0 is where most meters have what they measure themselves; the same few are asked of thousands of meters."""
    match = one.matches[0]
    attribute = match.descriptor(channel=channel)
    return None if attribute is None else _Target.of(one, match, attribute)


def _batches(targets: Sequence[_Target], most: int) -> Iterator[list[_Target]]:
    """As many at once as go into one request beside the device id; where the meter takes no lists, one by one."""
    room = min(most - 1, MOST_AT_ONCE)
    batch: list[_Target] = []
    size = 0
    for target in targets:
        if batch and size + len(target.attributes) > room:
            yield batch
            batch, size = [], 0
        batch.append(target)
        size += len(target.attributes)
    if batch:
        yield batch


def _own_time(target: _Target, answers: Answers) -> int | None:
    """The meter's time of the value; None where it has none, or none that is a moment."""
    found = None if target.time is None else answers[target.time]
    if found is None or isinstance(found, GetRefused):
        return None
    try:
        return number_of(moment_of(found))
    except UnreadableValue:
        return None


def _is_absent(answer: Data | GetRefused) -> bool:
    return isinstance(answer, GetRefused) and answer.name in ABSENT

"""The inside of a meter, made of a few descriptions and moved in time by hand: for tests of what single objects do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ami_dlms import data
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDate, CosemDateTime, CosemTime
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_dlms.obis import Obis
from ami_meter_sim.clock import ClockStateInMemory, MeterClock
from ami_meter_sim.load.houses import House
from ami_meter_sim.load.houses import HouseKind as HouseKind
from ami_meter_sim.load.network import GridConnection
from ami_meter_sim.objects import timed
from ami_meter_sim.objects.cosem_object import AccessRefused, ActionRefused
from ami_meter_sim.objects.device import Device, Identity
from ami_meter_sim.objects.families import build
from ami_meter_sim.objects.memory import Record, RecordKind
from ami_meter_sim.objects.recording import Notice
from ami_meter_sim.population.row import row_in_memory
from ami_packs.event_list import EventList
from ami_packs.model import Model, ObjectDescription
from ami_packs.model_files import event_list_named

START = datetime(2026, 3, 2, 10, 5, tzinfo=UTC)
IDIS = event_list_named("idis")
CLOCK = (8, "0-0:1.0.0")
SWITCH = (70, "0-0:96.3.10")
SWITCH_SCRIPTS = (9, "0-0:10.0.106")
LOGS = {"standard": 0, "fraud": 1, "disconnector": 2, "quality": 4, "communication": 5}
"""Value group E of the logs and of their event codes."""
Name = tuple[int, str]


def described(
    name: Name, attributes: Mapping[int, Data] | None = None, version: int = 0, **more: Any
) -> ObjectDescription:
    """An object of a model, with what its attributes are at first."""
    return ObjectDescription(
        obis=Obis.parse(name[1]),
        class_id=name[0],
        version=version,
        name=name[1],
        source="test",
        access={},
        attributes=attributes or {},
        **more,
    )


def log_of(name: str) -> Name:
    return 7, f"0-0:99.98.{LOGS[name]}"


def event_log(name: str) -> tuple[ObjectDescription, ObjectDescription]:
    """A log of clock and event code, and the object that shows the event code."""
    code = f"0-0:96.11.{LOGS[name]}"
    columns = (CaptureObject(8, Obis.parse(CLOCK[1]), 2, 0), CaptureObject(1, Obis.parse(code), 2, 0))
    log = described(log_of(name), version=1, columns=columns, profile_entries=100)
    return log, described((1, code), {2: data.unsigned(0)}, static=True)


def bits(e: int, value: int = 0) -> ObjectDescription:
    """An alarm register (E from 0), filter (from 10) or descriptor (from 20)."""
    return described((1, f"0-0:97.98.{e}"), {2: data.double_long_unsigned(value)}, static=True)


EMPTY = House(HouseKind.HOUSEHOLD, (), (), 0, 0, (500, 300, 200), 0)
"""A house that takes nothing."""


class Inside:
    """A device of these objects. Nothing flows behind it unless it is given a house, or told watts."""

    def __init__(
        self,
        *objects: ObjectDescription,
        at: datetime = START,
        events: EventList = IDIS,
        mode: int = 4,
        zone: int = 0,
        house: House = EMPTY,
    ) -> None:
        self.heard: list[Notice] = []
        clock = described(CLOCK) if not any(one.class_id == 8 for one in objects) else None
        row = row_in_memory()
        row.control_mode = mode
        self.device = Device(
            identity=Identity("M1", b"AMIM1", b"1"),
            model=Model((*([clock] if clock else []), *objects), events=events),
            clock=MeterClock(at, ClockStateInMemory(time_zone_min=zone)),
            behind=lambda: house,
            connected=lambda: GridConnection(1, 500),
            row=row,
            notice=lambda _, notice: self.heard.append(notice),
            build=build,
        )

    def takes(self, watts: int) -> None:
        """From now on so much flows in addition."""
        self.device.history.happened(Record(self.device.clock.at, RecordKind.LOAD, number=watts))

    def restart(self) -> None:
        """Only what is kept is left of the objects."""
        self.device.built.clear()
        self.device.due = None

    def to(self, until: datetime, step: timedelta | None = None) -> None:
        """Let time pass, at once or in steps."""
        at = self.device.clock.at
        while at < until:
            following = until if step is None else min(at + step, until)
            timed.advance(self.device, at, following)
            at = following

    def later(self, step: timedelta | None = None, **time: float) -> None:
        self.to(self.device.clock.at + timedelta(**time), step)

    def found(self, name: Name) -> Any:
        found = self.device.find(name[0], Obis.parse(name[1]))
        assert found is not None
        return found

    def read(self, name: Name, number: int = 2) -> Any:
        return self.found(name).read(number).value

    def write(self, name: Name, number: int, value: Data) -> DataAccessResult:
        try:
            self.device.write(name[0], Obis.parse(name[1]), number, value)
        except AccessRefused as refused:
            return refused.result
        return DataAccessResult.SUCCESS

    def act(self, name: Name, number: int, value: Data | None = None) -> ActionResult:
        try:
            self.found(name).invoke(number, value)
        except ActionRefused as refused:
            return refused.result
        return ActionResult.SUCCESS

    def logged(self, name: str) -> list[int]:
        """The numbers in a log."""
        log = Obis.parse(log_of(name)[1])
        return [one.number for one in self.device.history.records(RecordKind.EVENT, source=log)]


def date_time(text: str, zone: int | None = None) -> Data:
    """A date-time of ISO text; local time of the meter without a zone (minutes from local time to UTC)."""
    moment = datetime.fromisoformat(text)
    value = CosemDateTime(
        moment.year, moment.month, moment.day, None, moment.hour, moment.minute, moment.second, 0, zone, None
    )
    return data.octet_string(value.encode())


def every(**parts: int) -> Data:
    """A date of which only these parts are specified."""
    return data.octet_string(CosemDate(**parts).encode())


def at(hour: int, minute: int = 0, second: int = 0) -> Data:
    """A time of day."""
    return data.octet_string(CosemTime(hour, minute, second, 0).encode())


def script(table: str, selector: int) -> Data:
    return data.structure(data.octet_string(Obis.parse(table)), data.long_unsigned(selector))


def action(service: int, name: Name, index: int, value: Data) -> Data:
    """One action of a script: 1 writes an attribute, 2 executes a method."""
    return data.structure(
        data.enum(service),
        data.long_unsigned(name[0]),
        data.octet_string(Obis.parse(name[1])),
        data.integer(index),
        value,
    )


def scripts(table: str, **actions: Any) -> ObjectDescription:
    """A script table: `s1` is script 1, and so on."""
    listed = [data.structure(data.long_unsigned(int(key[1:])), data.array(*one)) for key, one in actions.items()]
    return described((9, table), {2: data.array(*listed)})


def switch_scripts() -> ObjectDescription:
    """Script 1 disconnects, script 2 reconnects."""
    return scripts(
        SWITCH_SCRIPTS[1],
        s1=[action(2, SWITCH, 1, data.integer(0))],
        s2=[action(2, SWITCH, 2, data.integer(0))],
    )


def value_of(name: Name, number: int = 2) -> Data:
    """A value definition."""
    return data.structure(data.long_unsigned(name[0]), data.octet_string(Obis.parse(name[1])), data.integer(number))

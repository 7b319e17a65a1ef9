"""Models of meters, read from TOML; what a file says is checked before any meter is made of it."""

import tomllib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from ami_dlms import data
from ami_dlms.cosem.classes import class_versions
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.enums import DataAccessResult
from ami_dlms.errors import DlmsError
from ami_dlms.obis import Obis
from ami_packs.event_list import AlarmBit, EventList, LoggedEvent, event_list
from ami_packs.model import OFFERED, Access, Listed, LoadTable, Model, ModelError, ObjectDescription, Offered

T = TypeVar("T")

SUFFIX = ".toml"


def model_names() -> tuple[str, ...]:
    """The models that come with this package."""
    there = files("ami_packs").joinpath("models").iterdir()
    return tuple(sorted(one.name.removesuffix(SUFFIX) for one in there if one.name.endswith(SUFFIX)))


def model_text(name: str) -> str:
    """The text of a model that comes with this package; ModelError names those that do."""
    if name not in model_names():
        raise ModelError(f"model {name}: there is none of this name; there are: {', '.join(model_names())}")
    return files("ami_packs").joinpath("models", f"{name}{SUFFIX}").read_text("utf-8")


@cache
def shipped_model(name: str) -> Model:
    """A model that comes with this package; ModelError names those that do."""
    return parse_model(model_text(name), f"{name}{SUFFIX}")


def parse_model(text: str, file: str) -> Model:
    """The model that a text describes; ModelError with the name of its file when it describes none."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ModelError(f"{file} is not TOML: {error}") from None
    try:
        load = LoadTable(*map(tuple, _load(**content["load"]))) if "load" in content else None
        associations = tuple(Offered(**row) for row in content.get("associations", ())) or OFFERED
        names = [one.name for one in associations]
        objects = tuple(_object(row, names) for row in content["objects"])
        return Model(objects, associations, load, event_list(_events(content)))
    except (AttributeError, KeyError, TypeError, ValueError, DlmsError) as error:
        raise ModelError(f"{file}: {type(error).__name__}: {error}") from None


def _events(content: dict[str, Any]) -> Iterator[tuple[str, LoggedEvent]]:
    """The events of a model: those of the list that it names, then its own."""
    if "event_list" in content:
        yield from _events(_event_list_content(content["event_list"]))
    for row in content.get("events", ()):
        yield row["occurrence"], _event(**{key: value for key, value in row.items() if key != "occurrence"})


def _event_list_content(name: str) -> dict[str, Any]:
    listed = files("ami_packs").joinpath("event_lists", f"{name}{SUFFIX}")
    if not listed.is_file():
        raise ValueError(f"there is no event list {name!r}")
    return tomllib.loads(listed.read_text("utf-8"))


@cache
def event_list_named(name: str) -> EventList:
    """An event list that comes with this package; ValueError for a name that none has."""
    return event_list(_events(_event_list_content(name)))


def _event(log: str, number: int, alarm: dict[str, Any] | None = None) -> LoggedEvent:
    bit = None if alarm is None else _alarm_bit(**alarm)
    return LoggedEvent(Obis.parse(log), number, bit)


def _alarm_bit(register: str, bit: int) -> AlarmBit:
    return AlarmBit(Obis.parse(register), bit)


def _load(consumption_w: list[int], generation_w: list[int]) -> tuple[list[int], list[int]]:
    return consumption_w, generation_w


def _object(row: dict[str, Any], associations: Iterable[str]) -> ObjectDescription:
    """One row of the file; what the row has beyond the names below goes to the families as it is."""
    row = dict(row)
    access = {name: _access(row.pop(name)) for name in associations if name in row}
    columns = tuple(
        CaptureObject(one["class_id"], Obis.parse(one["obis"]), one["attribute"], one.get("data_index", 0))
        for one in row.pop("columns", ())
    )
    log, listed = row.pop("log", None), row.pop("listed", None)
    described = ObjectDescription(
        obis=Obis.parse(row.pop("obis")),
        access=access,
        columns=columns,
        log=None if log is None else Obis.parse(log),
        listed=None if listed is None else Listed(tuple(listed["attributes"]), tuple(listed["methods"])),
        attributes=_numbered(row.pop("attributes", {}), lambda text: data.decode(bytes.fromhex(text))),
        errors=_numbered(row.pop("errors", {}), _result),
        selectors=_numbered(row.pop("selectors", {}), tuple),
        rows=tuple(map(bytes.fromhex, row.pop("rows", ()))),
        **row,
    )
    if described.listed is None and (described.class_id, described.version) not in class_versions():
        raise ValueError(f"{described.obis}: class {described.class_id} version {described.version} needs `listed`")
    return described


def _numbered(table: dict[str, Any], read: Callable[[Any], T]) -> dict[int, T]:
    """A table by attribute numbers, which TOML has as text."""
    return {int(number): read(content) for number, content in table.items()}


def _result(name: str) -> DataAccessResult:
    return DataAccessResult[name.upper().replace("-", "_")]


def _access(row: dict[str, Any]) -> Access:
    rights: dict[str, Any] = {
        kind: _numbered(content, int) if isinstance(content, dict) else frozenset(content)
        for kind, content in row.items()
    }
    return Access(**rights)

"""Models of meters, read from TOML; what a file says is checked before any meter is made of it."""

import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from ami_dlms import data
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.enums import DataAccessResult
from ami_dlms.errors import DlmsError
from ami_dlms.obis import Obis
from ami_meter_sim.load import Curve
from ami_meter_sim.objects.families import BY_CLASS, FAMILIES
from ami_meter_sim.objects.model import OFFERED, Access, Listed, Model, ModelError, ObjectDescription, Offered

T = TypeVar("T")

MODELS = Path(__file__).parent.parent / "models"
SUFFIX = ".toml"


def load_model(name: str, directory: Path = MODELS) -> Model:
    """Read `<name>.toml`, or the file itself when the name ends so.

    Raises ModelError when it is missing or describes what there is no code for.
    """
    path = Path(name) if name.endswith(SUFFIX) else directory / f"{name}{SUFFIX}"
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        there = ", ".join(sorted(one.stem for one in directory.glob("*.toml")))
        raise ModelError(f"model {name}: {path}: {error.strerror}; there are: {there}") from None
    except tomllib.TOMLDecodeError as error:
        raise ModelError(f"model {name}: {path} is not TOML: {error}") from None
    try:
        load = content["load"]
        associations = tuple(Offered(**row) for row in content.get("associations", ())) or OFFERED
        names = [one.name for one in associations]
        objects = tuple(_object(row, names) for row in content["objects"])
        curves = (Curve(tuple(load["consumption_w"])), Curve(tuple(load["generation_w"])))
        return Model(objects, *curves, associations)
    except (AttributeError, KeyError, TypeError, ValueError, DlmsError) as error:
        raise ModelError(f"model {name}: {path}: {type(error).__name__}: {error}") from None


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
    if not _servable(described):
        raise ValueError(f"{described.obis}: no code for class {described.class_id} version {described.version}")
    return described


def _servable(described: ObjectDescription) -> bool:
    """Code for class and version, or for the class at least; without any, values and a list of what there is."""
    if (described.class_id, described.version) in FAMILIES:
        return True
    return described.listed is not None and (described.static or described.class_id in BY_CLASS)


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

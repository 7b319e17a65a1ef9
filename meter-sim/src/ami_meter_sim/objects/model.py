"""A meter model: which objects a meter has, read from TOML and shared by all meters of that model.

Strategy: frozen records made once per file; nothing of a single meter is in them. An object list as the standard encodes
it (class 15, attribute 2) is made once per association and shared too.

A model that was saved from a scan of a meter also has `static` objects: there is no code for them, they are served
attribute by attribute as they were scanned, under the numbers and rights that were listed.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ami_dlms import data
from ami_dlms.association import AttributeAccess
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.selection import BY_ENTRY, BY_RANGE, CaptureObject
from ami_dlms.data import Data
from ami_dlms.enums import DataAccessResult
from ami_dlms.errors import DlmsError
from ami_dlms.obis import Obis
from ami_meter_sim.load import Curve

T = TypeVar("T")

MODELS = Path(__file__).parent.parent / "models"
PUBLIC = "public"
MANAGEMENT = "management"
ASSOCIATIONS = (PUBLIC, MANAGEMENT)
PROFILE_GENERIC = 7
SUFFIX = ".toml"
SIZES: dict[tuple[int, int], tuple[int, int]] = {
    (1, 0): (2, 0),
    (3, 0): (3, 1),
    (7, 1): (8, 2),
    (8, 0): (9, 6),
    (15, 1): (9, 4),
    (17, 0): (2, 1),
    (64, 0): (5, 2),
    (70, 0): (4, 2),
}
"""(class, version) -> how many attributes and methods the Blue Book gives it."""


class ModelError(Exception):
    """A model file can't be used; the text says which part."""


@dataclass(frozen=True, slots=True)
class Access:
    """What one association may do with one object. The modes stand in the object list where its code is another one."""

    read: frozenset[int] = frozenset()
    write: frozenset[int] = frozenset()
    methods: frozenset[int] = frozenset()
    modes: Mapping[int, int] = field(default_factory=dict)
    method_modes: Mapping[int, int] = field(default_factory=dict)

    def attribute(self, attribute_id: int) -> AttributeAccess:
        access = AttributeAccess.READ if attribute_id in self.read else AttributeAccess.NONE
        return access | AttributeAccess.WRITE if attribute_id in self.write else access


@dataclass(frozen=True, slots=True)
class Listed:
    """Which attributes and methods the object list names."""

    attributes: tuple[int, ...]
    methods: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectDescription:
    """One object of a model; the fields after `access` belong to single families.

    `attributes` and `errors` are what an attribute answers whatever the class has code for. `rows` are what a profile
    begins with, each an encoded structure.
    """

    obis: Obis
    class_id: int
    version: int
    name: str
    source: str
    access: Mapping[str, Access]
    value: str = ""
    scaler: int = 0
    unit: int = 255
    capture_period: int = 0
    profile_entries: int = 0
    columns: tuple[CaptureObject, ...] = ()
    log: Obis | None = None
    events: Mapping[str, int] = field(default_factory=dict)
    static: bool = False
    attributes: Mapping[int, Data] = field(default_factory=dict)
    errors: Mapping[int, DataAccessResult] = field(default_factory=dict)
    listed: Listed | None = None
    selectors: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    rows: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Rights:
    """The access rights of one association, in the form that the server asks for."""

    objects: Mapping[tuple[int, Obis], ObjectDescription]
    association: str

    def attribute(self, descriptor: AttributeDescriptor) -> AttributeAccess | None:
        """None when the object is not visible through this association."""
        access = self._access(descriptor.class_id, descriptor.instance_id)
        return None if access is None else access.attribute(descriptor.attribute_id)

    def method(self, descriptor: MethodDescriptor) -> bool | None:
        """None when the object is not visible through this association."""
        access = self._access(descriptor.class_id, descriptor.instance_id)
        return None if access is None else descriptor.method_id in access.methods

    def _access(self, class_id: int, instance_id: Obis) -> Access | None:
        described = self.objects.get((class_id, instance_id))
        return None if described is None else described.access.get(self.association)


class Model:
    """All objects of a model, its load curves, and the object list of each association."""

    def __init__(self, objects: tuple[ObjectDescription, ...], consumption: Curve, generation: Curve) -> None:
        self.objects = {(described.class_id, described.obis): described for described in objects}
        self.consumption = consumption
        self.generation = generation
        self.rights = {name: Rights(self.objects, name) for name in ASSOCIATIONS}
        self.object_lists = {name: _object_list(objects, name) for name in ASSOCIATIONS}
        self.profiles = tuple(one for one in objects if one.class_id == PROFILE_GENERIC)


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
        objects = tuple(_object(row) for row in content["objects"])
        return Model(objects, Curve(tuple(load["consumption_w"])), Curve(tuple(load["generation_w"])))
    except (AttributeError, KeyError, TypeError, ValueError, DlmsError) as error:
        raise ModelError(f"model {name}: {path}: {type(error).__name__}: {error}") from None


def _object(row: dict[str, Any]) -> ObjectDescription:
    """One row of the file; what the row has beyond the names below goes to the families as it is."""
    row = dict(row)
    access = {name: _access(row.pop(name)) for name in ASSOCIATIONS if name in row}
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
    if (described.class_id, described.version) in SIZES:
        return True
    with_code = described.class_id in {class_id for class_id, _ in SIZES}
    return described.listed is not None and (described.static or with_code)


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


def _object_list(objects: tuple[ObjectDescription, ...], association: str) -> Data:
    """object_list of class 15 version 1, with the access rights of one association."""
    visible = [(one, one.access[association]) for one in objects if association in one.access]
    return data.array(*(_object_list_element(one, access) for one, access in visible))


def _object_list_element(described: ObjectDescription, access: Access) -> Data:
    listed = described.listed or _of_class(described)
    attribute_rights = (_attribute_access_item(described, access, number) for number in listed.attributes)
    method_rights = (
        data.structure(data.integer(number), data.enum(access.method_modes.get(number, int(number in access.methods))))
        for number in listed.methods
    )
    return data.structure(
        data.long_unsigned(described.class_id),
        data.unsigned(described.version),
        data.octet_string(described.obis),
        data.structure(data.array(*attribute_rights), data.array(*method_rights)),
    )


def _of_class(described: ObjectDescription) -> Listed:
    attributes, methods = SIZES[described.class_id, described.version]
    return Listed(tuple(range(1, attributes + 1)), tuple(range(1, methods + 1)))


def _attribute_access_item(described: ObjectDescription, access: Access, number: int) -> Data:
    """access_mode counts as AttributeAccess does (1 read, 2 write, 3 both) unless the model has the mode itself."""
    mode = access.modes.get(number, int(access.attribute(number)))
    chosen = described.selectors.get(number, ())
    if described.class_id == PROFILE_GENERIC and number == 2 and described.listed is None:
        chosen = (BY_RANGE, BY_ENTRY)
    selectors = data.array(*map(data.integer, chosen)) if chosen else data.null()
    return data.structure(data.integer(number), data.enum(mode), selectors)

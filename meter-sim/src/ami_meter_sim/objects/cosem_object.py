"""What every COSEM object has in common: attribute 1, and the answers to what its class does not have or has no code for.

Strategy: a class names what it has code for by the standard's own words, and their numbers and simple types come from
`ami_dlms.cosem.classes`; a name that the standard does not have stops the import. An object returns a value or raises one of
two refusals that carry the wire's own result codes. Access rights are not its business: they are checked before it is asked.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ami_dlms.association import AssociationProfile
from ami_dlms.cosem.classes import class_versions
from ami_dlms.cosem.selection import SelectiveAccess
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult, DataTag
from ami_meter_sim.objects.memory import Kept
from ami_packs.model import ObjectDescription

SIMPLE_TYPES = {
    tag.name.lower().replace("_", "-"): tag for tag in DataTag if tag not in (DataTag.ARRAY, DataTag.STRUCTURE)
}
"""The standard's words for types whose values are made of a plain value; of all others the code makes a Data itself."""


class AccessRefused(Exception):
    """An attribute was not read or not written; `result` is the answer."""

    def __init__(self, result: DataAccessResult) -> None:
        super().__init__(result.name)
        self.result = result


class ActionRefused(Exception):
    """A method had no effect; `result` is the answer."""

    def __init__(self, result: ActionResult) -> None:
        super().__init__(result.name)
        self.result = result


@dataclass(frozen=True, slots=True)
class ReadContext:
    """Through which association an attribute is read, and with which selection; None is the meter itself."""

    association: str | None = None
    profile: AssociationProfile | None = None
    client_system_title: bytes | None = None
    selection: SelectiveAccess | None = None


ITSELF = ReadContext()
Read = Callable[[Any, ReadContext], Any]
Write = Callable[[Any, Data], None]
Invoke = Callable[[Any, Data | None], Data | None]
Options = Mapping[str, bool | int | str]


def _logical_name(self: "CosemObject", context: ReadContext) -> bytes:
    return bytes(self.described.obis)


_OF_EVERY_CLASS: Mapping[int, tuple[DataTag | None, Read]] = {1: (DataTag.OCTET_STRING, _logical_name)}


class CosemObject:
    """One COSEM object; a class says what it has code for beyond the logical name.

    `reads` give the value of an attribute as the plain value of its simple type, or as Data where the standard has a
    structure, an array or a CHOICE. `writes` change an attribute, `methods` carry one out. `selective` are the attributes
    with selective access. `options` are the choices that a model has where meters differ, each with what counts without one.
    """

    __slots__ = ("described",)

    class_id: ClassVar[int]
    version: ClassVar[int]
    reads: ClassVar[Mapping[str, Read]] = {}
    writes: ClassVar[Mapping[str, Write]] = {}
    methods: ClassVar[Mapping[str, Invoke]] = {}
    selective: ClassVar[frozenset[str]] = frozenset()
    options: ClassVar[Options] = {}
    _reads: ClassVar[Mapping[int, tuple[DataTag | None, Read]]] = _OF_EVERY_CLASS
    _writes: ClassVar[Mapping[int, Write]] = {}
    _methods: ClassVar[Mapping[int, Invoke]] = {}
    _selective: ClassVar[frozenset[int]] = frozenset()

    def __init_subclass__(cls) -> None:
        """Find the numbers and types of the names; KeyError for one that the standard does not have."""
        if not hasattr(cls, "class_id"):
            return
        standard = class_versions()[cls.class_id, cls.version]
        named = {name: standard.attribute(name) for name in (*cls.reads, *cls.writes, *cls.selective)}
        cls._reads = {
            **_OF_EVERY_CLASS,
            **{named[name].number: (SIMPLE_TYPES.get(named[name].type), one) for name, one in cls.reads.items()},
        }
        cls._writes = {named[name].number: one for name, one in cls.writes.items()}
        cls._methods = {standard.method(name).number: one for name, one in cls.methods.items()}
        cls._selective = frozenset(named[name].number for name in cls.selective)

    def __init__(self, described: ObjectDescription) -> None:
        self.described = described

    def read(self, attribute_id: int, context: ReadContext = ITSELF) -> Data:
        """The value of an attribute; AccessRefused with the reason why not."""
        if context.selection is not None and attribute_id not in self._selective:
            raise AccessRefused(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED)
        described = self.described
        if attribute_id in described.errors:
            raise AccessRefused(described.errors[attribute_id])
        if attribute_id in described.attributes:
            return described.attributes[attribute_id]
        found = self._reads.get(attribute_id)
        if found is None:
            raise AccessRefused(DataAccessResult.OBJECT_UNAVAILABLE)
        tag, read = found
        value = read(self, context)
        return value if tag is None else Data(tag, value)

    def write(self, attribute_id: int, value: Data) -> None:
        """Change an attribute; AccessRefused with the reason why not."""
        if attribute_id not in self._writes:
            raise AccessRefused(DataAccessResult.READ_WRITE_DENIED)
        self._writes[attribute_id](self, value)

    def invoke(self, method_id: int, parameters: Data | None) -> Data | None:
        """Carry out a method; ActionRefused with the reason why not."""
        if method_id not in self._methods:
            raise ActionRefused(ActionResult.OBJECT_UNAVAILABLE)
        return self._methods[method_id](self, parameters)

    def option(self, name: str) -> Any:
        """The model's choice, of the type that the class gives the option."""
        return self.described.options.get(name, self.options[name])

    def invoke_locally(self, method_id: int, parameters: Data | None) -> Data | None:
        """The same by order of the meter's own supervision; a switch tells the two apart."""
        return self.invoke(method_id, parameters)

    def call(self, method: str) -> None:
        """Carry out a method of this name at the meter's own wish; ActionRefused when there is no code for it."""
        if method not in self.methods:
            raise ActionRefused(ActionResult.OBJECT_UNAVAILABLE)
        self.methods[method](self, None)


class PlainObject(CosemObject):
    """An object of any class without behaviour: its attributes are what the model says, or what was written last."""

    __slots__ = ("_kept",)

    def __init__(self, described: ObjectDescription, kept: Kept) -> None:
        super().__init__(described)
        self._kept = kept

    def read(self, attribute_id: int, context: ReadContext = ITSELF) -> Data:
        """What was written last, else what the model says."""
        written = self._kept.get(self.described.class_id, self.described.obis, attribute_id)
        return super().read(attribute_id, context) if written is None or context.selection is not None else written

    def write(self, attribute_id: int, value: Data) -> None:
        """A value of the type that the model has."""
        described = self.described
        before = described.attributes.get(attribute_id)
        if before is not None and before.tag is not value.tag:
            raise AccessRefused(DataAccessResult.TYPE_UNMATCHED)
        self._kept.put(described.class_id, described.obis, attribute_id, value)


def integer_in(value: Data, tag: DataTag, numbers: range) -> int:
    """The number in `value`; AccessRefused when it has another type or is out of range."""
    number = value.value
    if value.tag != tag or not isinstance(number, int) or number not in numbers:
        raise AccessRefused(DataAccessResult.TYPE_UNMATCHED)
    return number

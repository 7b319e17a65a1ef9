"""Compact data (class 62): values without their types, which a template gives once.

The buffer begins with template_id and goes on with the values of `capture_objects` without tags; template_description is the type of the
whole as a compact array describes its elements, a structure. A list of capture objects that a client writes is another template,
so its id is another one too.
"""

from typing import ClassVar

from ami_dlms import data
from ami_dlms.data import CompactArray, Data, TypeDescription
from ami_dlms.enums import ActionResult, DataAccessResult, DataTag
from ami_meter_sim.objects.captured import CAPTURE_OBJECT, MOST_OBJECTS, WITH_COLUMNS, WITH_RESTRICTION, Element
from ami_meter_sim.objects.cosem_object import AccessRefused, ActionRefused
from ami_meter_sim.objects.kept_object import KeptObject
from ami_meter_sim.objects.shapes import AnyOf, Array, Number

INVOKED, IMPLICIT = range(2)
MOST_OCTETS = 0xFFFF
COMPOUND = (DataTag.STRUCTURE, DataTag.ARRAY)


class CompactData(KeptObject):
    """capture_method 0: what `capture` has taken last; 1: taken when it is read."""

    __slots__ = ("_capturing",)

    class_id, version = 62, 0
    initial: ClassVar = {
        "capture_objects": data.array(),
        "template_id": data.unsigned(0),
        "capture_method": data.enum(INVOKED),
        "compact_buffer": data.octet_string(b""),
    }
    writable: ClassVar = {
        "capture_objects": Array(CAPTURE_OBJECT, MOST_OBJECTS),
        "capture_method": Number(DataTag.ENUM, range(2)),
    }
    reads: ClassVar = {"template_description": lambda self, _: self._description()}
    writes: ClassVar = {"capture_objects": lambda self, value: self._choose(value)}
    methods: ClassVar = {
        "reset": lambda self, _: self.change("compact_buffer", data.octet_string(b"")),
        "capture": lambda self, _: self.capture(),
    }

    def value(self, name: str) -> Data:
        """As `KeptObject`; the buffer may be taken now."""
        if name == "compact_buffer" and super().value("capture_method").value == IMPLICIT:
            return data.octet_string(self._taken())
        return super().value(name)

    def capture(self) -> None:
        """Take the values of this instant; ActionRefused when they are too long."""
        try:
            self.change("compact_buffer", data.octet_string(self._taken()))
        except AccessRefused:
            raise ActionRefused(ActionResult.OTHER_REASON) from None

    def _choose(self, value: Data) -> None:
        if not self.writable["capture_objects"](value):
            raise AccessRefused(DataAccessResult.TYPE_UNMATCHED)
        self.change("capture_objects", value)
        self.change("template_id", data.unsigned((self.value("template_id").value + 1) % 256))
        self.change("compact_buffer", data.octet_string(b""))

    def _values(self) -> tuple[Data, ...]:
        """AccessRefused to an object that captures itself, through whatever others."""
        if getattr(self, "_capturing", False):
            raise AccessRefused(DataAccessResult.OTHER_REASON)
        self._capturing = True
        try:
            return tuple([Element.decode(one).read(self.device) for one in self.elements("capture_objects")])
        finally:
            self._capturing = False

    def _taken(self) -> bytes:
        octets = bytes((self.value("template_id").value,)) + b"".join(map(contents, self._values()))
        if len(octets) > MOST_OCTETS:
            raise AccessRefused(DataAccessResult.OTHER_REASON)
        return octets

    def _description(self) -> bytes:
        kind = TypeDescription(DataTag.STRUCTURE, tuple(map(type_of, self._values())))
        return data.encode(Data(DataTag.COMPACT_ARRAY, CompactArray(kind, b"")))[1:-1]


class CompactData1(CompactData):
    """Version 1, whose capture objects may have a restriction and columns."""

    __slots__ = ()

    class_id, version = 62, 1
    writable: ClassVar = {
        **CompactData.writable,
        "capture_objects": Array(AnyOf(CAPTURE_OBJECT, WITH_RESTRICTION, WITH_COLUMNS), MOST_OBJECTS),
    }


def contents(value: Data) -> bytes:
    """A value without tags."""
    if value.tag in COMPOUND:
        return b"".join(map(contents, value.value))
    return data.encode(value)[1:]


def type_of(value: Data) -> TypeDescription:
    """The type of a value; elements of an array have that of its first one."""
    if value.tag is DataTag.STRUCTURE:
        return TypeDescription(value.tag, tuple(map(type_of, value.value)))
    if value.tag is DataTag.ARRAY:
        first = value.value[0] if value.value else data.null()
        return TypeDescription(value.tag, (type_of(first),), len(value.value))
    return TypeDescription(value.tag)

"""An object whose attributes are values that a model gives, a client may write, and the meter keeps over a restart.

Strategy: a class says what an attribute is before anything was written (`initial`), and of those that a client may write, which
shape they have (`writable`). What was written or changed lies in `device.kept`, and nothing lies in the object: an object is
made whenever somebody asks and may go at any time.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

from ami_dlms.cosem.classes import class_versions
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_meter_sim.objects.cosem_object import ITSELF, AccessRefused, ActionRefused, CosemObject, ReadContext, Write
from ami_meter_sim.objects.shapes import Shape
from ami_packs.model import ObjectDescription

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

MOST_SEEN = 8192
_SEEN: dict[tuple[type, str, int], tuple[Data, Data]] = {}
"""Values of models by what they are for and by their identity, which is theirs as long as they are kept here, and the sound ones."""
FIRST_OWN = -1
"""Attributes of a negative number are up to the manufacturer: nothing here lists or serves any."""


class KeptObject(CosemObject):
    """`initial` has one value for every attribute that is kept; `writable` the shape of each one that may be written.

    A class that has to do something with a write of its own names that attribute in `writes` beside `initial`.
    """

    __slots__ = ("device",)

    initial: ClassVar[Mapping[str, Data]] = {}
    writable: ClassVar[Mapping[str, Shape]] = {}
    _own_writes: ClassVar[Mapping[str, Write]] = {}
    _numbers: ClassVar[Mapping[str, int]] = {}
    _names: ClassVar[Mapping[int, str]] = {}

    def __init_subclass__(cls) -> None:
        """Find the numbers of the names; KeyError for one that the standard does not have."""
        if not hasattr(cls, "class_id"):
            return
        standard = class_versions()[cls.class_id, cls.version]
        cls._numbers = {name: standard.attribute(name).number for name in (*cls.initial, *cls.writable)}
        cls._names = {cls._numbers[name]: name for name in cls.initial}
        cls._own_writes = {**cls._own_writes, **cls.__dict__.get("writes", {})}
        cls.writes = {**{name: _write(name, shape) for name, shape in cls.writable.items()}, **cls._own_writes}
        super().__init_subclass__()

    def __init__(self, described: ObjectDescription, device: "Device") -> None:
        super().__init__(described)
        self.device = device

    def read(self, attribute_id: int, context: ReadContext = ITSELF) -> Data:
        """What was written or changed last, else the model's value, else the class's."""
        name = self._names.get(attribute_id)
        if name is None or context.selection is not None or attribute_id in self.described.errors:
            return super().read(attribute_id, context)
        return self.value(name)

    def value(self, name: str) -> Data:
        """The value of a kept attribute."""
        described, number = self.described, self._numbers[name]
        changed = self.device.kept.get(described.class_id, described.obis, number)
        return described.attributes.get(number, self.initial[name]) if changed is None else changed

    def change(self, name: str, value: Data) -> None:
        """Keep another value of an attribute."""
        self.device.kept.put(self.described.class_id, self.described.obis, self._numbers[name], value)
        self.device.due = None

    def sound(self, name: str) -> Data:
        """The same for the meter's own use: where a model has something of another shape, the class's first value."""
        described, number = self.described, self._numbers[name]
        changed = self.device.kept.get(described.class_id, described.obis, number)
        if changed is not None:
            return self.sounded(name, changed)
        given = described.attributes.get(number)
        return self.initial[name] if given is None else self._sound_of_model(name, given)

    @classmethod
    def _sound_of_model(cls, name: str, given: Data) -> Data:
        """The same for a value that all meters of a model share: its shape is looked at once."""
        key = (cls, name, id(given))
        known = _SEEN.get(key)
        if known is None:
            if len(_SEEN) >= MOST_SEEN:
                _SEEN.clear()
            known = _SEEN[key] = (given, cls.sounded(name, given))
        return known[1]

    @classmethod
    def sounded(cls, name: str, value: Data) -> Data:
        """This value of an attribute, or the class's first one where it has another shape."""
        shape = cls.writable.get(name)
        return value if shape is None or shape(value) else cls.initial[name]

    def elements(self, name: str) -> tuple[Data, ...]:
        """The elements of an array or structure, for the meter's own use."""
        found: tuple[Data, ...] = self.sound(name).value
        return found

    def remembered(self, own: int) -> Data | None:
        """What the object keeps for itself under a number that no client can name; None if there is nothing."""
        return self.device.kept.get(self.described.class_id, self.described.obis, own)

    def remember(self, own: int, value: Data | None) -> None:
        """Keep something for itself. `own` counts down from `FIRST_OWN`."""
        self.device.kept.put(self.described.class_id, self.described.obis, own, value)
        self.device.due = None


def _write(name: str, shape: Shape) -> Callable[[KeptObject, Data], None]:
    def write(self: KeptObject, value: Data) -> None:
        if not shape(value):
            raise AccessRefused(DataAccessResult.TYPE_UNMATCHED)
        self.change(name, value)

    return write


def parameter(value: Data | None, shape: Shape) -> Data:
    """The parameter of a method, checked; ActionRefused when it has another shape."""
    if value is None or not shape(value):
        raise ActionRefused(ActionResult.TYPE_UNMATCHED)
    return value

"""What every interface class has in common: attribute 1, and the answers to what a class does not have.

Strategy: an object returns `Data` or raises one of two refusals that carry the wire's own result codes. Access rights
are not its business: they are checked before it is asked.
"""

from dataclasses import dataclass
from typing import ClassVar

from ami_dlms import data
from ami_dlms.association import AssociationProfile
from ami_dlms.cosem.selection import SelectiveAccess
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult, DataTag
from ami_meter_sim.objects.model import ObjectDescription


class Refused(Exception):
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
class Asked:
    """Through which association an attribute is read, and with which selection; None is the meter itself."""

    association: str | None = None
    profile: AssociationProfile | None = None
    client_system_title: bytes | None = None
    selection: SelectiveAccess | None = None


MYSELF = Asked()


class InterfaceClass:
    """One COSEM object; a family overrides what its class has beyond the logical name."""

    __slots__ = ("described",)

    selective: ClassVar[frozenset[int]] = frozenset()
    """Attributes with selective access."""

    def __init__(self, described: ObjectDescription) -> None:
        self.described = described

    def read(self, attribute_id: int, asked: Asked = MYSELF) -> Data:
        """The value of an attribute; Refused with the reason why not."""
        if asked.selection is not None and attribute_id not in self.selective:
            raise Refused(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED)
        described = self.described
        if attribute_id in described.errors:
            raise Refused(described.errors[attribute_id])
        if attribute_id in described.attributes:
            return described.attributes[attribute_id]
        if attribute_id == 1:
            return data.octet_string(described.obis)
        return self._read(attribute_id, asked)

    def write(self, attribute_id: int, value: Data) -> None:
        """Change an attribute; Refused with the reason why not."""
        raise Refused(DataAccessResult.READ_WRITE_DENIED)

    def invoke(self, method_id: int, parameters: Data | None) -> Data | None:
        """Carry out a method; ActionRefused with the reason why not."""
        raise ActionRefused(ActionResult.OBJECT_UNAVAILABLE)

    def _read(self, attribute_id: int, asked: Asked) -> Data:
        raise Refused(DataAccessResult.OBJECT_UNAVAILABLE)


class StaticObject(InterfaceClass):
    """An object of any class as it was scanned. What a client writes stays until the process ends."""

    __slots__ = ("_written",)

    def __init__(self, described: ObjectDescription) -> None:
        super().__init__(described)
        self._written: dict[int, Data] = {}

    def read(self, attribute_id: int, asked: Asked = MYSELF) -> Data:
        """What was written last, else what was scanned."""
        if asked.selection is None and attribute_id in self._written:
            return self._written[attribute_id]
        return super().read(attribute_id, asked)

    def write(self, attribute_id: int, value: Data) -> None:
        """A value of the type that was scanned."""
        scanned = self.described.attributes.get(attribute_id)
        if scanned is not None and scanned.tag is not value.tag:
            raise Refused(DataAccessResult.TYPE_UNMATCHED)
        self._written[attribute_id] = value


def integer_in(value: Data, tag: DataTag, numbers: range) -> int:
    """The number in `value`; Refused when it has another type or is out of range."""
    number = value.value
    if value.tag != tag or not isinstance(number, int) or number not in numbers:
        raise Refused(DataAccessResult.TYPE_UNMATCHED)
    return number

"""Which objects a meter has, as its association has listed them: read once, and again where the list has proved wrong.

Meters of one model share one list in memory, and of the meters only so many are remembered.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import CompactArray, Data
from ami_dlms.enums import DataTag
from ami_dlms.obis import Obis
from ami_hes.meters.faults import MeterFault
from ami_hes.meters.session import Session

OBJECT_LIST = AttributeDescriptor(15, Obis.parse("0-0:40.0.0*255"), 2)
PARTS = 4
"""Class, version, logical name and access rights."""
MOST_METERS = 100_000
MOST_OBJECTS = 10_000
"""Of one meter; more is nonsense."""
Objects = tuple[tuple[int, Obis], ...]


class KnownObjects:
    """The objects of meters, by class and logical name."""

    def __init__(self, most: int = MOST_METERS) -> None:
        self._most = most
        self._lists: OrderedDict[str, Objects] = OrderedDict()
        self._shared: dict[Objects, Objects] = {}

    async def of(self, session: Session) -> Objects:
        """What the meter of a session has. Raises MeterFault."""
        name = session.meter.name
        if (known := self._lists.get(name)) is not None:
            self._lists.move_to_end(name)
            return known
        found = _objects(await session.get(OBJECT_LIST))
        self._keep(name, found)
        return found

    def forget(self, session: Session) -> None:
        """The meter has refused what it has listed, or what was kept of it is of no more use."""
        self._lists.pop(session.meter.name, None)

    def _keep(self, name: str, found: Objects) -> None:
        while len(self._lists) >= self._most:
            self._lists.popitem(last=False)
        if len(self._shared) > len(self._lists) + 1:  # of lists that no meter has any more
            self._shared = {one: one for one in self._lists.values()}
        self._lists[name] = self._shared.setdefault(found, found)


def _objects(value: Data) -> Objects:
    items = value.value
    if value.tag is not DataTag.ARRAY or len(items) > MOST_OBJECTS:
        what = "compact-array" if isinstance(items, CompactArray) else value.tag.name.lower()
        raise _unexpected(f"no list of objects but {what}")
    return tuple(_each(items))


def _each(items: Iterable[Data]) -> Iterable[tuple[int, Obis]]:
    for item in items:
        parts: Sequence[Data] = item.value if item.tag is DataTag.STRUCTURE else ()
        if len(parts) < PARTS:
            raise _unexpected("an entry is no object_list_element")
        class_id, _, name, *_ = (part.value for part in parts)
        if not isinstance(class_id, int) or not isinstance(name, bytes) or len(name) != len(OBJECT_LIST.instance_id):
            raise _unexpected("an entry has no class or no logical name")
        yield class_id, Obis(name)


def _unexpected(detail: str) -> MeterFault:
    return MeterFault("data-access-result", "unexpected-value", where="reading the object list", detail=detail)

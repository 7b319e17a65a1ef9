"""Which objects a meter has, as its association has listed them, and what its profiles capture: read once, and again where that has changed.

Meters of one model share what is known in memory, and the number of meters that are remembered is limited. It is known of the device and not
of its name in the registry, which may be given to another one while the process runs.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.data import CompactArray, Data
from ami_dlms.enums import DataTag
from ami_dlms.errors import DecodeError
from ami_dlms.obis import Obis
from ami_hes.meters.association import GetRefused
from ami_hes.meters.faults import MeterFault
from ami_hes.meters.session import Session
from ami_mapping.profiles import PROFILE_GENERIC, Profile

OBJECT_LIST = AttributeDescriptor(15, Obis.parse("0-0:40.0.0*255"), 2)
PARTS = 4
"""Class, version, logical name and access rights."""
CAPTURE_OBJECTS, CAPTURE_PERIOD = 3, 4
EVENT_LOGS = bytes((99, 98))
"""Groups C and D of profiles that are logs."""
MOST_METERS = 100_000
MOST_REMEMBERED = 64
MOST_OBJECTS, MOST_COLUMNS = 10_000, 256
"""Of one meter, and of one profile; more is nonsense."""
Objects = tuple[tuple[int, Obis], ...]


@dataclass(frozen=True, slots=True)
class _Known:
    objects: Objects
    profiles: tuple[Profile, ...] | None = None
    rows_apart: bool = False
    """Whether the meter gives the rows of a profile in an answer of their own alone."""


class KnownObjects:
    """The objects and profiles of meters."""

    def __init__(self, most: int = MOST_METERS) -> None:
        self._most = most
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._shared: dict[_Known, _Known] = {}
        self.answers = ProfileAnswers()

    async def of(self, session: Session) -> Objects:
        """What the meter of a session has, by class and logical name. Raises MeterFault."""
        return (await self._of(session)).objects

    async def profiles(self, session: Session) -> tuple[Profile, ...]:
        """The profiles of the meter that are no logs. Raises MeterFault."""
        known = await self._of(session)
        if known.profiles is None:
            names = [
                obis for class_id, obis in known.objects if class_id == PROFILE_GENERIC and obis[2:4] != EVENT_LOGS
            ]
            answers = await session.get_each(*(one for name in names for one in attributes_of_profile(name)))
            parts = zip(names, answers[::2], answers[1::2], strict=True)
            found = tuple(one for part in parts if (one := profile_of(*part)) is not None)
            known = self._keep(session.meter.logical_device_name, replace(known, profiles=found))
        return known.profiles or ()

    def has_profiles(self, session: Session) -> bool:
        """Whether `profiles` asks the meter for nothing."""
        known = self._known.get(session.meter.logical_device_name)
        return known is not None and known.profiles is not None

    def gives_rows_apart(self, session: Session) -> bool:
        """Whether it has refused to give the rows of a profile in one answer with other attributes."""
        known = self._known.get(session.meter.logical_device_name)
        return known is not None and known.rows_apart

    def note_rows_apart(self, session: Session) -> None:
        """It has refused that, and is asked for them apart until its objects are looked up anew."""
        name = session.meter.logical_device_name
        if (known := self._known.get(name)) is not None:
            self._keep(name, replace(known, rows_apart=True))

    def forget(self, session: Session) -> None:
        """What is kept of this meter has proved wrong."""
        self._known.pop(session.meter.logical_device_name, None)

    async def _of(self, session: Session) -> _Known:
        name = session.meter.logical_device_name
        if (known := self._known.get(name)) is not None:
            self._known.move_to_end(name)
            return known
        return self._keep(name, _Known(_objects(await session.get(OBJECT_LIST))))

    def _keep(self, name: str, found: _Known) -> _Known:
        while len(self._known) >= self._most:
            self._known.popitem(last=False)
        if len(self._shared) > len(self._known) + 1:  # of which no meter has some any more
            self._shared = {one: one for one in self._known.values()}
        self._known[name] = shared = self._shared.setdefault(found, found)
        return shared


async def version_of(session: Session, class_id: int, name: Obis) -> int | None:
    """The version of an object, as the association lists it; None for one that is not listed, and where there is no list to be had. Raises MeterFault."""
    try:
        listed = (await session.get(OBJECT_LIST)).value
    except GetRefused:
        return None
    for item in listed if isinstance(listed, tuple) else ():
        parts: Sequence[Data] = item.value if isinstance(item, Data) and item.tag is DataTag.STRUCTURE else ()
        if len(parts) >= PARTS and (parts[0].value, parts[2].value) == (class_id, name):
            version = parts[1].value
            return version if isinstance(version, int) else None
    return None


def attributes_of_profile(name: Obis) -> tuple[AttributeDescriptor, AttributeDescriptor]:
    """Those that say what a profile captures, and how often."""
    return AttributeDescriptor(PROFILE_GENERIC, name, CAPTURE_OBJECTS), AttributeDescriptor(
        PROFILE_GENERIC, name, CAPTURE_PERIOD
    )


class ProfileAnswers:
    """The last answers of a meter about each profile, and what they came to: nearly all meters of a fleet give the same ones."""

    def __init__(self) -> None:
        self._last: dict[Obis, tuple[Data | GetRefused, Data | GetRefused, Profile | None]] = {}

    def profile_of(self, name: Obis, columns: Data | GetRefused, period: Data | GetRefused) -> Profile | None:
        """As the function of this name."""
        last = self._last.get(name)
        if last is None or last[0] != columns or last[1] != period:
            if len(self._last) >= MOST_REMEMBERED:
                self._last.clear()
            last = self._last[name] = columns, period, profile_of(name, columns, period)
        return last[2]


def profile_of(name: Obis, columns: Data | GetRefused, period: Data | GetRefused) -> Profile | None:
    """The profile that these attributes describe; None where the meter gives none that could be used."""
    if isinstance(columns, GetRefused) or isinstance(period, GetRefused) or columns.tag is not DataTag.ARRAY:
        return None
    if not isinstance(period.value, int) or len(columns.value) > MOST_COLUMNS:
        return None
    try:
        return Profile(name, period.value, tuple(map(CaptureObject.decode, columns.value)))
    except DecodeError:
        return None


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

"""A pack: what a companion standard says of meters, as rows that each say where that is written, and the models of meters that follow it.

Strategy: frozen records by their keys. An event is known by its log and number and never by the number alone; a pack that extends another
one has that one's rows below its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique

from ami_dlms.obis import Obis
from ami_packs.document import Node
from ami_packs.event_list import AlarmBit, Occurrence

ALARM_BITS = 128
"""Of an alarm register at most: those of the longest status words that are known here."""
ObjectKey = tuple[int, Obis]


@unique
class Level(StrEnum):
    """What its sources carry, and what is shown of it by a test."""

    METER = "meter"
    """Served, commissioned, read, events mapped."""
    READ = "read"
    """Served and read; nothing is claimed of events."""
    LIST = "list"
    """Rows to look things up in: nothing is served."""


@unique
class Subject(StrEnum):
    """What a note is about."""

    ASSOCIATIONS = "associations"
    SECURITY = "security"
    IDENTIFICATION = "identification"
    PROFILES = "profiles"
    EVENTS = "events"
    ALARMS = "alarms"
    PUSH = "push"
    DISCONNECTOR = "disconnector"
    BILLING = "billing"
    READING_TYPES = "reading types"
    TRANSPORT = "transport"
    COMMANDS = "commands"
    GAP = "gap"
    """What is not known, or not served."""


@dataclass(frozen=True, slots=True)
class PackObject:
    """An object that the standard has; `models` are the models that serve it by this row, empty for all of them."""

    class_id: int
    version: int | None
    obis: Obis
    name: str
    models: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class PackEvent:
    """A number in a log. `log` is its profile, or a word where its OBIS code is not known; `code` an EndDeviceEventType, whose type is 0."""

    log: Obis | str
    number: int
    meaning: str
    occurrences: tuple[Occurrence, ...] = ()
    alarm: AlarmBit | None = None
    code: str | None = None
    basis: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class PackAlarm:
    """A bit of an alarm register, the lowest being 0; of a bit-string the first one. `numbers` are those of the entries that it stands for."""

    register: Obis
    bit: int
    meaning: str
    numbers: tuple[int, ...] = ()
    code: str | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class PackPush:
    """A push setup: `kind` is `alarms` for one with alarm registers, `event` for one that is an event itself, `readings` for any other."""

    setup: Obis
    kind: str
    meaning: str
    registers: tuple[Obis, ...] = ()
    """Whose values it has, in this order; none: the descriptors of 0-0:97.98.0 and what follows it."""
    code: str | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class ListedValue:
    """A place in a list of values that is pushed or shown without names."""

    list_name: str
    position: int
    obis: Obis
    meaning: str
    source: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something that is known of the standard and is no row of a table."""

    subject: Subject
    text: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class ModelText:
    """A model file of a pack, not yet read; `file` is what messages call it."""

    text: str
    file: str
    below: "ModelText | None" = None
    """The one of the same name that it lies over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """All of a pack, what it extends included."""

    name: str
    title: str
    level: Level
    basis: str
    extends: str = ""
    objects: Mapping[ObjectKey, PackObject] = field(default_factory=dict)
    events: Mapping[tuple[Obis | str, int], PackEvent] = field(default_factory=dict)
    alarms: Mapping[tuple[Obis, int], PackAlarm] = field(default_factory=dict)
    pushes: Mapping[Obis, PackPush] = field(default_factory=dict)
    values: Mapping[tuple[str, int], ListedValue] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    models: Mapping[str, ModelText] = field(default_factory=dict)
    object_rows: Mapping[ObjectKey, Node] = field(default_factory=dict, repr=False)
    """The rows of `objects` as its file has them, for the models."""

    @property
    def rows(self) -> Mapping[str, int]:
        """How many there are of each kind."""
        kinds = ("objects", "events", "alarms", "pushes", "values", "notes")
        return {name: len(getattr(self, name)) for name in kinds}

    def sourceless(self) -> Iterator[str]:
        """The rows that do not say where they are written, each in words."""
        for (class_id, obis), one in self.objects.items():
            if not one.source:
                yield f"object {class_id}/{obis}"
        for (log, number), event in self.events.items():
            if not event.source:
                yield f"event {log}/{number}"
        for (register, bit), alarm in self.alarms.items():
            if not alarm.source:
                yield f"alarm {register}/{bit}"
        yield from (f"push setup {setup}" for setup, one in self.pushes.items() if not one.source)
        yield from (f"value {name}/{place}" for (name, place), one in self.values.items() if not one.source)
        yield from (f"note on {one.subject}: {one.text[:40]}" for one in self.notes if not one.source)

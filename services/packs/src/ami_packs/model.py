"""A meter model: which objects a meter has and which associations it offers, shared by all meters of that model.

Strategy: frozen records made once per file; nothing of a single meter is in them. An object list as the standard encodes
it (class 15, attribute 2) is made once per association and shared too.

A model that was saved from a scan of a meter also has `static` objects, which are served attribute by attribute as they
were scanned, under the numbers and rights that were listed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ami_dlms import data
from ami_dlms.association import AttributeAccess
from ami_dlms.cosem.classes import class_versions
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.selection import BY_ENTRY, BY_RANGE, CaptureObject
from ami_dlms.data import Data
from ami_dlms.enums import DataAccessResult, Mechanism
from ami_dlms.obis import Obis
from ami_packs.event_list import NO_EVENTS, EventList

PUBLIC = "public"
MANAGEMENT = "management"
PUBLIC_CLIENT_WPORT = 16
PROFILE_GENERIC = 7
HOURS = 24
SELECTORS = {(PROFILE_GENERIC, "buffer"): (BY_RANGE, BY_ENTRY)}
"""(class, attribute) -> the selectors with which it can be read in parts."""


@dataclass(frozen=True, slots=True)
class Offered:
    """An association that a meter of this model offers.

    Without a port of its own it is the association that the meter's own settings describe: its client, mechanism and keys.
    With one, the mechanism is this one, and the keys are those of this security setup of the meter (1 or 2). `protected` is
    what is demanded of requests and responses; a pre-established association is open without AARQ.
    """

    name: str
    client_wport: int | None = None
    mechanism: Mechanism = Mechanism.LOWEST
    authenticated: bool = False
    encrypted: bool = False
    security_setup: int = 1
    pre_established: bool = False

    @property
    def keyed(self) -> bool:
        """Whether a client of this association needs a key or a password of the meter; without a port the settings say so."""
        return self.client_wport is not None and (
            self.mechanism is not Mechanism.LOWEST or self.authenticated or self.encrypted
        )


OFFERED = (Offered(PUBLIC, PUBLIC_CLIENT_WPORT), Offered(MANAGEMENT))
"""What a model offers that says nothing of associations."""


@dataclass(frozen=True, slots=True)
class ObjectAccess:
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
class ListedMembers:
    """Which attributes and methods the object list names."""

    attributes: tuple[int, ...]
    methods: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectDescription:
    """One object of a model; the fields after `access` belong to single families.

    `attributes` and `errors` are what an attribute answers whatever the class has code for. `rows` are what a profile
    begins with, each an encoded structure. `options` say how the class behaves where meters differ, in words of its code.
    """

    obis: Obis
    class_id: int
    version: int
    name: str
    source: str
    access: Mapping[str, ObjectAccess]
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
    listed: ListedMembers | None = None
    selectors: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    rows: tuple[bytes, ...] = ()
    options: Mapping[str, bool | int | str] = field(default_factory=dict)


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

    def _access(self, class_id: int, instance_id: Obis) -> ObjectAccess | None:
        described = self.objects.get((class_id, instance_id))
        return None if described is None else described.access.get(self.association)


@dataclass(frozen=True, slots=True)
class LoadTable:
    """A day's power by the hour (UTC) in watts, 24 of each direction."""

    consumption_w: tuple[int, ...]
    generation_w: tuple[int, ...]

    def __post_init__(self) -> None:
        for watts in (self.consumption_w, self.generation_w):
            if len(watts) != HOURS or min(watts) < 0:
                raise ValueError("a load table has 24 powers in watts, none of them negative")


class Model:
    """All objects of a model, its event list, and the associations that it offers, each with rights and an object list."""

    def __init__(
        self,
        objects: tuple[ObjectDescription, ...],
        associations: tuple[Offered, ...] = OFFERED,
        load: LoadTable | None = None,
        events: EventList = NO_EVENTS,
        title: str = "",
        base: str = "",
        short_names: bool = False,
    ) -> None:
        self.title = title
        self.short_names = short_names
        """Whether clients name its objects by short names; see `base_names`."""
        self.base = base
        self.events = events
        self.objects = {(described.class_id, described.obis): described for described in objects}
        self.load = load
        self.associations = associations
        self.rights = {one.name: Rights(self.objects, one.name) for one in associations}
        self.object_lists = {one.name: _object_list(objects, one.name) for one in associations}
        self.profiles = tuple(one for one in objects if one.class_id == PROFILE_GENERIC)


def _object_list(objects: tuple[ObjectDescription, ...], association: str) -> Data:
    """object_list of class 15 version 1, with the access rights of one association."""
    visible = [(one, one.access[association]) for one in objects if association in one.access]
    return data.array(*(_object_list_element(one, access) for one, access in visible))


def _object_list_element(described: ObjectDescription, access: ObjectAccess) -> Data:
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


def _of_class(described: ObjectDescription) -> ListedMembers:
    standard = class_versions()[described.class_id, described.version]
    return ListedMembers(
        tuple([one.number for one in standard.attributes]), tuple([one.number for one in standard.methods])
    )


def _attribute_access_item(described: ObjectDescription, access: ObjectAccess, number: int) -> Data:
    """access_mode counts as AttributeAccess does (1 read, 2 write, 3 both) unless the model has the mode itself."""
    mode = access.modes.get(number, int(access.attribute(number)))
    chosen = described.selectors.get(number, ())
    if described.listed is None:
        name = class_versions()[described.class_id, described.version].attributes[number - 1].name
        chosen = SELECTORS.get((described.class_id, name), chosen)
    selectors = data.array(*map(data.integer, chosen)) if chosen else data.null()
    return data.structure(data.integer(number), data.enum(mode), selectors)

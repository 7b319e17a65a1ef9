"""When a fault happens: what its rule says about direction, service, object, number and time."""

from typing import Annotated, TypeVar

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict, Field

from ami_dlms.association import Action
from ami_dlms.errors import DlmsError
from ami_dlms.obis import Obis
from ami_meter_sim.faults.fault import Direction, Item, Occasion, Service, service_of
from ami_process.meanings import Documented

T = TypeVar("T")


def listed(value: object) -> object:
    """One value as a list of it."""
    return value if isinstance(value, list | tuple) else [value]


def _obis(value: str) -> str:
    try:
        return str(Obis.parse(value))
    except (DlmsError, ValueError):
        raise ValueError("is no OBIS code such as 0-0:96.3.10*255") from None


OneOrMore = Annotated[list[T], Field(min_length=1, max_length=100), BeforeValidator(listed)]
Number = Annotated[int, Field(ge=0, le=0xFFFF)]
Nth = Annotated[int, Field(ge=1, le=1_000_000_000)]


class When(Documented):
    """All that is given has to hold; what is not given, always does."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, serialize_by_alias=True)

    direction: Direction | None = None
    """`request` on its way in, `answer` on its way out, or `push`."""
    service: OneOrMore[Service] | None = None
    """`get`, `set`, `action`, `push`; `association` is the opening, the release and further blocks of a long answer."""
    classes: OneOrMore[Number] | None = Field(default=None, alias="class")
    """Of the object."""
    instance: Annotated[str, AfterValidator(_obis)] | None = None
    """The logical name of the object."""
    attribute: OneOrMore[Number] | None = None
    """Its number, of a GET or SET."""
    method: OneOrMore[Number] | None = None
    """Its number, of an ACTION."""
    nth: Nth | None = None
    """Only the nth time that all of this holds at a meter, from 1."""
    first: Nth | None = None
    """Only that often at a meter."""
    since: AwareDatetime | None = None
    """From this moment on, by the clock of the process."""
    until: AwareDatetime | None = None
    """Before this moment."""

    @property
    def names_an_object(self) -> bool:
        """Whether it is about items of requests."""
        return any(one is not None for one in (self.classes, self.instance, self.attribute, self.method))

    def holds(self, occasion: Occasion) -> bool:
        """All of it but the number."""
        if self.since is not None and occasion.at < self.since:
            return False
        if self.until is not None and occasion.at >= self.until:
            return False
        if self.names_an_object:
            return any(map(self.covers, occasion.items))
        return self.service is None or not occasion.services.isdisjoint(self.service)

    def covers(self, item: Item) -> bool:
        """Whether it is about this item of a request."""
        descriptor = item.descriptor
        if self.service is not None and service_of(item) not in self.service:
            return False
        if self.classes is not None and descriptor.class_id not in self.classes:
            return False
        if self.instance is not None and str(descriptor.instance_id) != self.instance:
            return False
        if isinstance(item, Action):
            return self.attribute is None and (self.method is None or item.descriptor.method_id in self.method)
        return self.method is None and (self.attribute is None or item.descriptor.attribute_id in self.attribute)

    def allows(self, number: int) -> bool:
        """Whether it happens the time of this number, from 1."""
        return (self.nth is None or number == self.nth) and (self.first is None or number <= self.first)

"""The nouns that are read and written, one row each: everything that a noun needs elsewhere follows from its row.

A noun has a payload (`{Noun}#`) and typed messages for some verbs; one that can be asked for has a query profile as well
(`Get{Noun}#`, inside Request). Which of them a process serves is its own affair; here is what can be said."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lxml import etree

from ami_cim import ns
from ami_cim.codes import Verb
from ami_cim.errors import InvalidMessage, LocalError
from ami_cim.payloads import (
    Payload,
    control_parameters,
    end_device_config,
    end_device_controls,
    end_device_events,
    get_meter_readings,
    master_data_linkage_config,
    meter_config,
    meter_read_schedule,
    meter_readings,
    meter_service_requests,
    usage_point_config,
)
from ami_cim.payloads.opaque import OpaquePayload
from ami_cim.payloads.operation_set import Operation, OperationSet
from ami_cim.xml import Element, parse, serialize
from ami_cim.xml_fields import Shape
from ami_cim.xml_values import BOOLEAN, INTEGER, TEXT

REQUEST_VERBS = (Verb.CREATE, Verb.CHANGE, Verb.CANCEL, Verb.CLOSE, Verb.DELETE)
EVENT_VERBS = (Verb.CREATED, Verb.CHANGED, Verb.CANCELED, Verb.CLOSED, Verb.DELETED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Noun:
    """One row. The schema of a payload is the file `schemas/xsd/{name}.xsd`, that of a query profile `Get{name}.xsd`."""

    name: str
    payload: Shape[Payload]
    query: Shape[Payload] | None = None
    verbs: tuple[Verb, ...] = REQUEST_VERBS
    """Of requests with a typed operation, beside get."""
    events: tuple[Verb, ...] = EVENT_VERBS
    received: bool = False
    """Whether it is events by itself, so that who takes them offers `Receive{name}` beside `Reply{name}`."""
    repair: Callable[[Element], None] | None = None
    """A leniency: changes a body in place, before it is validated."""


NOUNS: tuple[Noun, ...] = (
    Noun(
        name="EndDeviceControls",
        payload=end_device_controls.PAYLOAD,
        repair=end_device_controls.reorder,
    ),
    Noun(
        name="MeterReadings",
        payload=meter_readings.PAYLOAD,
        query=get_meter_readings.QUERY,
        verbs=(),
    ),
    Noun(
        name="MeterReadSchedule",
        payload=meter_read_schedule.PAYLOAD,
        query=meter_read_schedule.QUERY,
    ),
    Noun(
        name="EndDeviceEvents",
        payload=end_device_events.PAYLOAD,
        query=end_device_events.QUERY,
        verbs=(),
        received=True,
    ),
    Noun(
        name="MeterConfig",
        payload=meter_config.PAYLOAD,
        query=meter_config.QUERY,
    ),
    Noun(
        name="EndDeviceConfig",
        payload=end_device_config.PAYLOAD,
        query=end_device_config.QUERY,
    ),
    Noun(
        name="UsagePointConfig",
        payload=usage_point_config.PAYLOAD,
        query=usage_point_config.QUERY,
    ),
    Noun(
        name="MasterDataLinkageConfig",
        payload=master_data_linkage_config.PAYLOAD,
        query=master_data_linkage_config.QUERY,
    ),
    Noun(
        name="MeterServiceRequests",
        payload=meter_service_requests.PAYLOAD,
    ),
)

BY_NAME: Mapping[str, Noun] = {noun.name: noun for noun in NOUNS}


@dataclass(frozen=True, slots=True)
class Root:
    """The root element of a payload or a query profile."""

    name: str
    shape: Shape[Payload]
    own: str | None = None
    """A namespace that is not made of the name."""

    @property
    def namespace(self) -> str:
        return self.own or ns.payload(self.name)

    @property
    def tag(self) -> str:
        """The Clark name."""
        return f"{{{self.namespace}}}{self.name}"


def _roots(noun: Noun) -> list[Root]:
    query = [] if noun.query is None else [Root(ns.query(noun.name), noun.query)]
    return [Root(noun.name, noun.payload), *query]


ROOTS: tuple[Root, ...] = tuple(root for noun in NOUNS for root in _roots(noun))

EXTENSIONS: Mapping[str, Root] = {
    end_device_controls.NOUN: Root(control_parameters.NAME, control_parameters.PARAMETERS, ns.CONTROL_PARAMETERS),
}
"""By noun, an element of ours that may stand in Request; it has no typed messages."""

_ALL = (*ROOTS, *EXTENSIONS.values())
_CODECS = {root.tag: root.shape.bind(root.namespace) for root in _ALL}
_BY_CLASS: Mapping[Callable[..., Payload], Root] = {root.shape.make: root for root in _ALL}


OPERATION_SETS: Mapping[str, str] = {ns.operation_set(noun.name): noun.name for noun in NOUNS}
"""Names of typed OperationSets, and the noun of an Operation of theirs that names none."""
TYPED: tuple[str, ...] = (*(root.name for root in ROOTS), *OPERATION_SETS)
"""All names that have a namespace of typed messages."""
OPERATION_SET = f"{{{ns.MESSAGE}}}OperationSet"
_TYPED_SETS = {f"{{{ns.typed_message(name)}}}OperationSet": noun for name, noun in OPERATION_SETS.items()}
_OPERATION = f"{{{ns.MESSAGE}}}Operation"


def payload_of(element: Element) -> Payload:
    """The payload or query profile of an element, or an OperationSet; that of a noun without a row stays opaque."""
    if element.tag == OPERATION_SET or element.tag in _TYPED_SETS:
        return _operation_set(element, _TYPED_SETS.get(element.tag))
    codec = _CODECS.get(element.tag)
    return OpaquePayload(element.tag, serialize(element)) if codec is None else codec.read(element)


def tag_of(payload: Payload) -> str:
    """The Clark name of a payload's element."""
    if isinstance(payload, OperationSet):
        return OPERATION_SET
    return payload.tag if isinstance(payload, OpaquePayload) else _BY_CLASS[type(payload)].tag


def element_of(payload: Payload) -> Element:
    """The element of a payload or query profile, in the schema's order."""
    if isinstance(payload, OpaquePayload):
        element = parse(payload.octets)
        if element.tag != payload.tag:
            raise LocalError("An opaque payload is not what its tag says", payload.tag)
        return element
    if isinstance(payload, OperationSet):
        return _element_of_set(payload)
    root = _BY_CLASS[type(payload)]
    element = etree.Element(root.tag, nsmap=ns.default(root.namespace))
    _CODECS[root.tag].write(element, payload)
    return element


def _operation_set(element: Element, noun: str | None) -> OperationSet:
    """`noun` is that of operations which name none."""
    return OperationSet(
        enforce_sequence=_flag(element, "enforceMsgSequence"),
        enforce_integrity=_flag(element, "enforceTransactionalIntegrity"),
        operations=tuple(_operation(one, noun) for one in element.iterchildren(_OPERATION)),
    )


def _operation(element: Element, noun: str | None) -> Operation:
    found = {name: element.find(f"{{{ns.MESSAGE}}}{name}") for name in ("operationId", "noun", "verb")}
    values = {name: None if one is None else TEXT.read(one) for name, one in found.items() if name != "operationId"}
    number = None if found["operationId"] is None else INTEGER.read(found["operationId"])
    if number is None:
        raise InvalidMessage("1.7", "An Operation has no operationId")
    others = [one for one in element.iterchildren("*") if etree.QName(one).namespace != ns.MESSAGE]
    return Operation(
        operation_id=number,
        noun=values["noun"] or noun,
        verb=None if values["verb"] is None else values["verb"].lower(),
        element_operation=_flag(element, "elementOperation"),
        payload=payload_of(others[0]) if others else None,
    )


def _flag(element: Element, name: str) -> bool:
    found = element.find(f"{{{ns.MESSAGE}}}{name}")
    return False if found is None else bool(BOOLEAN.read(found))


def _element_of_set(payload: OperationSet) -> Element:
    """Flags that are false are left out: they are so without being said."""
    element = etree.Element(OPERATION_SET, nsmap={"msg": ns.MESSAGE})
    for name, flag in (
        ("enforceMsgSequence", payload.enforce_sequence),
        ("enforceTransactionalIntegrity", payload.enforce_integrity),
    ):
        if flag:
            BOOLEAN.write(etree.SubElement(element, f"{{{ns.MESSAGE}}}{name}"), True)
    for one in payload.operations:
        _write_operation(etree.SubElement(element, _OPERATION), one)
    return element


def _write_operation(element: Element, one: Operation) -> None:
    INTEGER.write(etree.SubElement(element, f"{{{ns.MESSAGE}}}operationId"), one.operation_id)
    for name, text in (("noun", one.noun), ("verb", one.verb)):
        if text is not None:
            TEXT.write(etree.SubElement(element, f"{{{ns.MESSAGE}}}{name}"), text)
    if one.element_operation:
        BOOLEAN.write(etree.SubElement(element, f"{{{ns.MESSAGE}}}elementOperation"), True)
    if one.payload is not None:
        element.append(element_of(one.payload))

"""A shape is declared once, bound to any namespace, and what it does not name is known."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from lxml import etree

from ami_cim.errors import InvalidMessage, LocalError
from ami_cim.identity import END_DEVICE, EndDevice, Name
from ami_cim.xml_fields import Shape, many, moment, one, text

NAMESPACES = ("urn:a", "urn:b#")


@dataclass(frozen=True)
class Thing:
    label: str | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    devices: tuple[EndDevice, ...] = ()
    inner: "Thing | None" = None
    beyond: tuple[str, ...] = field(default=())


INNER = Shape(Thing, (text("label", "label", mandatory="1.7"),))
THING = Shape(
    Thing,
    (
        text("label", "label"),
        moment("time/interval/end", "end_at"),
        moment("time/interval/start", "start_at"),
        many("Devices", "devices", END_DEVICE),
        one("Inner", "inner", INNER),
    ),
    left_over="beyond",
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
WHOLE = Thing("l", NOW, NOW, (EndDevice("m", (Name(name="n", name_type="t", authority="a"),)), EndDevice()), Thing("i"))


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize(
    "value", [WHOLE, Thing(), Thing(start_at=NOW), Thing(devices=(EndDevice(names=(Name(name="n"),)),))]
)
def test_what_is_written_is_read(namespace: str, value: Thing) -> None:
    codec = THING.bind(namespace)
    element = etree.Element(f"{{{namespace}}}Thing")
    codec.write(element, value)
    assert {etree.QName(child).namespace for child in element.iter("*")} == {namespace}
    assert codec.read(element) == value


def test_fields_that_lie_deeper_share_their_way() -> None:
    element = etree.Element("{urn:a}Thing")
    THING.bind("urn:a").write(element, Thing(start_at=NOW, end_at=NOW))
    assert [etree.QName(child).localname for child in element.iter("*")] == [
        "Thing",
        "time",
        "interval",
        "end",
        "start",
    ]


def test_another_namespace_is_left_over() -> None:
    element = etree.fromstring('<Thing xmlns="urn:a"><label>l</label><x:label xmlns:x="urn:b#">m</x:label></Thing>')
    assert THING.bind("urn:a").read(element) == Thing("l", beyond=("label",))


def test_what_no_field_names_is_known_by_its_path_and_once() -> None:
    element = etree.fromstring(
        '<Thing xmlns="urn:a"><Devices><Names><name>n</name><NameType><description>d</description></NameType></Names>'
        "<installCode/></Devices><Devices><installCode/></Devices><time><zone/></time><colour/></Thing>"
    )
    found = THING.bind("urn:a").read(element)
    assert found.beyond == ("colour", "Devices/Names/NameType/description", "Devices/installCode", "time/zone")
    with pytest.raises(LocalError, match="not carried"):
        THING.bind("urn:a").write(etree.Element("x"), found)


@pytest.mark.parametrize(
    ("inside", "code", "words"),
    [
        ("<label>a</label><label>b</label>", "1.8", "label is there twice in Thing"),
        (
            "<time><interval><end>2026-01-01T00:00:00Z</end></interval><interval><end>2026-01-01T00:00:00Z</end></interval></time>",
            "1.8",
            "end is there twice in interval",
        ),
        ("<Inner/>", "1.7", "Inner has no label"),
    ],
)
def test_what_a_shape_does_not_allow_is_refused(inside: str, code: str, words: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        THING.bind("urn:a").read(etree.fromstring(f'<Thing xmlns="urn:a">{inside}</Thing>'))
    assert (caught.value.code, caught.value.reason) == (code, words)


def test_an_authority_needs_its_name_type() -> None:
    with pytest.raises(LocalError, match="NameType cannot be written without its name"):
        END_DEVICE.bind("urn:a").write(etree.Element("x"), EndDevice(names=(Name(name="n", authority="a"),)))


def test_a_field_is_no_way_to_another() -> None:
    with pytest.raises(TypeError, match="a field already"):
        Shape(Thing, (text("label", "label"), text("label/deeper", "label"))).bind("urn:a")

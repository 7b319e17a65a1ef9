"""SOAP 1.1: what counts as an envelope, and what does not."""

import pytest
from lxml import etree

from ami_cim import ns, soap, xml
from ami_cim.errors import InvalidMessage

S = f'xmlns:s="{ns.SOAP}"'


def envelope(inside: str) -> bytes:
    return f"<s:Envelope {S}>{inside}</s:Envelope>".encode()


def test_wrap_and_unwrap() -> None:
    body = etree.Element("{urn:x}a")
    etree.SubElement(body, "{urn:x}b").text = "ä & <"
    parent = etree.Element("parent")
    parent.append(body)
    body.tail = "tail"
    found = soap.unwrap(soap.wrap(body))
    assert [(element.tag, element.text) for element in found.iter()] == [("{urn:x}a", None), ("{urn:x}b", "ä & <")]
    assert found.tail is None
    assert body.getparent() is parent


def test_an_element_may_be_unwrapped_as_well() -> None:
    assert soap.unwrap(xml.parse(envelope("<s:Header/><s:Body><a/></s:Body>"))).tag == "a"


@pytest.mark.parametrize(
    "octets",
    [
        b"<a/>",
        envelope(""),
        envelope("<s:Body/>"),
        envelope("<s:Body>text</s:Body>"),
        envelope("<s:Body><a/><b/></s:Body>"),
        envelope("<s:Body><a/></s:Body><s:Body><a/></s:Body>"),
        envelope("<Body><a/></Body>"),
        b"<Envelope><Body><a/></Body></Envelope>",
    ],
)
def test_no_envelope(octets: bytes) -> None:
    with pytest.raises(InvalidMessage) as caught:
        soap.unwrap(octets)
    assert caught.value.code == "1.8"


def test_soap_1_2_is_a_version_mismatch() -> None:
    twelve = b'<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body><a/></e:Body></e:Envelope>'
    with pytest.raises(InvalidMessage) as caught:
        soap.unwrap(twelve)
    assert caught.value.fault_code == "VersionMismatch"


@pytest.mark.parametrize("flag", ["1", "true"])
def test_a_header_that_must_be_understood(flag: str) -> None:
    octets = envelope(f'<s:Header><x:y xmlns:x="urn:x" s:mustUnderstand="{flag}"/></s:Header><s:Body><a/></s:Body>')
    with pytest.raises(InvalidMessage, match="y is not understood") as caught:
        soap.unwrap(octets)
    assert caught.value.fault_code == "MustUnderstand"
    assert soap.unwrap(octets, understood=frozenset({"{urn:x}y"})).tag == "a"


def test_a_header_that_need_not_be_understood() -> None:
    octets = envelope('<s:Header><x:y xmlns:x="urn:x" s:mustUnderstand="0"/><z/></s:Header><s:Body><a/></s:Body>')
    assert soap.unwrap(octets).tag == "a"


def test_faults() -> None:
    body = soap.unwrap(soap.fault("Client", "no \x00 good", etree.Element("why")))
    assert soap.is_fault(body)
    fault = soap.parse_fault(body)
    assert (fault.code, fault.text) == ("Client", "no \ufffd good")
    assert fault.detail is not None
    assert fault.detail.tag == "why"
    assert soap.parse_fault(soap.unwrap(envelope("<s:Body><s:Fault/></s:Body>"))) == soap.SoapFault("Server", "", None)
    with pytest.raises(InvalidMessage):
        soap.parse_fault(etree.Element("x"))

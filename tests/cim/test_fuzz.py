"""Whatever comes in, the only error that comes out is CimError, and the work stays small."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_cim import envelope, media, soap, wire, xml
from ami_cim.errors import CimError, InvalidMessage
from ami_cim.identity import EndDevice, Name
from ami_cim.limits import UNKNOWN_PEER
from ami_cim.message import FaultMessage, Reply, ReplyError, RequestMessage, ResponseMessage
from ami_cim.payloads.end_device_controls import EndDeviceControl, EndDeviceControls
from ami_cim.schema import Schemas

SCHEMAS = Schemas()
TYPED = envelope.typed_wrapper("create", "EndDeviceControls")
READERS: tuple[Callable[[bytes, Schemas], object], ...] = (wire.read_request, wire.read_delivery, wire.read_response)
PARSERS = (
    envelope.parse_request,
    envelope.parse_response,
    envelope.parse_event,
    envelope.parse_delivery,
    envelope.parse_fault,
    soap.parse_fault,
    soap.unwrap,
)
PIECES = [
    b"",
    b"<",
    b">",
    b"/",
    b'"',
    b"&",
    b"&#0;",
    b"]]>",
    b"<!--",
    b"<![CDATA[",
    b"<!DOCTYPE a>",
    b"\x00",
    b"\xff",
    b"<a/>",
]
PIECES += [
    b"Header",
    b"Reply",
    b"Payload",
    b"xmlns",
    b' xmlns=""',
    b"msg:",
    b"9" * 400,
    b"-",
    b"\xf0\x9f\x98\x80",
    b"&x;",
]
EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 60), st.sampled_from(PIECES) | st.binary(max_size=4)), max_size=5
)
MANY = settings(max_examples=examples(300), deadline=None)


@pytest.fixture(scope="module")
def samples(request_message: RequestMessage, response_message: ResponseMessage) -> list[bytes]:
    error = InvalidMessage("1.8", "no", wrapper=TYPED.text)
    return [
        wire.write_request(request_message, TYPED, SCHEMAS),
        wire.write_request(request_message, envelope.REQUEST_MESSAGE, SCHEMAS),
        wire.write_response(response_message, TYPED, SCHEMAS),
        wire.write_response(response_message, envelope.REQUEST_MESSAGE, SCHEMAS),
        wire.write_fault(error),
    ]


def test_the_samples_are_readable(samples: list[bytes]) -> None:
    request, generic, response, _, fault = samples
    assert wire.read_request(request, SCHEMAS).message == wire.read_request(generic, SCHEMAS).message
    assert wire.read_response(response, SCHEMAS)
    assert soap.is_fault(soap.unwrap(fault))


@MANY
@given(index=st.integers(0, 4), edits=EDITS)
def test_mutated_octets(samples: list[bytes], index: int, edits: list[tuple[float, int, bytes]]) -> None:
    octets = samples[index]
    for where, length, piece in edits:
        at = int(where * len(octets))
        octets = octets[:at] + piece + octets[at + length :]
    for read in READERS:
        with suppress(CimError):
            read(octets, SCHEMAS)


@MANY
@given(st.binary(max_size=200))
def test_random_octets(octets: bytes) -> None:
    for read in READERS:
        with pytest.raises(CimError):
            read(octets, SCHEMAS)


@MANY
@given(
    index=st.integers(0, 4),
    edits=st.lists(
        st.tuples(
            st.floats(0, 0.999), st.floats(0, 0.999), st.sampled_from(["drop", "copy", "rename", "retext", "empty"])
        ),
        max_size=6,
    ),
)
def test_mutated_trees_without_validation(
    samples: list[bytes], index: int, edits: list[tuple[float, float, str]]
) -> None:
    root = xml.parse(samples[index])
    for one, other, kind in edits:
        elements = [element for element in root.iter() if element is not root]
        if not elements:
            break
        element, second = elements[int(one * len(elements))], elements[int(other * len(elements))]
        parent = element.getparent()
        assert parent is not None
        if kind == "drop":
            parent.remove(element)
        elif kind == "copy":
            parent.append(deepcopy(second))
        elif kind == "rename":
            element.tag = second.tag
        elif kind == "retext":
            element.text = second.text
            element.attrib.update({"kind": "bogus", "ref": ""})
        else:
            element.clear()
    for element in (root, *root.iter("*")):
        for parse in PARSERS:
            with suppress(CimError):
                parse(element)


def test_a_thousand_devices_cost_little(request_message: RequestMessage) -> None:
    devices = tuple(EndDevice(mrid=f"id-{number}", names=(Name(name=f"M{number}"),)) for number in range(1000))
    controls = EndDeviceControls((EndDeviceControl(control_type="3.31.0.23", end_devices=devices),))
    message = replace(request_message, payload=controls)
    octets = wire.write_request(message, TYPED, SCHEMAS)
    started = time.process_time()
    assert wire.read_request(octets, SCHEMAS).message == message
    assert time.process_time() - started < 1  # some tens of milliseconds of the processor


def test_a_thousand_errors_cost_little(response_message: ResponseMessage) -> None:
    errors = tuple(ReplyError(code="4.1", reason=f"M{number} did not answer") for number in range(1000))
    message = replace(response_message, reply=Reply(result="FAILED", errors=errors))
    started = time.process_time()
    assert wire.read_response(wire.write_response(message, TYPED, SCHEMAS), SCHEMAS) == message
    assert time.process_time() - started < 1


def test_threads_do_not_mix_their_errors() -> None:
    """lxml keeps one error log per schema object; each refusal has to name its own problem."""

    def refusal(number: int) -> tuple[int, str]:
        bad = f"bad-{number}" if number % 3 else None
        reply = Reply(result="FAILED", errors=(ReplyError(code="1"),))
        element = envelope.format_fault(FaultMessage(reply=reply))
        if bad is not None:
            element[0][0].text = bad
        try:
            SCHEMAS.validate(element)
        except InvalidMessage as error:
            return number, error.reason
        return number, "valid"

    with ThreadPoolExecutor(8) as pool:
        for number, reason in pool.map(refusal, range(400)):
            assert (f"'bad-{number}'" in reason) if number % 3 else (reason == "valid")


# what the HTTP headers say, and what is counted before parsing

_PARAMETERS = ["charset", "charset*", "charset*0", "charset*0*", "charset*x", "boundary", "start"]
_VALUES = ["utf-8", '"utf-8"', "utf-8''utf-8", "'", '"', "%", "%zz", "latin1", "\u00e9", "a'b'c"]


@given(
    media_type=st.sampled_from(["text/xml", "multipart/related", "", "/", "text", "a/b/c"]) | st.text(max_size=20),
    parameters=st.lists(
        st.tuples(st.sampled_from(_PARAMETERS) | st.text(max_size=5), st.sampled_from(_VALUES) | st.text(max_size=8)),
        max_size=5,
    ),
    coding=st.sampled_from(["", "gzip", "x-gzip", "identity", "deflate"]) | st.text(max_size=10),
    octets=st.binary(max_size=100),
)
def test_any_headers_and_octets(media_type: str, parameters: list[tuple[str, str]], coding: str, octets: bytes) -> None:
    content_type = "; ".join([media_type, *(f"{name}={value}" for name, value in parameters)])
    headers = {"content-type": content_type, "content-encoding": coding}
    with suppress(CimError):
        octets, charset = media.content(octets, headers, UNKNOWN_PEER)
        xml.parse(octets, charset=charset)


@given(octets=st.binary(max_size=300), charset=st.none() | st.text(max_size=12))
def test_any_octets_with_any_charset(octets: bytes, charset: str | None) -> None:
    for start in (b"", b"<?xml version='1.0' encoding='latin1'?>", b"\xff\xfe", b"\xef\xbb\xbf<a>"):
        with suppress(CimError):
            xml.parse(start + octets, charset=charset)

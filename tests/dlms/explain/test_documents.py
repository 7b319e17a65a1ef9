"""Documents by hand: what may be left out, what is made anew, and what is told when a document cannot be encoded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_dlms import apdu, data
from ami_dlms.apdu.get import GetRequestNormal, GetResponseNormal
from ami_dlms.apdu.notify import DataNotification
from ami_dlms.apdu.set import SetRequestNormal
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataTag
from ami_dlms.errors import LocalError
from ami_dlms.explain import DecodingSession, document, explain, octets_of, part_of
from ami_dlms.obis import Obis

ROWS = json.loads((Path(__file__).parents[2] / "vectors" / "apdus.json").read_text())
CLOCK = AttributeDescriptor(8, Obis.parse("0-0:1.0.0*255"), 2)
DESCRIPTOR = {
    "name": "descriptor",
    "type": "attribute-descriptor",
    "parts": [
        {"name": "class_id", "type": "number", "value": 8},
        {"name": "instance_id", "type": "obis", "value": "0-0:1.0.0"},
        {"name": "attribute_id", "type": "number", "value": "2"},
    ],
}
INVOKE_ID = {"name": "invoke_id_and_priority", "type": "number", "value": "0xC1"}


def request(*parts: Any, name: str = "get_request_normal") -> Any:
    return {"name": name, "type": "apdu", "parts": list(parts)}


def encoded(shown: Any) -> Any:
    return apdu.decode(octets_of(part_of(shown)))


def shown_of(octets: bytes) -> Any:
    (tree,) = explain(octets, DecodingSession())
    return json.loads(json.dumps(document(tree)))


def test_optional_fields_and_everything_for_the_reader_may_be_left_out() -> None:
    assert encoded(request(INVOKE_ID, DESCRIPTOR)) == GetRequestNormal(0xC1, CLOCK)


def test_a_frame_by_hand() -> None:
    ports = [{"name": name, "type": "number", "value": value} for name, value in (("source", 1), ("destination", 16))]
    frame = {"name": "wrapper", "type": "wrapper", "parts": [*ports, request(INVOKE_ID, DESCRIPTOR)]}
    assert octets_of(part_of(frame)).hex() == "000100010010000dc001c100080000010000ff0200"


def test_an_edited_value_changes_counts_and_lengths() -> None:
    shown = shown_of(apdu.encode(GetResponseNormal(1, data.array(data.unsigned(1)))))
    result = next(part for part in shown["parts"] if part["name"] == "result")
    result["parts"] += [{"name": "element", "type": "octet-string", "value": "AB" * 200}]
    expected = data.array(data.unsigned(1), data.octet_string(b"\xab" * 200))
    assert encoded(shown) == GetResponseNormal(1, expected)


def test_a_date_time_may_be_written_in_iso_8601() -> None:
    shown = shown_of(apdu.encode(DataNotification(5, None, data.null())))
    shown["parts"][2] = {"name": "date_time", "type": "cosem-date-time", "value": "2026-07-01T14:30:00+02:00"}
    moment = CosemDateTime(2026, 7, 1, 3, 14, 30, 0, 0, -120, 0)
    assert encoded(shown) == DataNotification(5, moment, data.null())


def test_long_forms_come_back_short_and_say_the_same() -> None:
    long_form = bytes.fromhex("C4 01 C1 00 01 81 01 09 82 00 02 AB CD")
    shown = shown_of(long_form)
    again = octets_of(part_of(shown))
    assert again == bytes.fromhex("C4 01 C1 00 01 01 09 02 AB CD")
    assert apdu.decode(again) == apdu.decode(long_form)


@pytest.mark.parametrize("text", ["a\x00b", "line\nbreak", "\x1b[31m", "\x85"])
def test_a_text_that_xml_could_not_hold_stands_as_hex(text: str) -> None:
    value = GetResponseNormal(1, data.visible_string(text))
    shown = shown_of(apdu.encode(value))
    result = next(part for part in shown["parts"] if part["name"] == "result")
    assert "value" not in result
    assert encoded(shown) == value


def test_numbers_that_are_none_have_a_spelling() -> None:
    value = Data(DataTag.FLOAT64, float("-inf"))
    assert encoded(shown_of(apdu.encode(GetResponseNormal(1, value)))).result == value


def test_unused_elements_of_acse_are_dropped() -> None:
    octets = bytes.fromhex("60 0F A1 09 06 07 60 85 74 05 08 01 01 A5 02 02 00")
    assert octets_of(part_of(shown_of(octets))) == bytes.fromhex("60 0B A1 09 06 07 60 85 74 05 08 01 01")


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        ([], "each part of the document is an object with a name"),
        ({"name": 5}, "each part of the document is an object with a name"),
        ({"name": "x", "value": [1]}, "x: the value is a text"),
        ({"name": "x", "type": 5}, "x: type and hex are texts"),
        ({"name": "x"}, "x: '' cannot stand here"),
        (request(name="get_request"), "no APDU is called 'get_request'"),
        (request(INVOKE_ID), "get_request_normal: descriptor is missing"),
        (request(DESCRIPTOR), "get_request_normal: invoke_id_and_priority is missing"),
        (
            request({**INVOKE_ID, "value": "x"}, DESCRIPTOR),
            "get_request_normal.invoke_id_and_priority: 'x' is no number",
        ),
        (request({**INVOKE_ID, "value": 256}, DESCRIPTOR), "a value does not fit its field"),
        (request({**INVOKE_ID, "value": 1.5}, DESCRIPTOR), "1.5 is no number"),
        (request({**INVOKE_ID, "type": "octets", "value": "AB"}, DESCRIPTOR), "a value"),
        (request({**INVOKE_ID, "type": "nonsense"}, DESCRIPTOR), "no type 'nonsense'"),
        (request({"name": INVOKE_ID["name"], "type": "number", "hex": "zz"}, DESCRIPTOR), "the hex cannot be used"),
        (request({"name": INVOKE_ID["name"], "type": "number", "hex": "0101"}, DESCRIPTOR), "the hex cannot be used"),
        ({"name": "wrapper", "type": "wrapper", "parts": []}, "wrapper: source is missing"),
    ],
    ids=str,
)
def test_what_cannot_be_encoded_is_told(shown: Any, told: str) -> None:
    with pytest.raises(LocalError) as caught:
        octets_of(part_of(shown))
    assert told in str(caught.value)


def test_a_choice_of_no_such_type_is_told() -> None:
    shown = shown_of(apdu.encode(GetResponseNormal(1, data.unsigned(5))))
    next(part for part in shown["parts"] if part["name"] == "result")["type"] = "number"
    with pytest.raises(LocalError, match="no choice is of the type 'number'"):
        octets_of(part_of(shown))


def test_what_was_not_decoded_cannot_be_encoded() -> None:
    with pytest.raises(LocalError, match="it was not decoded, so it cannot be encoded"):
        octets_of(part_of(shown_of(bytes.fromhex("C001C1"))))


def test_a_document_without_end_is_refused() -> None:
    shown: Any = {"name": "x"}
    for _ in range(300):
        shown = {"name": "x", "parts": [shown]}
    with pytest.raises(LocalError, match="deeper than"):
        part_of(shown)


def test_a_value_of_thirty_levels_goes_both_ways() -> None:
    value = data.unsigned(1)
    for _ in range(30):
        value = data.structure(value)
    request_with_value = SetRequestNormal(1, CLOCK, None, value)
    assert encoded(shown_of(apdu.encode(request_with_value))) == request_with_value


def _every_part(shown: Any) -> list[Any]:
    return [shown, *(inner for part in shown.get("parts", []) for inner in _every_part(part))]


@pytest.mark.parametrize("octets", ["", "00000001"])
def test_a_counter_as_bare_octets_has_nothing_before_it(octets: str) -> None:
    shown = shown_of(bytes.fromhex("D80203"))
    shown["parts"][-1] |= {"type": "apdu", "hex": octets}
    if octets:
        with pytest.raises(LocalError):
            octets_of(part_of(shown))
    else:
        assert octets_of(part_of(shown)).hex() == "d80203"


@settings(max_examples=examples(400), deadline=None)
@given(st.data())
def test_any_change_of_a_document_is_encoded_or_refused(choose: st.DataObject) -> None:
    shown = shown_of(bytes.fromhex(choose.draw(st.sampled_from(ROWS))["hex"]))
    part = choose.draw(st.sampled_from(_every_part(shown)))
    key = choose.draw(st.sampled_from(["type", "value", "hex", "parts", "name"]))
    types = [one.get("type") for one in _every_part(shown)]
    plain = (
        st.none()
        | st.booleans()
        | st.integers(-300, 2**40)
        | st.text(max_size=5)
        | st.sampled_from(["", "00", "-1", "nan"])
    )
    part[key] = choose.draw(st.sampled_from(types) | plain | st.just([]) | st.just([{"name": "tag"}]))
    try:
        assert isinstance(octets_of(part_of(shown)), bytes)
    except LocalError as error:
        assert str(error)

"""What people read: names for numbers, in the words of the standard, wherever they are certain."""

from __future__ import annotations

import pytest

from ami_dlms import apdu, data
from ami_dlms.apdu.action import ActionRequestNormal
from ami_dlms.apdu.blocks import BlockControl, GeneralBlockTransfer
from ami_dlms.apdu.get import GetRequestNormal, GetResponseNormal
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.obis_names import describe
from ami_dlms.cosem.selection import CaptureObject, EntryDescriptor, RangeDescriptor
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataTag
from ami_dlms.explain import DecodingSession, Node, explain, nodes
from ami_dlms.explain.texts import text_of
from ami_dlms.obis import Obis

CLOCK = Obis.parse("0-0:1.0.0*255")


def read(octets: bytes) -> Node:
    (tree,) = explain(octets, DecodingSession())
    return tree


def texts(octets: bytes) -> dict[str, str]:
    return {node.name: node.text for node in nodes(read(octets))}


def test_a_request_in_words() -> None:
    said = texts(bytes.fromhex("C001C100080000010000FF0200"))
    assert said["get_request_normal"] == "get-request-normal: clock 0-0:1.0.0*255 time (class 8, attribute 2)"
    assert said["invoke_id_and_priority"] == "id 1, confirmed, high priority"
    assert said["class_id"] == "clock (8)"
    assert said["instance_id"] == "0-0:1.0.0*255, clock"
    assert said["attribute_id"] == "time (2)"
    assert said["selection"] == "absent"


def test_a_method_and_all_attributes() -> None:
    method = MethodDescriptor(70, Obis.parse("0-0:96.3.10*255"), 1)
    assert texts(apdu.encode(ActionRequestNormal(1, method)))["method_id"] == "remote_disconnect (1)"
    everything = GetRequestNormal(1, AttributeDescriptor(8, CLOCK, 0))
    assert texts(apdu.encode(everything))["attribute_id"] == "all attributes (0)"


def test_what_is_not_known_stays_a_number() -> None:
    said = texts(apdu.encode(GetRequestNormal(1, AttributeDescriptor(9999, Obis.parse("1-0:200.200.200*255"), 77))))
    assert said["class_id"] == "class 9999 (9999)"
    assert said["instance_id"] == "1-0:200.200.200*255"
    assert said["attribute_id"] == "attribute 77 (77)"


def test_rows_of_a_profile_in_words() -> None:
    load_profile = AttributeDescriptor(7, Obis.parse("1-0:99.1.0*255"), 2)
    entries = GetRequestNormal(1, load_profile, EntryDescriptor(5, 0, 1, 3).encode())
    assert texts(apdu.encode(entries))["selection"] == "rows 5 to the last, columns 1 to 3"
    start = data.octet_string(CosemDateTime(2026, 1, 15, 4, 12, 0, 0, 0, 0, 0).encode())
    clock = CaptureObject(8, CLOCK, 2)
    times = GetRequestNormal(1, load_profile, RangeDescriptor(clock, start, start).encode())
    assert texts(apdu.encode(times))["selection"] == (
        "rows whose 0-0:1.0.0*255, clock is from octet-string 2026-01-15 12:00:00.00 UTC+00:00, Thursday to "
        "octet-string 2026-01-15 12:00:00.00 UTC+00:00, Thursday, all columns"
    )


def test_the_association_in_words() -> None:
    aarq = bytes.fromhex(
        "6036A1090607608574050801018A0207808B0760857405080205AC0A80084B35366956616759BE10040E01000000065F1F0400007E1F04B0"
    )
    said = texts(aarq)
    assert said["application_context"] == "logical names, no ciphering (2.16.756.5.8.1.1)"
    assert said["mechanism"] == "HLS with GMAC (2.16.756.5.8.2.5)"
    assert said["calling_authentication_value"] == '"K56iVagY"'
    assert said["initiate_request"] == "initiate-request"
    assert said["conformance"].startswith("priority-mgmt-supported, attribute0-supported-with-get, block-transfer")
    aare = bytes.fromhex("6129A109060760857405080101A203020101A305A103020102BE10040E0800065F1F040000501F01F40007")
    said = texts(aare)
    assert said["result"] == "rejected-permanent (1)"
    assert said["diagnostic"] == "application-context-name-not-supported (acse-service-user 2)"


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (
            data.octet_string(bytes.fromhex("0100010800FF")),
            "octet-string 1-0:1.8.0*255, active energy import, time integral 1",
        ),
        (data.octet_string(b"AMI0000012345678"), 'octet-string "AMI0000012345678"'),
        (data.octet_string(b"\x00\x01"), "octet-string 2 octets"),
        (data.octet_string(bytes(12)), "octet-string 12 octets"),
        (data.visible_string("a\nb"), r"visible-string 'a\nb'"),
        (data.structure(data.integer(-3), data.enum(30)), "structure of 2: as scaler_unit, 10^-3 Wh"),
        (data.structure(data.integer(-3), data.enum(199)), "structure of 2"),
        (
            CaptureObject(8, CLOCK, 2).encode(),
            "structure of 4: as capture object, clock 0-0:1.0.0*255 time (class 8, attribute 2)",
        ),
        (data.bit_string((True, False)), "bit-string 10"),
        (data.boolean(True), "boolean true"),
        (data.null(), "null-data"),
        (Data(DataTag.DONT_CARE, None), "dont-care"),
        (data.float32(1.5), "float32 1.5"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_data_in_words(item: Data, text: str) -> None:
    assert text_of(item) == text
    assert texts(apdu.encode(GetResponseNormal(1, item)))["result"] == text


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (
            CosemDateTime(2026, 7, 1, 3, 14, 30, 0, 0, -120, 0x80),
            "2026-07-01 14:30:00.00 UTC+02:00, Wednesday, daylight saving",
        ),
        (
            CosemDateTime(2026, 7, 1, None, 14, 30, 0, None, 330, 0x03),
            "2026-07-01 14:30:00 UTC-05:30, invalid value, doubtful value",
        ),
        (CosemDateTime(), "????-??-?? ??:??:??, no clock status"),
        (CosemDateTime(2026, 1, 1, 9, 0, 0, 0, 0, None, 0), "2026-01-01 00:00:00.00, day of week 9"),
    ],
    ids=["summer", "west and doubtful", "nothing", "odd day"],
)
def test_times_in_words(moment: CosemDateTime, text: str) -> None:
    assert text_of(moment) == text


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("0-0:1.0.0*255", "clock"),
        ("0-1:24.2.3*255", "M-Bus value 3, channel 1"),
        ("0-0:40.0.0*255", "current association"),
        ("0-0:40.0.2*255", "association 2"),
        ("1-0:1.8.0*255", "active energy import, time integral 1"),
        ("1-0:2.8.3*255", "active energy export, time integral 1, rate 3"),
        ("1-0:1.8.0*12", "active energy import, time integral 1, billing period 12"),
        ("1-0:72.7.0*255", "voltage, L3, instantaneous value"),
        ("1-0:32.7.5*255", "voltage, L1, instantaneous value, E 5"),
        ("1-1:15.6.0*255", "active power, import and export added, maximum 1, channel 1"),
        ("1-0:91.7.0*255", "neutral current, instantaneous value"),
        ("1-0:94.7.0*255", ""),
        ("1-0:0.0.0*255", "electricity id 0"),
        ("7-1:3.0.0*255", "gas, channel 1"),
        ("0-0:200.0.0*255", ""),
        ("128-0:1.0.0*255", ""),
    ],
)
def test_obis_codes_in_words(code: str, name: str) -> None:
    assert describe(Obis.parse(code)) == name


def test_bits_of_other_fields() -> None:
    blocks = GeneralBlockTransfer(BlockControl(True, False, 5), 1, 0, b"")
    assert texts(apdu.encode(blocks))["block_control"] == "last block true, streaming false, window 5"
    notification = bytes.fromhex("0F C0000461 00 00")
    assert texts(notification)["long_invoke_id_and_priority"] == "id 1121, confirmed, high priority"

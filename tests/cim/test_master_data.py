"""MeterConfig, EndDeviceConfig, UsagePointConfig, MasterDataLinkageConfig and MeterServiceRequests: the same after a round trip, valid when written."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_cim import envelope, wire
from ami_cim.errors import InvalidMessage
from ami_cim.identity import Identified, Name, UsagePoint
from ami_cim.message import EventMessage, Header, RequestMessage
from ami_cim.payloads import Payload
from ami_cim.payloads.device_assets import DeviceAsset
from ami_cim.payloads.end_device_config import EndDeviceConfig, GetEndDeviceConfig
from ami_cim.payloads.master_data_linkage_config import GetMasterDataLinkageConfig, MasterDataLinkageConfig
from ami_cim.payloads.meter_config import GetMeterConfig, MeterConfig
from ami_cim.payloads.meter_readings import Reading
from ami_cim.payloads.meter_service_requests import (
    KINDS,
    MeterServiceRequests,
    MeterServiceWork,
    ServicedMeter,
    ServicedReadings,
)
from ami_cim.payloads.usage_point_config import GetUsagePointConfig, UsagePointAsset, UsagePointConfig
from ami_cim.schema import Schemas

NOW = datetime(2026, 3, 29, tzinfo=UTC)
SCHEMAS = Schemas()
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), min_size=1, max_size=8).map(str.strip).filter(bool)
OPTIONAL = st.none() | TEXT
DATE = st.none() | st.dates().map(str)
FLAG = st.none() | st.booleans()
NAME = st.builds(Name, name=TEXT) | st.builds(Name, name=TEXT, name_type=TEXT, authority=OPTIONAL)


def few(one: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(one, max_size=2).map(tuple)


NAMES = few(NAME)
IDENTIFIED = few(st.builds(Identified, mrid=OPTIONAL, names=NAMES))
DEVICES = few(
    st.builds(
        DeviceAsset,
        **dict.fromkeys(("mrid", "amr_system", "serial_number", "kind", "lan", "model"), OPTIONAL),
        **dict.fromkeys(("installed_on", "manufactured_on", "received_on", "removed_on"), DATE),
        names=NAMES,
    )
)
POINTS = few(
    st.builds(
        UsagePointAsset,
        **dict.fromkeys(("mrid", "outage_region", "read_cycle", "read_route", "remark"), OPTIONAL),
        is_sdp=FLAG,
        is_virtual=FLAG,
        phase_code=st.sampled_from([None, "A", "ABCN", "s12N"]),
        service=st.sampled_from([None, "electricity", "gas"]),
        names=NAMES,
    )
)
CODE = st.just("0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0")
MOMENT = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))
READINGS = few(
    st.builds(
        ServicedReadings,
        readings=few(
            st.builds(
                Reading,
                reading_type=CODE,
                value=st.decimals(0, 10, places=3).map(str),
                taken_at=MOMENT,
                reason=st.sampled_from([None, "removal", "installation"]),
            )
        ),
    )
)
SERVICED = st.builds(
    ServicedMeter, mrid=OPTIONAL, amr_system=OPTIONAL, serial_number=OPTIONAL, meter_readings=READINGS, names=NAMES
)
WORKS = few(
    st.builds(
        MeterServiceWork,
        kind=st.sampled_from([None, *KINDS]),
        priority=OPTIONAL,
        requested_at=st.none() | MOMENT,
        work_type=OPTIONAL,
        meter=SERVICED,
        old_meter=st.none() | SERVICED,
    )
)
PAYLOAD = st.one_of(
    st.builds(MeterServiceRequests, works=WORKS),
    st.builds(MeterConfig, devices=DEVICES),
    st.builds(EndDeviceConfig, devices=DEVICES),
    st.builds(UsagePointConfig, usage_points=POINTS),
    st.builds(
        MasterDataLinkageConfig,
        effective_at=st.none() | MOMENT,
        reason=OPTIONAL,
        **dict.fromkeys(("end_devices", "meters", "usage_points"), IDENTIFIED),
    ),
)
_GROUPS = dict.fromkeys(("end_device_groups", "usage_point_groups"), IDENTIFIED)
_AT = few(st.builds(UsagePoint, mrid=OPTIONAL, names=NAMES))
QUERY = st.one_of(
    st.builds(GetMeterConfig, devices=IDENTIFIED, usage_points=_AT, **_GROUPS),
    st.builds(GetEndDeviceConfig, devices=IDENTIFIED, usage_points=_AT, **_GROUPS),
    st.builds(GetUsagePointConfig, meters=IDENTIFIED, usage_points=IDENTIFIED, **_GROUPS),
    st.builds(
        GetMasterDataLinkageConfig,
        **dict.fromkeys(("end_devices", "meters", "usage_points"), IDENTIFIED),
        **_GROUPS,
    ),
)
FEW = settings(max_examples=examples(60), deadline=None)


def header(verb: str, of: Payload) -> Header:
    noun = type(of).__name__.removeprefix("Get")
    return Header(verb=verb, noun=noun, timestamp=NOW, message_id="m-1", correlation_id="c-1")


def written(message: RequestMessage, *, typed: bool = True) -> bytes:
    wrapper = envelope.typed_wrapper(message.header.verb, message.header.noun) if typed else envelope.REQUEST_MESSAGE
    return wire.write_request(message, wrapper, SCHEMAS)


@FEW
@given(PAYLOAD, st.sampled_from(envelope.REQUEST_VERBS), st.booleans())
def test_requests(payload: Payload, verb: str, typed: bool) -> None:
    message = RequestMessage(header=header(str(verb), payload), payload=payload)
    assert wire.read_request(written(message, typed=typed), SCHEMAS).message == message


@FEW
@given(PAYLOAD, st.sampled_from(envelope.EVENT_VERBS))
def test_events(payload: Payload, verb: str) -> None:
    message = EventMessage(header=header(str(verb), payload), payload=payload)
    octets = wire.write_event(message, envelope.typed_wrapper(verb, message.header.noun), SCHEMAS)
    assert wire.read_delivery(octets, SCHEMAS).message == message


@FEW
@given(QUERY, st.booleans())
def test_queries(query: Payload, typed: bool) -> None:
    message = RequestMessage(header=header("get", query), query=query)
    assert wire.read_request(written(message, typed=typed), SCHEMAS).message == message


def of(asset: DeviceAsset) -> bytes:
    payload = MeterConfig(devices=(asset,))
    return written(RequestMessage(header=header("create", payload), payload=payload))


def test_what_is_not_carried_is_reported_by_its_path() -> None:
    multiplier = b"<MeterMultipliers><kind>ctRatio</kind><value>40</value></MeterMultipliers><Names><name>M1</name>"
    octets = of(DeviceAsset(names=(Name(name="M1"),))).replace(b"<Names><name>M1</name>", multiplier)
    assert b"ctRatio" in octets
    payload = wire.read_request(octets, SCHEMAS).message.payload
    assert isinstance(payload, MeterConfig) and payload.unsupported == ("Meter/MeterMultipliers",)
    assert payload.devices == (DeviceAsset(names=(Name(name="M1"),)),)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<mRID>m</mRID>", b"<Mrid>m</Mrid>"),
        (b"2026-01-15", b"15.1.2026"),
        (b"<serialNumber>1</serialNumber>", b"<type>a</type><serialNumber>1</serialNumber>"),
        (b"<Names><name>M1</name></Names>", b"<Names/>"),
    ],
)
def test_what_the_schema_demands(old: bytes, new: bytes) -> None:
    asset = DeviceAsset(mrid="m", serial_number="1", installed_on="2026-01-15", names=(Name(name="M1"),))
    octets = of(asset)
    assert old in octets and wire.read_request(octets, SCHEMAS)
    with pytest.raises(InvalidMessage) as caught:
        wire.read_request(octets.replace(old, new), SCHEMAS)
    assert caught.value.code == "1.8"


def test_a_date_keeps_its_offset() -> None:
    asset = DeviceAsset(installed_on="2026-01-15+01:00")
    payload = wire.read_request(of(asset), SCHEMAS).message.payload
    assert isinstance(payload, MeterConfig) and payload.devices == (replace(asset),)

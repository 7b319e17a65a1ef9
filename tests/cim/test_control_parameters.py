"""Parameters of controls: an element of ours in Request, validated wherever it comes, and the same on both sides."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from lxml import etree

from ami_cim import envelope, wire
from ami_cim.control_parameters import (
    Day,
    DayPeriod,
    FirmwareImage,
    KeyChange,
    Limiter,
    LimiterEmergency,
    Season,
    SpecialDay,
    TimeOfUse,
    Week,
)
from ami_cim.errors import InvalidMessage
from ami_cim.identity import EndDevice
from ami_cim.message import Header, RequestMessage
from ami_cim.payloads.control_parameters import ControlParameters
from ami_cim.payloads.end_device_controls import EndDeviceControl, EndDeviceControls
from ami_cim.schema import Schemas
from ami_cim.transfer import read_request, write_answer

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
SCHEMAS = Schemas()
WRAPPERS = (envelope.REQUEST_MESSAGE, envelope.typed_wrapper("create", "EndDeviceControls"))
WEEK = Week(name="W", monday=1, tuesday=1, wednesday=1, thursday=1, friday=1, saturday=2, sunday=2)
EVERYTHING = ControlParameters(
    limiter=Limiter(threshold=Decimal("4600.5"), over_s=30, under_s=0),
    limiter_emergency=LimiterEmergency(threshold=Decimal(1000), duration_s=600, group=1, start_at=AT),
    time_of_use=TimeOfUse(
        name="NEW",
        activate_at=AT,
        seasons=(Season(name="S", start="--01-01", week="W"),),
        weeks=(WEEK,),
        days=(Day(day_id=1, periods=(DayPeriod(start="06:00", rate=1),)),),
        special_days=(SpecialDay(date="--12-25", day_id=1),),
    ),
    key_change=KeyChange(key="master"),
    firmware_image=FirmwareImage(identifier="fw-2"),
)


def message(parameters: ControlParameters) -> RequestMessage:
    header = Header(
        verb="create", noun="EndDeviceControls", timestamp=AT, message_id="m", correlation_id="m", source="CIS"
    )
    one = EndDeviceControl(control_type="3.31.139.26", end_devices=(EndDevice(mrid="1"),))
    return RequestMessage(header=header, query=parameters, payload=EndDeviceControls((one,)))


@pytest.mark.parametrize("wrapper", WRAPPERS, ids=["generic", "typed"])
def test_they_come_as_they_were_written(wrapper: etree.QName) -> None:
    octets = wire.write_request(message(EVERYTHING), wrapper, SCHEMAS)
    received = wire.read_request(octets, SCHEMAS)
    assert received.message == message(EVERYTHING)
    assert read_request(write_answer(received)).message == message(EVERYTHING)


@pytest.mark.parametrize("wrapper", WRAPPERS, ids=["generic", "typed"])
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (b"4600.5", b"-1"),
        (b"4600.5", b"NaN"),
        (b">06:00<", b">24:00<"),
        (b">--12-25<", b">--02-30<"),
        (b">NEW<", b">A name that is too long<"),
        (b">600<", b">4294967296<"),
        (b">master<", b">all<"),
        (b">fw-2<", b"><"),
        (b"<rate>1</rate>", b"<rate>1</rate><price>1</price>"),
    ],
)
def test_what_the_schema_does_not_let_in_is_refused(wrapper: etree.QName, right: bytes, wrong: bytes) -> None:
    octets = wire.write_request(message(EVERYTHING), wrapper, SCHEMAS)
    assert right in octets
    with pytest.raises(InvalidMessage) as refused:
        wire.read_request(octets.replace(right, wrong), SCHEMAS)
    assert refused.value.code == "1.8"


def test_two_of_them_are_refused() -> None:
    octets = wire.write_request(message(ControlParameters(limiter=EVERYTHING.limiter)), WRAPPERS[0], SCHEMAS)
    start = octets.index(b"<ControlParameters")
    one = octets[start : octets.index(b"</ControlParameters>") + len(b"</ControlParameters>")]
    with pytest.raises(InvalidMessage, match="twice"):
        wire.read_request(octets.replace(one, one + one), SCHEMAS)

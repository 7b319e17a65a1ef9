"""What all CIM tests share: compiled schemas, one sample of each message, a way to write XML by hand."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pytest

from ami_cim import ns
from ami_cim.identity import EndDevice, Identifier, Name
from ami_cim.message import Header, Reply, ReplyError, RequestMessage, ResponseMessage
from ami_cim.payloads.end_device_controls import EndDeviceControl, EndDeviceControls
from ami_cim.schema import Schemas

CONTROLS_NS = ns.payload("EndDeviceControls")
CONTROLS_MESSAGE_NS = ns.typed_message("EndDeviceControls")
NAMESPACES = (
    f'xmlns:typ="{CONTROLS_MESSAGE_NS}" xmlns:msg="{ns.MESSAGE}" xmlns:obj="{CONTROLS_NS}" xmlns:soap="{ns.SOAP}"'
)
HEADER = (
    "<msg:Verb>create</msg:Verb><msg:Noun>EndDeviceControls</msg:Noun><msg:Timestamp>2026-01-01T00:00:00Z</msg:Timestamp>"
    "<msg:MessageID>m-1</msg:MessageID><msg:CorrelationID>c-1</msg:CorrelationID>"
)

CONTROL = '<obj:EndDeviceControlType ref="3.31.0.23"/><obj:EndDevices><obj:mRID>M1001</obj:mRID></obj:EndDevices>'


@pytest.fixture(scope="session")
def schemas() -> Schemas:
    return Schemas()


@pytest.fixture(scope="session")
def create() -> Callable[..., bytes]:
    """A typed create request in SOAP, with what a test wants to be different."""

    def build(
        *,
        header: str = HEADER,
        control: str = CONTROL,
        payload: str | None = None,
        wrapper: str = "CreateEndDeviceControls",
        soap_header: str = "",
        before: str = '<?xml version="1.0"?>',
    ) -> bytes:
        inside = (
            f"<obj:EndDeviceControls><obj:EndDeviceControl>{control}</obj:EndDeviceControl></obj:EndDeviceControls>"
            if payload is None
            else payload
        )
        return (
            f"{before}<soap:Envelope {NAMESPACES}>{soap_header}<soap:Body><typ:{wrapper}><typ:Header>{header}</typ:Header>"
            f"<typ:Payload>{inside}</typ:Payload></typ:{wrapper}></soap:Body></soap:Envelope>"
        ).encode()

    return build


@pytest.fixture(scope="session")
def generic() -> Callable[..., bytes]:
    """A generic RequestMessage in SOAP."""

    def build(*, header: str = HEADER, rest: str = "", wrapper: str = "RequestMessage") -> bytes:
        return (
            f"<soap:Envelope {NAMESPACES}><soap:Body><msg:{wrapper}><msg:Header>{header}</msg:Header>{rest}"
            f"</msg:{wrapper}></soap:Body></soap:Envelope>"
        ).encode()

    return build


@pytest.fixture(scope="session")
def header() -> Header:
    return Header(
        verb="create",
        noun="EndDeviceControls",
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        message_id="m-1",
        correlation_id="c-1",
    )


@pytest.fixture(scope="session")
def request_message(header: Header) -> RequestMessage:
    devices = (EndDevice(mrid="id-1"), EndDevice(names=(Name(name="M1002"),)))
    return RequestMessage(
        header=header,
        payload=EndDeviceControls((EndDeviceControl(control_type="3.31.0.23", end_devices=devices),)),
    )


@pytest.fixture(scope="session")
def response_message(header: Header) -> ResponseMessage:
    unknown = ReplyError(
        code="2.4", reason="No such meter", identifier=Identifier(value="M9", kind="name", object_type="EndDevice")
    )
    return ResponseMessage(header=header, reply=Reply(result="PARTIAL", errors=(unknown,)))

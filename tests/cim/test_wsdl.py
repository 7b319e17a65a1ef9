"""A stranger's tool (zeep 4.3 in strict mode) reads every WSDL, from files and over HTTP, talks to us and reads our answers."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
import zeep
from lxml import etree
from zeep.exceptions import Fault

from ami_cim import envelope, ns, soap, wire, wsdl
from ami_cim.correlation import reply_header
from ami_cim.errors import CimError
from ami_cim.identity import Identifier
from ami_cim.message import EventMessage, FaultMessage, Reply, ReplyError, RequestMessage, ResponseMessage
from ami_cim.payloads.end_device_controls import EndDeviceControls
from ami_cim.schema import Schemas, schema_directory

CONTROLS_NS = ns.payload("EndDeviceControls")

OPERATIONS = {
    "ExecuteEndDeviceControls": [
        "CancelEndDeviceControls",
        "ChangeEndDeviceControls",
        "CloseEndDeviceControls",
        "CreateEndDeviceControls",
        "DeleteEndDeviceControls",
    ],
    "ReplyEndDeviceControls": [
        "CanceledEndDeviceControls",
        "ChangedEndDeviceControls",
        "ClosedEndDeviceControls",
        "CreatedEndDeviceControls",
        "DeletedEndDeviceControls",
    ],
    "GetMeterReadings": ["GetMeterReadings"],
    "ReplyMeterReadings": [
        "CanceledMeterReadings",
        "ChangedMeterReadings",
        "ClosedMeterReadings",
        "CreatedMeterReadings",
        "DeletedMeterReadings",
    ],
    "ExecuteMeterReadSchedule": [
        "CancelMeterReadSchedule",
        "ChangeMeterReadSchedule",
        "CloseMeterReadSchedule",
        "CreateMeterReadSchedule",
        "DeleteMeterReadSchedule",
    ],
    "GetMeterReadSchedule": ["GetMeterReadSchedule"],
    "ReplyMeterReadSchedule": [
        "CanceledMeterReadSchedule",
        "ChangedMeterReadSchedule",
        "ClosedMeterReadSchedule",
        "CreatedMeterReadSchedule",
        "DeletedMeterReadSchedule",
    ],
    "GetEndDeviceEvents": ["GetEndDeviceEvents"],
    "ReceiveEndDeviceEvents": [
        "CanceledEndDeviceEvents",
        "ChangedEndDeviceEvents",
        "ClosedEndDeviceEvents",
        "CreatedEndDeviceEvents",
        "DeletedEndDeviceEvents",
    ],
    "ReplyEndDeviceEvents": [
        "CanceledEndDeviceEvents",
        "ChangedEndDeviceEvents",
        "ClosedEndDeviceEvents",
        "CreatedEndDeviceEvents",
        "DeletedEndDeviceEvents",
    ],
    "ExecuteEndDeviceEventsOperationSet": ["ExecuteEndDeviceEventsOperationSet"],
    "ExecuteEndDeviceControlsOperationSet": ["ExecuteEndDeviceControlsOperationSet"],
    "ExecuteMeterReadingsOperationSet": ["ExecuteMeterReadingsOperationSet"],
    "ExecuteMeterReadScheduleOperationSet": ["ExecuteMeterReadScheduleOperationSet"],
    "Generic": ["PublishEvent", "Request", "Response"],
}
for _noun in ("MeterConfig", "EndDeviceConfig", "UsagePointConfig", "MasterDataLinkageConfig"):
    OPERATIONS |= {
        f"Execute{_noun}": [f"{verb}{_noun}" for verb in ("Cancel", "Change", "Close", "Create", "Delete")],
        f"Get{_noun}": [f"Get{_noun}"],
        f"Reply{_noun}": [f"{verb}{_noun}" for verb in ("Canceled", "Changed", "Closed", "Created", "Deleted")],
        f"Execute{_noun}OperationSet": [f"Execute{_noun}OperationSet"],
    }
OPERATIONS |= {
    "ExecuteMeterServiceRequests": [
        f"{verb}MeterServiceRequests" for verb in ("Cancel", "Change", "Close", "Create", "Delete")
    ],
    "ReplyMeterServiceRequests": [
        f"{verb}MeterServiceRequests" for verb in ("Canceled", "Changed", "Closed", "Created", "Deleted")
    ],
    "ExecuteMeterServiceRequestsOperationSet": ["ExecuteMeterServiceRequestsOperationSet"],
}
ROOTS = {
    name: name
    if name.startswith("Get") or name == "Generic"
    else name.removeprefix("Execute").removeprefix("Reply").removeprefix("Receive")
    for name in OPERATIONS
}
"""After what the port and the binding of each are named."""
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEADER = {
    "Verb": "create",
    "Noun": "EndDeviceControls",
    "Timestamp": NOW,
    "MessageID": "m-1",
    "CorrelationID": "c-1",
    "Property": [{"Name": "n", "Value": "v"}],
}
CONTROL = {
    "EndDeviceControlType": {"ref": "3.31.0.23"},
    "EndDevices": [{"mRID": "id-1"}, {"Names": [{"name": "M2"}]}],
    "primaryDeviceTiming": {"interval": {"start": NOW}},
}
UNKNOWN = ReplyError(
    code="2.4",
    reason="No such meter",
    identifier=Identifier(value="M2", kind="name", object_type="EndDevice"),
)


class Provider:
    """An HTTP server that gives out WSDL and schemas and answers with whatever `answer` says."""

    def __init__(self, schemas: Schemas) -> None:
        self.schemas = schemas
        self.requests: list[RequestMessage | ResponseMessage | EventMessage] = []
        self.actions: list[str] = []
        self.answer: Callable[[envelope.Received], bytes] = self.partial
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version: ClassVar[str] = "HTTP/1.1"

            def do_GET(self) -> None:
                provider.get(self)

            def do_POST(self) -> None:
                provider.post(self)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on the console."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.location = f"http://127.0.0.1:{self.server.server_address[1]}/cim"

    def get(self, handler: BaseHTTPRequestHandler) -> None:
        url = urlsplit(handler.path)
        query = parse_qs(url.query, keep_blank_values=True)
        name = query["xsd"][0] if "xsd" in query else url.path.rpartition("/")[2]
        self.send(handler, 200, wsdl.resolve(name, f"{self.location}/{url.path.rpartition('/')[2]}"))

    def post(self, handler: BaseHTTPRequestHandler) -> None:
        octets = handler.rfile.read(int(handler.headers["Content-Length"]))
        self.actions.append(handler.headers["SOAPAction"])
        try:
            if (
                handler.path.endswith("/ReplyEndDeviceControls")
                or b"ResponseMessage" in octets
                or b"EventMessage" in octets
            ):
                delivered = wire.read_delivery(octets, self.schemas)
                self.requests.append(delivered.message)
                answer = self.reply(delivered.message, delivered.wrapper, Reply(result="OK"))
            else:
                received = wire.read_request(octets, self.schemas)
                self.requests.append(received.message)
                answer = self.answer(received)
        except CimError as error:
            return self.send(handler, 500, wire.write_fault(error))
        return self.send(handler, 200, answer)

    def reply(self, message: Any, wrapper: etree.QName, reply: Reply) -> bytes:
        header = reply_header(message.header, message_id="r-1", timestamp=NOW, source="HES")
        return wire.write_response(ResponseMessage(header=header, reply=reply), wrapper, self.schemas)

    def partial(self, received: envelope.Received) -> bytes:
        reply = Reply(result="PARTIAL", errors=(UNKNOWN,), identifiers=(Identifier(value="t-1", kind="transaction"),))
        return self.reply(received.message, received.wrapper, reply)

    @staticmethod
    def send(handler: BaseHTTPRequestHandler, status: int, octets: bytes) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", soap.CONTENT_TYPE)
        handler.send_header("Content-Length", str(len(octets)))
        handler.end_headers()
        handler.wfile.write(octets)


@pytest.fixture
def provider(schemas: Schemas) -> Iterator[Provider]:
    provider = Provider(schemas)
    thread = threading.Thread(target=provider.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield provider
    provider.server.shutdown()
    thread.join()
    provider.server.server_close()


@pytest.fixture
def client(provider: Provider) -> Iterator[Callable[[str], Any]]:
    clients = []

    def connect(name: str) -> Any:
        client = zeep.Client(f"{provider.location}/{name}?wsdl", settings=zeep.Settings(strict=True))
        clients.append(client)
        return client

    yield connect
    for client in clients:
        client.transport.session.close()


def operations(client: Any) -> dict[str, list[str]]:
    return {
        f"{service.name}/{port.name}": sorted(port.binding._operations)
        for service in client.wsdl.services.values()
        for port in service.ports.values()
    }


def expected(name: str) -> dict[str, list[str]]:
    return {f"{name}/{ROOTS[name]}_Port": OPERATIONS[name]}


def test_all_wsdl_are_asserted_here() -> None:
    assert sorted(path.stem for path in (schema_directory() / "wsdl").glob("*.wsdl")) == sorted(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_from_the_files(name: str) -> None:
    client = zeep.Client(str(schema_directory() / "wsdl" / f"{name}.wsdl"), settings=zeep.Settings(strict=True))
    assert operations(client) == expected(name)


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_over_http(client: Callable[[str], Any], provider: Provider, name: str) -> None:
    loaded = client(name)
    assert operations(loaded) == expected(name)
    (port,) = next(iter(loaded.wsdl.services.values())).ports.values()
    assert port.binding_options["address"] == f"{provider.location}/{name}"


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_shape_of_each_wsdl(name: str) -> None:
    root = etree.parse(str(schema_directory() / "wsdl" / f"{name}.wsdl")).getroot()
    w = f"{{{ns.WSDL}}}"
    assert all(
        len(message) == 1 and message[0].get("name") == message.get("name") for message in root.iterfind(f"{w}message")
    )
    assert all(element.get("schemaLocation") for element in root.iter(f"{{{ns.XSD}}}import"))
    assert not [child for child in root if child.tag.startswith(f"{{{ns.XSD}}}")]
    for operation in root.find(f"{w}portType").iterfind(f"{w}operation"):  # type: ignore[union-attr]
        assert [child.tag.removeprefix(w) for child in operation] == ["input", "output", "fault"]
    actions = [element.get("soapAction") for element in root.iter(f"{{{ns.WSDL_SOAP}}}operation")]
    assert sorted(actions) == [ns.soap_action(ROOTS[name], operation) for operation in OPERATIONS[name]]


def test_every_document_resolves_with_address_and_imports() -> None:
    for name in wsdl.names():
        octets = wsdl.resolve(name, "http://h:1/cim/X")
        assert b"../xsd" not in octets
        for element in etree.fromstring(octets).iter(f"{{{ns.XSD}}}import"):
            assert element.get("schemaLocation", "").removeprefix("http://h:1/cim/X?xsd=") in wsdl.names()
    assert b'location="http://h:1/a?b=1&amp;c=&lt;"' in wsdl.resolve("Generic", "http://h:1/a?b=1&c=<")


@pytest.mark.parametrize("name", ["", "Nothing", "../xsd/Message.xsd", "/etc/passwd", "Generic.wsdl"])
def test_other_documents_do_not(name: str) -> None:
    with pytest.raises(CimError):
        wsdl.resolve(name, "http://h/")


def test_a_typed_request_and_its_partial_answer(client: Callable[[str], Any], provider: Provider) -> None:
    service = client("ExecuteEndDeviceControls").service
    answer = service.CreateEndDeviceControls(
        Header=HEADER, Payload={"EndDeviceControls": {"EndDeviceControl": [CONTROL]}}
    )
    (request,) = provider.requests
    assert isinstance(request, RequestMessage)
    assert request.header.properties[0].value == "v"
    assert isinstance(request.payload, EndDeviceControls)
    (control,) = request.payload.controls
    assert (control.control_type, control.start_at) == ("3.31.0.23", NOW)
    assert [(device.mrid, [name.name for name in device.names]) for device in control.end_devices] == [
        ("id-1", []),
        (None, ["M2"]),
    ]
    assert provider.actions == ['"http://iec.ch/TC57/2011/EndDeviceControls/CreateEndDeviceControls"']
    assert (answer.Header.Verb, answer.Header.CorrelationID, answer.Header.Timestamp) == ("reply", "c-1", NOW)
    assert answer.Reply.Result == "PARTIAL"
    (error,) = answer.Reply.Error
    assert (error.code, error.reason, error.ID._value_1, error.ID.kind) == ("2.4", "No such meter", "M2", "name")
    assert answer.Reply.ID[0]._value_1 == "t-1"


@pytest.mark.parametrize("verb", ["Change", "Cancel", "Close", "Delete"])
def test_the_other_requests(client: Callable[[str], Any], provider: Provider, verb: str) -> None:
    service = client("ExecuteEndDeviceControls").service
    header = {**HEADER, "Verb": verb.lower(), "AsyncReplyFlag": True, "ReplyAddress": "http://h/"}
    service[f"{verb}EndDeviceControls"](Header=header, Request={"ID": [{"_value_1": "t-1", "kind": "transaction"}]})
    (request,) = provider.requests
    assert isinstance(request, RequestMessage)
    assert request.request_identifiers == (Identifier(value="t-1", kind="transaction"),)
    assert (request.header.async_reply_flag, request.header.reply_address) == (True, "http://h/")


@pytest.mark.parametrize("verb", ["Created", "Changed", "Canceled", "Closed", "Deleted"])
def test_typed_events(client: Callable[[str], Any], provider: Provider, verb: str) -> None:
    service = client("ReplyEndDeviceControls").service
    answer = service[f"{verb}EndDeviceControls"](
        Header={**HEADER, "Verb": verb.lower()}, Payload={"EndDeviceControls": {"EndDeviceControl": [CONTROL]}}
    )
    assert answer.Reply.Result == "OK"
    (event,) = provider.requests
    assert isinstance(event, EventMessage)
    assert event.header.verb == verb.lower()


def test_the_generic_operations(
    client: Callable[[str], Any], provider: Provider, request_message: RequestMessage
) -> None:
    service = client("Generic").service
    typed = envelope.format_request(request_message, envelope.REQUEST_MESSAGE)
    noun = typed.find(f"{{{ns.MESSAGE}}}Payload/{{{CONTROLS_NS}}}EndDeviceControls")
    answer = service.Request(Header=HEADER, Payload={"_value_1": [noun]})
    assert answer.Reply.Result == "PARTIAL"
    answer = service.Response(
        Header={**HEADER, "Verb": "reply"}, Reply={"Result": "FAILED", "Error": [{"code": "4.1"}]}
    )
    assert answer.Reply.Result == "OK"
    answer = service.PublishEvent(Header={**HEADER, "Verb": "created"}, Payload={"_value_1": [noun]})
    assert answer.Reply.Result == "OK"
    request, response, event = provider.requests
    assert isinstance(request, RequestMessage)
    assert request.payload == request_message.payload
    assert isinstance(response, ResponseMessage)
    assert response.reply == Reply(result="FAILED", errors=(ReplyError(code="4.1"),))
    assert isinstance(event, EventMessage)
    assert event.payload == request_message.payload


def test_faults_arrive_typed(client: Callable[[str], Any]) -> None:
    loaded = client("ExecuteEndDeviceControls")
    with pytest.raises(Fault) as caught:
        loaded.service.CreateEndDeviceControls(Header={**HEADER, "Verb": "bogus"})
    assert "Verb" in str(caught.value)
    assert caught.value.code.endswith("Client")
    fault = loaded.wsdl.types.deserialize(caught.value.detail[0])
    assert (fault.Reply.Result, fault.Reply.Error[0].code) == ("FAILED", "1.8")
    assert type(fault).__name__ == "EndDeviceControlsFaultMessageType"


def test_faults_arrive_generic(client: Callable[[str], Any]) -> None:
    loaded = client("Generic")
    with pytest.raises(Fault) as caught:
        loaded.service.Request(Header={**HEADER, "Verb": "bogus"})
    fault = loaded.wsdl.types.deserialize(caught.value.detail[0])
    assert (fault.Reply.Result, fault.Reply.Error[0].level) == ("FAILED", "FATAL")


def test_every_field_of_an_answer_survives_zeep(client: Callable[[str], Any], provider: Provider) -> None:
    full = replace(UNKNOWN, details="d", level=None)

    def answer(received: envelope.Received) -> bytes:
        header = replace(
            reply_header(received.message.header, message_id="r", timestamp=NOW), comment="c", revision="1", context="x"
        )
        message = ResponseMessage(
            header=header, reply=Reply(result="OK", errors=(full,)), payload=received.message.payload
        )
        return wire.write_response(message, received.wrapper, provider.schemas)

    provider.answer = answer
    found = client("ExecuteEndDeviceControls").service.CreateEndDeviceControls(
        Header=HEADER, Payload={"EndDeviceControls": {"EndDeviceControl": [CONTROL]}}
    )
    assert (found.Header.Comment, found.Header.Revision, found.Header.Context) == ("c", "1", "x")
    assert found.Reply.Error[0].details == "d"
    control = found.Payload.EndDeviceControls.EndDeviceControl[0]
    assert control.EndDeviceControlType.ref == "3.31.0.23"
    assert control.primaryDeviceTiming.interval.start == NOW


def test_fault_messages_of_ours_are_valid(schemas: Schemas) -> None:
    message = FaultMessage(reply=Reply(result="FAILED", errors=(UNKNOWN,)))
    for wrapper in (None, envelope.REQUEST_MESSAGE, envelope.typed_wrapper("create", "EndDeviceControls")):
        schemas.validate(envelope.format_fault(message, wrapper))

"""The order and cardinality traps of the standard's schemas: each one refused or accepted exactly as a real schema would."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from lxml import etree

from ami_cim import ns, xml
from ami_cim.errors import InvalidMessage
from ami_cim.schema import Schemas

CONTROLS_NS = ns.payload("EndDeviceControls")
CONTROLS_MESSAGE_NS = ns.typed_message("EndDeviceControls")

Validate = Callable[[str], None]

NAMESPACES = f'xmlns="{ns.MESSAGE}" xmlns:typ="{CONTROLS_MESSAGE_NS}" xmlns:obj="{CONTROLS_NS}" xmlns:x="urn:x"'
HEADER = "<Header><Verb>reply</Verb><Noun>EndDeviceControls</Noun></Header>"
TYPED_HEADER = "<typ:Header><Verb>create</Verb><Noun>EndDeviceControls</Noun></typ:Header>"
TYPE = '<obj:EndDeviceControlType ref="3.31.0.23"/>'


@pytest.fixture
def validate(schemas: Schemas) -> Validate:
    def run(document: str) -> None:
        head, _, rest = document.partition(">")
        name = head.removesuffix("/")
        ending = "/>" if head.endswith("/") else ">"
        schemas.validate(xml.parse(f"{name} {NAMESPACES}{ending}{rest}".encode()))

    return run


def reply(inside: str) -> str:
    return f"<ResponseMessage>{HEADER}<Reply>{inside}</Reply></ResponseMessage>"


def header(inside: str) -> str:
    return f"<RequestMessage><Header><Verb>create</Verb><Noun>N</Noun>{inside}</Header></RequestMessage>"


def request(inside: str) -> str:
    return f"<RequestMessage>{HEADER}<Request>{inside}</Request></RequestMessage>"


def payload(inside: str) -> str:
    return f"<RequestMessage>{HEADER}<Payload>{inside}</Payload></RequestMessage>"


def control(inside: str) -> str:
    return f"<obj:EndDeviceControls><obj:EndDeviceControl>{inside}</obj:EndDeviceControl></obj:EndDeviceControls>"


def typed(inside: str) -> str:
    return (
        f"<typ:CreateEndDeviceControls>{TYPED_HEADER}<typ:Payload>{inside}</typ:Payload></typ:CreateEndDeviceControls>"
    )


ACCEPTED = {
    "reply in full order": reply(
        "<Result>PARTIAL</Result><Error><code>2.4</code><level>FATAL</level><reason>r</reason><details>d</details>"
        "<xpath>typ:Header</xpath><stackTrace>s</stackTrace>"
        "<Location><node>n</node><pipeline>p</pipeline><stage>s</stage></Location>"
        '<ID idType="t" idAuthority="a" kind="uuid" objectType="EndDevice">1</ID><relatedID>2</relatedID>'
        "<object><mRID>m</mRID><Name><name>n</name><NameType><name>t</name><description>d</description>"
        "<NameTypeAuthority><name>a</name><description>d</description></NameTypeAuthority></NameType></Name>"
        "<objectType>Meter</objectType></object><operationId>1</operationId></Error>"
        '<Error><code>CIM7001</code></Error><ID kind="transaction">t</ID><ID>u</ID><x:any/><operationId>7</operationId>'
    ),
    "header in full order": header(
        "<Revision>1</Revision><ReplayDetection><Nonce>n</Nonce><Created>2026-01-01T00:00:00Z</Created></ReplayDetection>"
        "<Context>a free text</Context><Timestamp>2026-01-01T00:00:00Z</Timestamp><Source>s</Source>"
        "<AsyncReplyFlag>true</AsyncReplyFlag><ReplyAddress>http://h/</ReplyAddress><AckRequired>0</AckRequired>"
        "<User><UserID>u</UserID><Organization>o</Organization></User><MessageID>m</MessageID>"
        "<CorrelationID>c</CorrelationID><Comment>c</Comment><Property><Name>n</Name><Value>v</Value></Property>"
        "<Property><Name>n</Name></Property><x:any/>"
    ),
    "header of two": header(""),
    "request in full order": request(
        "<StartTime>2026-01-01T00:00:00Z</StartTime><EndTime>2026-01-01T00:00:00Z</EndTime>"
        '<Option><name>n</name><value>v</value></Option><ID kind="other">i</ID><x:GetThing/>'
    ),
    "request of nothing": request(""),
    "payload with anything": payload("<x:y><x:z/></x:y><x:w/><Format>XML</Format>"),
    "payload with an operation set": payload(
        "<OperationSet><enforceMsgSequence>true</enforceMsgSequence>"
        "<enforceTransactionalIntegrity>true</enforceTransactionalIntegrity><Operation><operationId>1</operationId>"
        "<noun>EndDeviceControls</noun><verb>create</verb><elementOperation>false</elementOperation><x:y/></Operation>"
        "</OperationSet>"
    ),
    "payload compressed": payload("<Compressed>H4sI</Compressed><Format>XML</Format>"),
    "payload of IDs": payload("<ID>1</ID><ID>2</ID>"),
    "message of all": f"<Message>{HEADER}<Request/><Reply><Result>OK</Result></Reply><Payload/></Message>",
    "event without payload": f"<EventMessage>{HEADER}</EventMessage>",
    "fault is a reply alone": "<FaultMessage><Reply><Result>FAILED</Result></Reply></FaultMessage>",
    "control in full order": control(
        "<obj:mRID>1</obj:mRID><obj:drProgramLevel>1</obj:drProgramLevel><obj:drProgramMandatory>true</obj:drProgramMandatory>"
        "<obj:issuerID>i</obj:issuerID><obj:issuerTrackingID>t</obj:issuerTrackingID><obj:priceSignal>1.5</obj:priceSignal>"
        "<obj:reason>r</obj:reason><obj:PanDisplay><obj:command>c</obj:command>"
        "<obj:confirmationRequired>1</obj:confirmationRequired><obj:duration>1.0</obj:duration>"
        "<obj:durationIndefinite>0</obj:durationIndefinite><obj:priority>p</obj:priority>"
        "<obj:startDateTime>2026-01-01T00:00:00Z</obj:startDateTime>"
        f"<obj:textMessage>t</obj:textMessage><obj:transmissionMode>both</obj:transmissionMode></obj:PanDisplay>{TYPE}"
        "<obj:EndDeviceGroups><obj:mRID>g</obj:mRID></obj:EndDeviceGroups><obj:EndDevices><obj:mRID>m</obj:mRID>"
        "<obj:installCode>i</obj:installCode><obj:isPan>false</obj:isPan><obj:electronicAddress><obj:lan>l</obj:lan>"
        "</obj:electronicAddress><obj:Names><obj:name>n</obj:name><obj:NameType><obj:description>d</obj:description>"
        "<obj:name>t</obj:name><obj:NameTypeAuthority><obj:description>d</obj:description><obj:name>a</obj:name>"
        "</obj:NameTypeAuthority></obj:NameType></obj:Names></obj:EndDevices><obj:primaryDeviceTiming>"
        "<obj:duration>5.0</obj:duration><obj:durationIndefinite>0</obj:durationIndefinite>"
        "<obj:randomisation>startAndEnd</obj:randomisation><obj:interval><obj:end>2026-01-02T00:00:00Z</obj:end>"
        "<obj:start>2026-01-01T00:00:00Z</obj:start></obj:interval></obj:primaryDeviceTiming><obj:secondaryDeviceTiming/>"
        "<obj:UsagePointGroups><obj:mRID>g</obj:mRID></obj:UsagePointGroups><obj:UsagePoints><obj:mRID>u</obj:mRID></obj:UsagePoints>"
    ),
    "control type without ref is legal in the schema": control("<obj:EndDeviceControlType/>"),
    "demand response": control(
        "<obj:PanDemandResponse><obj:avgLoadAdjustment>1</obj:avgLoadAdjustment><obj:cancelControlMode>c</obj:cancelControlMode>"
        "<obj:cancelDateTime>2026-01-01T00:00:00Z</obj:cancelDateTime><obj:cancelNow>1</obj:cancelNow>"
        "<obj:coolingOffset>1</obj:coolingOffset><obj:coolingSetpoint>1</obj:coolingSetpoint>"
        "<obj:criticalityLevel>1</obj:criticalityLevel><obj:dutyCycle>1</obj:dutyCycle><obj:enrollmentGroup>1</obj:enrollmentGroup>"
        "<obj:heatingOffset>1</obj:heatingOffset><obj:heatingSetpoint>1</obj:heatingSetpoint><obj:appliance>"
        f"<obj:isElectricVehicle>1</obj:isElectricVehicle></obj:appliance></obj:PanDemandResponse>{TYPE}"
    ),
    "pricing": control(
        "<obj:PanPricing><obj:providerID>1</obj:providerID><obj:PanPricingDetails><obj:price>1.10</obj:price>"
        f"</obj:PanPricingDetails></obj:PanPricing>{TYPE}"
    ),
    "full control type beside the controls": (
        "<obj:EndDeviceControls><obj:EndDeviceControlType><obj:mRID>3.31.0.23</obj:mRID><obj:domain>31</obj:domain>"
        "<obj:Names><obj:name>RCDSwitch disconnect</obj:name></obj:Names></obj:EndDeviceControlType></obj:EndDeviceControls>"
    ),
    "typed payload": typed("<obj:EndDeviceControls/><typ:Format>XML</typ:Format>"),
    "typed payload with operation set": typed(
        "<obj:EndDeviceControls/><typ:OperationSet><Operation><operationId>1</operationId></Operation></typ:OperationSet>"
    ),
}

REFUSED = {
    # 1. order
    "error before result": reply("<Error><code>2.4</code></Error><Result>OK</Result>"),
    "id before error": reply("<Result>OK</Result><ID>1</ID><Error><code>1</code></Error>"),
    "operationId before any": reply("<Result>OK</Result><operationId>1</operationId><x:any/>"),
    "level before code": reply("<Result>OK</Result><Error><level>FATAL</level><code>1</code></Error>"),
    "details before reason": reply("<Result>OK</Result><Error><code>1</code><details/><reason/></Error>"),
    "stack trace before xpath": reply("<Result>OK</Result><Error><code>1</code><stackTrace/><xpath>a</xpath></Error>"),
    "two ids in one error": reply("<Result>OK</Result><Error><code>1</code><ID>1</ID><ID>2</ID></Error>"),
    "description before name in the envelope": reply(
        "<Result>OK</Result><Error><code>1</code><object><Name><name>n</name><NameType><description/><name>t</name></NameType>"
        "</Name></object></Error>"
    ),
    "no result": reply("<Error><code>1</code></Error>"),
    "no code": reply("<Result>FAILED</Result><Error><level>FATAL</level></Error>"),
    "unknown result": reply("<Result>WEIRD</Result>"),
    "unknown level": reply("<Result>OK</Result><Error><code>1</code><level>BAD</level></Error>"),
    "start before end": control(
        f"{TYPE}<obj:primaryDeviceTiming><obj:interval><obj:start>2026-01-01T00:00:00Z</obj:start>"
        "<obj:end>2026-01-01T00:00:00Z</obj:end></obj:interval></obj:primaryDeviceTiming>"
    ),
    "interval before duration": control(
        f"{TYPE}<obj:primaryDeviceTiming><obj:interval/><obj:duration>1</obj:duration></obj:primaryDeviceTiming>"
    ),
    "name before description in the payload": control(
        f"{TYPE}<obj:EndDevices><obj:Names><obj:name>n</obj:name><obj:NameType><obj:name>t</obj:name><obj:description/>"
        "</obj:NameType></obj:Names></obj:EndDevices>"
    ),
    "devices before type": control(f"<obj:EndDevices/>{TYPE}"),
    "devices before groups": control(f"{TYPE}<obj:EndDevices/><obj:EndDeviceGroups/>"),
    "reason before issuer": control(f"<obj:reason/><obj:issuerID/>{TYPE}"),
    "usage points before their groups": control(f"{TYPE}<obj:UsagePoints/><obj:UsagePointGroups/>"),
    "message id before user": header("<MessageID>1</MessageID><User><UserID>u</UserID></User>"),
    "correlation before message id": header("<CorrelationID>1</CorrelationID><MessageID>1</MessageID>"),
    "timestamp before context": header("<Timestamp>2026-01-01T00:00:00Z</Timestamp><Context>c</Context>"),
    "id before option": request("<ID>1</ID><Option><name>n</name></Option>"),
    "payload before header": f"<RequestMessage><Payload/>{HEADER}</RequestMessage>",
    # 2. Names are mandatory on full objects
    "full control type without names": (
        "<obj:EndDeviceControls><obj:EndDeviceControlType><obj:mRID>3.31.0.23</obj:mRID></obj:EndDeviceControlType>"
        "</obj:EndDeviceControls>"
    ),
    # 3. the control type is mandatory
    "no control type": control("<obj:EndDevices/>"),
    "two control types": control(TYPE + TYPE),
    "qualified ref": control(f'<obj:EndDeviceControlType xmlns:o="{CONTROLS_NS}" o:ref="3.31.0.23"/>'),
    "two actions": control(f"<obj:PanDisplay/><obj:PanPricing/>{TYPE}"),
    "a bare action": control(f"<obj:EndDeviceAction/>{TYPE}"),
    "no parameter list": control(f"{TYPE}<obj:EndDeviceControlAttribute/>"),
    # 4. any ##other takes no element of the envelope
    "own element in the any": reply("<Result>OK</Result><FaultMessage/>"),
    "operation set twice": payload("<OperationSet/><OperationSet/>"),
    # 6. xpath is a QName
    "a real xpath": reply("<Result>OK</Result><Error><code>1</code><xpath>/a/b[1]</xpath></Error>"),
    # 8. lax: a known namespace with a broken element
    "broken element of a known namespace in the header's any": header(
        f'<x:a/><y:schema xmlns:y="{ns.XSD}"><y:bogus/></y:schema>'
    )
    .replace("<x:a/>", "")
    .replace("y:schema", "Bogus"),
    # 9. spelling of the verbs
    "cancelled": header("").replace("create", "cancelled"),
    "capital verb": header("").replace("create", "Create"),
    "get in the noun's place": header("").replace("create", "getEndDeviceControls"),
    # 10. wrappers
    "minutes are a float": control(
        f"{TYPE}<obj:primaryDeviceTiming><obj:duration>PT5M</obj:duration></obj:primaryDeviceTiming>"
    ),
    "money is a decimal": control(
        f"<obj:PanPricing><obj:PanPricingDetails><obj:price>1e3</obj:price></obj:PanPricingDetails></obj:PanPricing>{TYPE}"
    ),
    "unknown kind of an id": request('<ID kind="meter">1</ID>'),
    "no unit kind of randomisation": control(
        f"{TYPE}<obj:primaryDeviceTiming><obj:randomisation>random</obj:randomisation></obj:primaryDeviceTiming>"
    ),
    # the namespaces of a typed message
    "header of the envelope's namespace in a typed message": typed("<obj:EndDeviceControls/>").replace(
        "typ:Header", "Header"
    ),
    "verb of the wrapper's namespace": typed("<obj:EndDeviceControls/>").replace(
        "<Verb>create</Verb>", "<typ:Verb>create</typ:Verb>"
    ),
    "payload of the envelope's namespace": typed("<obj:EndDeviceControls/>").replace("typ:Payload", "Payload"),
    "noun of the wrapper's namespace": typed("<typ:EndDeviceControls/>"),
    "typed payload without noun": typed(""),
    "typed payload compressed only": typed("<typ:Compressed>H4sI</typ:Compressed>"),
    "typed payload with format first": typed("<typ:Format>XML</typ:Format><obj:EndDeviceControls/>"),
    "event with a reply": (
        f"<typ:CreatedEndDeviceControls>{TYPED_HEADER}<typ:Reply><Result>FAILED</Result></typ:Reply></typ:CreatedEndDeviceControls>"
    ),
    "fault with a header": f"<FaultMessage>{HEADER}<Reply><Result>FAILED</Result></Reply></FaultMessage>",
    "response without reply": f"<ResponseMessage>{HEADER}</ResponseMessage>",
    "draft namespace": f'<m:RequestMessage xmlns:m="{ns.MESSAGE.replace("//", "//www.")}"/>',
    "no namespace": '<RequestMessage xmlns=""/>',
}


@pytest.mark.parametrize("document", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(validate: Validate, document: str) -> None:
    validate(document)


@pytest.mark.parametrize("document", REFUSED.values(), ids=REFUSED)
def test_refused(validate: Validate, document: str) -> None:
    if "xmlns" in document.partition(">")[0]:
        with pytest.raises(InvalidMessage) as bare:
            Schemas().validate(etree.fromstring(document))
        assert bare.value.code == "1.8"
        return
    with pytest.raises(InvalidMessage) as caught:
        validate(document)
    assert caught.value.code == "1.8"
    assert caught.value.reason.startswith("Line 1: ")


def test_generic_payloads_of_a_known_noun_are_checked(validate: Validate) -> None:
    validate(payload(control(TYPE)))
    with pytest.raises(InvalidMessage, match="EndDevices"):
        validate(payload(control("<obj:EndDevices/>")))


def test_the_error_names_line_and_element(schemas: Schemas) -> None:
    document = (
        f'<RequestMessage xmlns="{ns.MESSAGE}">\n<Header>\n<Verb>create</Verb>\n<Nun>x</Nun></Header></RequestMessage>'
    )
    with pytest.raises(InvalidMessage) as caught:
        schemas.validate(xml.parse(document.encode()))
    assert caught.value.reason.startswith("Line 4: ")
    assert "Nun" in caught.value.reason
    assert "{" not in caught.value.reason


def test_every_error_is_listed_up_to_a_number_in_message_and_payload(schemas: Schemas) -> None:
    wrong = "<EndDeviceControl>\n<reason/><mRID/></EndDeviceControl>"
    document = (
        f'<RequestMessage xmlns="{ns.MESSAGE}"><Header><Noun>x</Noun></Header><Payload>'
        f'<EndDeviceControls xmlns="{ns.payload("EndDeviceControls")}">{wrong * 3}</EndDeviceControls></Payload></RequestMessage>'
    )
    element = xml.parse(document.encode())
    flaws = schemas.flaws(element, 10)
    assert [flaw.line for flaw in flaws] == [1, 2, 3, 4]
    assert "Noun" in flaws[0].reason and "mRID" in flaws[1].reason and "{" not in flaws[1].reason
    assert schemas.flaws(element, 2) == flaws[:2]
    with pytest.raises(InvalidMessage) as caught:
        schemas.validate(element)
    assert caught.value.reason == f"Line 1: {flaws[0].reason}"


def test_a_long_value_does_not_come_back_in_the_error(schemas: Schemas) -> None:
    document = f'<FaultMessage xmlns="{ns.MESSAGE}"><Reply><Result>{"x" * 100_000}</Result></Reply></FaultMessage>'
    with pytest.raises(InvalidMessage) as caught:
        schemas.validate(xml.parse(document.encode()))
    assert len(str(caught.value)) < 1000


def test_the_hint_says_what_is_wrong_with_the_draft_namespace(schemas: Schemas) -> None:
    with pytest.raises(InvalidMessage, match="www"):
        schemas.validate(etree.Element(f"{{{ns.MESSAGE.replace('//', '//www.')}}}RequestMessage"))


def test_moments_in_the_header_are_checked(validate: Validate) -> None:
    validate(header(f"<Timestamp>{xml.format_datetime(datetime(2026, 1, 1, tzinfo=UTC))}</Timestamp>"))
    with pytest.raises(InvalidMessage):
        validate(header("<Timestamp>yesterday</Timestamp>"))

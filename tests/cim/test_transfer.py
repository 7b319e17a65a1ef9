"""Messages and errors between two processes: the same on the other side, and nothing but what they may be.

The strategies follow the types of the fields, so a field that is new is tried as well."""

import json
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import EnumMeta
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interval_values import interval_columns
from lxml import etree
from sizes import examples

from ami_cim import ns, reading, transfer, wire
from ami_cim.envelope import REQUEST_MESSAGE, Delivered, Received
from ami_cim.errors import CimError, InvalidMessage, LocalError, PeerFault
from ami_cim.limits import UNKNOWN_PEER, Limits
from ami_cim.message import Header, Reply, ResponseMessage
from ami_cim.nouns import ROOTS
from ami_cim.payloads import Payload
from ami_cim.payloads.interval_columns import IntervalColumns
from ami_cim.payloads.opaque import OpaquePayload
from ami_cim.quality import Quality
from ami_cim.schema import Schemas
from ami_cim.transfer import Kind, TransferError, TransferOrder

CONTROLS_NS = ns.payload("EndDeviceControls")

VECTORS = sorted((Path(__file__).parents[1] / "vectors/field/xml").iterdir())
KINDS: tuple[Kind, ...] = get_args(Kind)
SCHEMAS = Schemas()
MANY = settings(max_examples=examples(150), deadline=None)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=8),
    bool: st.booleans(),
    int: st.integers(0, 2**40),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False, places=3),
    bytes: st.text(max_size=20).map(str.encode),
    NoneType: st.none(),
    timedelta: st.timedeltas(min_value=-timedelta(days=36_525), max_value=timedelta(days=36_525)),
    datetime: (st.datetimes() | st.sampled_from([datetime.min, datetime.max])).map(
        lambda moment: moment.replace(tzinfo=UTC, fold=0)
    ),
    frozenset[str]: st.frozensets(st.text(max_size=8), max_size=2),
    etree.QName: st.sampled_from([REQUEST_MESSAGE, etree.QName("plain"), etree.QName("urn:\u00e4", "\u00e4")]),
}


def anything(hint: Any) -> st.SearchStrategy[Any]:
    """Every value of a type, with every field given; a payload is that of any noun, or of none."""
    if hint is Payload:
        return st.one_of(*(anything(root.shape.make) for root in ROOTS), anything(OpaquePayload))
    if hint is IntervalColumns:
        return interval_columns(PLAIN[str].filter(bool), PLAIN[datetime], anything(Quality))
    if is_dataclass(hint):
        hints = get_type_hints(hint)
        return st.builds(hint, **{field.name: anything(hints[field.name]) for field in fields(hint)})
    if isinstance(hint, EnumMeta):
        return st.sampled_from(hint)
    if get_origin(hint) is Literal:
        return st.sampled_from(get_args(hint))
    if get_origin(hint) in (Union, UnionType):
        return st.one_of(*(anything(one) for one in get_args(hint)))
    if get_origin(hint) is tuple:
        return st.lists(anything(get_args(hint)[0]), max_size=2).map(tuple)
    return PLAIN[hint]


def errors(kind: type[CimError]) -> st.SearchStrategy[CimError]:
    text, clark = st.text(max_size=8), st.none() | st.just(REQUEST_MESSAGE.text)
    if kind is LocalError:
        return st.builds(LocalError, text, st.none() | text)
    values: dict[str, Any] = {"fault_code": text} if issubclass(kind, InvalidMessage | PeerFault) else {}
    return st.builds(kind, code=text, reason=text, details=st.none() | text, wrapper=clark, **values)


def same(one: object, other: object) -> bool:
    """Equal, and of the same types, time zones included, which equality does not see."""
    return one == other and shown(one) == shown(other)


def shown(value: object) -> str:
    """The wrapper shows an address only, and a set has no order."""
    if isinstance(value, TransferOrder):
        return repr(replace(value, understood=frozenset()))
    return repr(value.message) if isinstance(value, Received | Delivered) else repr(value)


@MANY
@given(anything(Received))
def test_requests(received: Received) -> None:
    assert same(transfer.read_request(transfer.write_answer(received)), received)


@MANY
@given(anything(Delivered))
def test_deliveries(delivered: Delivered) -> None:
    assert same(transfer.read_delivery(transfer.write_answer(delivered)), delivered)


@MANY
@given(anything(ResponseMessage))
def test_responses(response: ResponseMessage) -> None:
    assert same(transfer.read_response(transfer.write_answer(response)), response)


@MANY
@given(anything(TransferOrder))
def test_orders(order: TransferOrder) -> None:
    assert same(transfer.read_order(transfer.write_order(order)), order)


@MANY
@given(st.sampled_from(list(transfer.ERRORS.values())).flatmap(errors), st.sampled_from(KINDS))
def test_errors(error: CimError, kind: Kind) -> None:
    assert told(raised(kind, transfer.write_answer(error))) == told(error)


def test_every_error_of_ours_is_in_the_table() -> None:
    def below(kind: type[CimError]) -> set[type[CimError]]:
        return {kind}.union(*(below(one) for one in kind.__subclasses__()))

    assert {kind for kind in below(CimError) if kind.__module__ == "ami_cim.errors"} == set(transfer.ERRORS.values())


def test_an_error_of_no_known_kind_is_not_written() -> None:
    class Other(CimError):
        pass

    with pytest.raises(KeyError):
        transfer.write_answer(Other("1.8", "other"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.name)
def test_messages_of_other_products_are_read_as_in_this_process(path: Path, kind: Kind) -> None:
    as_here(kind, path.read_bytes())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "inside",
    [
        "<obj:EndDeviceControls/>",
        '<obj:EndDeviceControls><obj:EndDeviceControl><obj:EndDeviceControlType ref="3.31.0.23"/><obj:EndDevices/>'
        "<obj:primaryDeviceTiming><obj:interval><obj:start>-0044-03-15T00:00:00+14:00</obj:start></obj:interval>"
        "</obj:primaryDeviceTiming></obj:EndDeviceControl></obj:EndDeviceControls>",
        '<CustomerConfig xmlns="http://iec.ch/TC57/2011/CustomerConfig#"><Customer a="&quot;\u00e4"/></CustomerConfig>',
        "<msg:ID>t-1</msg:ID>",
    ],
)
@pytest.mark.parametrize("wrapper", ["RequestMessage", "EventMessage", "ResponseMessage"])
def test_payloads_are_read_as_in_this_process(wrapper: str, inside: str, kind: Kind) -> None:
    verb = {"RequestMessage": "create", "EventMessage": "created", "ResponseMessage": "reply"}[wrapper]
    reply = "<msg:Reply><msg:Result>OK</msg:Result></msg:Reply>" if verb == "reply" else ""
    header = (
        f"<msg:Header><msg:Verb>{verb}</msg:Verb><msg:Noun>EndDeviceControls</msg:Noun>"
        "<msg:Timestamp>123456-01-01T00:00:00Z</msg:Timestamp></msg:Header>"
    )
    octets = (
        f'<soap:Envelope xmlns:soap="{ns.SOAP}" xmlns:msg="{ns.MESSAGE}" xmlns:obj="{CONTROLS_NS}"><soap:Body>'
        f"<msg:{wrapper}>{header}{reply}<msg:Payload>{inside}</msg:Payload></msg:{wrapper}></soap:Body></soap:Envelope>"
    ).encode()
    as_here(kind, octets)


def test_a_message_that_says_quotation_marks_alone_has_room() -> None:
    order = TransferOrder(kind="response", limits=UNKNOWN_PEER)
    for text in ('"' * 100_000, "\u00e4" * 100_000):
        header = Header(
            verb="reply",
            noun="EndDeviceControls",
            timestamp=datetime.min.replace(tzinfo=UTC),
            message_id="m",
            correlation_id="c",
            comment=text,
        )
        octets = wire.write_response(ResponseMessage(header=header, reply=Reply(result="OK")), REQUEST_MESSAGE, SCHEMAS)
        assert len(reading.read(transfer.write_order(order), octets)) < order.room(octets) < 1_000_000
    assert order.room(b"<Compressed>") == order.room(b"\x00" * 12) > 2 * UNKNOWN_PEER.unpacked


HEADER = {"verb": "create", "noun": "EndDeviceControls"}
REQUEST = {"request": {"header": HEADER}, "wrapper": "a"}
PICKLE = b"cos\nsystem\n(S'touch pickled'\ntR."


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        None,
        1,
        {"request": None, "wrapper": "a"},
        {"request": {"header": HEADER}},
        REQUEST | {"wrapper": "no name"},
        REQUEST | {"wrapper": "{urn:a}"},
        REQUEST | {"wrapper": 1},
        {"request": {}, "wrapper": "a"},
        {"request": {"header": HEADER | {"verb": None}}, "wrapper": "a"},
        {"request": {"header": HEADER | {"async_reply_flag": "true"}}, "wrapper": "a"},
        {"request": {"header": HEADER | {"timestamp": "2026-01-01T00:00:00"}}, "wrapper": "a"},
        {"request": {"header": HEADER | {"timestamp": "2026-01-01T00:00:00+01:00"}}, "wrapper": "a"},
        {"request": {"header": HEADER | {"timestamp": "10000-01-01T00:00:00Z"}}, "wrapper": "a"},
        {"request": {"header": HEADER | {"properties": {"name": "n"}}}, "wrapper": "a"},
        REQUEST | {"payload": {"EndDeviceControls": {"controls": [{}]}}},
        REQUEST | {"payload": {"EndDeviceControls": {"tag": "a"}}},
        REQUEST | {"payload": {"opaque": {"tag": "a", "octets": [1]}}},
        REQUEST | {"payload": {"opaque": {"octets": ""}}},
        REQUEST | {"payload": {"opaque": {"tag": "a"}, "EndDeviceControls": {}}},
        REQUEST | {"payload": {"Other": {}}},
        REQUEST | {"payload": {}},
        REQUEST | {"payload": "a"},
        REQUEST | {"query": "a"},
        {"request": {"header": HEADER, "payload": {"controls": []}}, "wrapper": "a"},
        {"response": {"header": HEADER, "reply": {"result": "GOOD"}}, "wrapper": "a"},
        {"error": {"kind": "SystemExit", "code": "1.8", "reason": "no"}},
        {"error": {"kind": "CimError", "code": "1.8"}},
        {"error": {"kind": "CimError", "code": "1.8", "reason": "no", "wrapper": "<a/>"}},
    ],
    ids=json.dumps,
)
def test_an_answer_that_is_none_is_refused(answer: object) -> None:
    for kind in KINDS:
        assert isinstance(raised(kind, json.dumps(answer).encode()), TransferError)


@pytest.mark.parametrize(
    "octets", [b"", b"\xff", b"{", b"[" * 100_000, b'{"request":' * 1_000, PICKLE, b'{"wrapper":"\\ud800"}']
)
def test_octets_that_are_no_answer_are_refused(octets: bytes) -> None:
    for kind in KINDS:
        assert isinstance(raised(kind, octets), TransferError)
    assert not Path("pickled").exists()


@given(
    st.binary(max_size=200)
    | st.dictionaries(
        st.sampled_from(["request", "response", "event", "error", "wrapper"]),
        st.text() | st.integers() | st.lists(st.none()),
    ).map(lambda value: json.dumps(value).encode())
)
def test_no_octets_do_anything_else(octets: bytes) -> None:
    for kind in KINDS:
        assert isinstance(raised(kind, octets), TransferError)


@pytest.mark.parametrize("name", ["properties", "controls"])
def test_of_much_nonsense_the_first_is_enough(name: str) -> None:
    nonsense = [{"name": 1}] * 200_000
    answer: dict[str, Any] = dict(REQUEST)
    if name == "properties":
        answer["request"] = {"header": HEADER | {name: nonsense}}
    else:
        answer["payload"] = {"EndDeviceControls": {name: nonsense}}
    error = raised("request", json.dumps(answer).encode())
    assert isinstance(error, TransferError)
    assert int((error.details or "").split()[0]) < 10


def test_what_cannot_be_used_blames_nobody_outside() -> None:
    error = raised("request", b"")
    assert b"<faultcode>SOAP-ENV:Client" not in wire.write_fault(error)
    assert (error.code, isinstance(error, InvalidMessage)) == ("5.2", False)


def test_an_order_that_is_none_is_refused() -> None:
    for octets in (b"", b"{}", b'{"kind":"request","limits":{"octets":"1"}}', b'{"kind":"other","limits":{}}'):
        with pytest.raises(ValueError, match="validation error"):
            transfer.read_order(octets)
    assert transfer.read_order(b'{"kind":"request","limits":{}}') == TransferOrder(kind="request", limits=Limits())


DECODERS = {"request": transfer.read_request, "delivery": transfer.read_delivery, "response": transfer.read_response}
READERS = {"request": wire.read_request, "delivery": wire.read_delivery, "response": wire.read_response}


def raised(kind: Kind, octets: bytes) -> CimError:
    with pytest.raises(CimError) as error:
        DECODERS[kind](octets)
    return error.value


def told(error: CimError) -> tuple[Any, ...]:
    return (
        type(error),
        str(error),
        error.code,
        error.reason,
        error.details,
        error.wrapper,
        getattr(error, "fault_code", None),
    )


def as_here(kind: Kind, octets: bytes) -> None:
    """What comes over is what the reader in this process gives or raises."""
    order = TransferOrder(kind=kind, limits=UNKNOWN_PEER)
    answer = reading.read(transfer.write_order(order), octets)
    assert len(answer) < order.room(octets)
    try:
        expected = READERS[kind](octets, SCHEMAS)
    except CimError as error:
        assert told(raised(kind, answer)) == told(error)
    else:
        assert same(DECODERS[kind](answer), expected)

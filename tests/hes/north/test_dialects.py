"""Partners that speak another dialect, over real sockets: what they send is understood as it is meant, and is answered as they write.

The messages are written after what is publicly known of each product; who asks without being configured so is refused."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from north_bench import DISCONNECT, GENERIC, SCHEMAS, Cis, mrid, north, texts
from reading_bench import AT, CODE, reads

from ami_cim import dialects, wire
from ami_cim.dialect_files import pack, packs
from ami_cim.dialects import ABSTRACT
from ami_cim.limits import UNKNOWN_PEER, Limits
from ami_cim.peers import Peer
from ami_cim.schema import schema_directory
from ami_cim.spoken import Speech, spoken
from ami_cim.spoken import late as spoken_late
from ami_hes.commands import Outcome
from ami_hes.operations.read_results import ReadSeries, ReadValues, number_of
from ami_hes.settings.partners import PartnerSettings
from ami_mapping.readings import COLUMNS

MESSAGE = "http://iec.ch/TC57/2011/schema/message"
QUARTERS = "0.0.2.4.1.1.12.0.0.0.0.0.0.0.0.3.72.0"
C4E = "http://iec.ch/TC57/CIM-c4e#"


def soap(body: str) -> bytes:
    envelope = "http://schemas.xmlsoap.org/soap/envelope/"
    return f'<S:Envelope xmlns:S="{envelope}"><S:Body>{body}</S:Body></S:Envelope>'.encode()


def header(verb: str, noun: str, more: str = "", source: str = "partner") -> str:
    name = str(uuid.uuid4())
    return (
        f"<m:Header><m:Verb>{verb}</m:Verb><m:Noun>{noun}</m:Noun><m:Timestamp>{AT.isoformat()}</m:Timestamp>"
        f"<m:Source>{source}</m:Source>{more}<m:MessageID>{name}</m:MessageID><m:CorrelationID>{name}</m:CorrelationID></m:Header>"
    )


def get(namespace: str = "http://iec.ch/TC57/2011/GetMeterReadings#", code: str = CODE, more: str = "") -> str:
    """The request of one meter's readings, with names before all else where a partner has them so."""
    return (
        f'{header("get", "MeterReadings", more)}<m:Request><GetMeterReadings xmlns="{namespace}"><EndDevice><Names><name>M1</name>'
        f"<NameType><name>meterID</name><NameTypeAuthority><name>com.company.assets</name></NameTypeAuthority></NameType></Names></EndDevice>"
        f"<ReadingType><Names><name>{code}</name></Names></ReadingType></GetMeterReadings></m:Request>"
    )


def control(namespace: str = "http://iec.ch/TC57/2011/EndDeviceControls#", names_first: bool = False) -> str:
    inside = [
        f'<EndDeviceControlType ref="{DISCONNECT}"/>',
        "<EndDevices><Names><name>M1</name></Names></EndDevices>",
    ]
    return (
        f'{header("create", "EndDeviceControls")}<m:Payload><EndDeviceControls xmlns="{namespace}"><EndDeviceControl>'
        f"{''.join(reversed(inside) if names_first else inside)}</EndDeviceControl></EndDeviceControls></m:Payload>"
    )


def bare(inside: str, message: str = MESSAGE) -> bytes:
    return soap(f'<m:RequestMessage xmlns:m="{message}">{inside}</m:RequestMessage>')


def in_operation(inside: str, child: str = ABSTRACT) -> bytes:
    prefix = "a" if child == ABSTRACT else "m"
    return soap(
        f'<a:Request xmlns:a="{ABSTRACT}" xmlns:m="{MESSAGE}"><{prefix}:message>{inside}</{prefix}:message></a:Request>'
    )


def typed(wrapper: str, namespace: str, inside: str) -> bytes:
    """A typed message: Header, Request and Payload in its own namespace."""
    for name in ("Header", "Payload"):
        inside = inside.replace(f"<m:{name}>", f"<{name}>").replace(f"</m:{name}>", f"</{name}>")
    return soap(f'<{wrapper} xmlns="{namespace}" xmlns:m="{MESSAGE}">{inside}</{wrapper}>')


def of(dialect: str, **more: Any) -> dict[str, Any]:
    return {"partners": (PartnerSettings(name="them", source="partner", dialect=dialect, **more),)}


def body_of(octets: bytes) -> etree._Element:
    return etree.fromstring(octets)[0][0]


def first_names(element: etree._Element, name: str) -> list[str]:
    """Local names of the children of the first element that is called so."""
    return [etree.QName(child).localname for child in next(element.iter(f"{{*}}{name}"))]


# forms and namespaces


@pytest.mark.parametrize("child", [ABSTRACT, MESSAGE])
async def test_a_message_in_its_operation_is_answered_in_the_operation(tmp_path: Path, child: str) -> None:
    async with north(tmp_path, reads(1, 1), **of("generic-operations")) as hes:
        for inside, noun in ((get(), "MeterReadings"), (control(), "EndDeviceControls")):
            answer = await hes.post(in_operation(inside, child), GENERIC)
            assert answer.status_code == 200, answer.text
            body = body_of(answer.content)
            assert (body.tag, [one.tag for one in body]) == (f"{{{ABSTRACT}}}Response", [f"{{{child}}}message"])
            read = wire.read_response(answer.content, SCHEMAS, Limits(dialect=pack("generic-operations")))
            assert (read.reply.result, read.header.noun) == ("OK", noun)
            assert texts(answer.content, "value") == (["0"] if noun == "MeterReadings" else [])


async def test_a_bare_message_of_the_same_partner_is_answered_bare(tmp_path: Path) -> None:
    async with north(tmp_path, reads(1, 1), **of("generic-operations")) as hes:
        for inside in (get(), control()):
            answer = await hes.post(bare(inside), GENERIC)
            assert body_of(answer.content).tag == f"{{{MESSAGE}}}ResponseMessage"
            assert texts(answer.content, "Result") == ["OK"]


@pytest.mark.parametrize(
    ("ours", "theirs", "answered"),
    [
        ("schema/message", "http://www.iec.ch/TC57/2011/schema/message", "ResponseMessage"),
        ("GetMeterReadings#", "http://iec.ch/TC57/2009/GetMeterReadings#", "MeterReadings"),
    ],
)
async def test_other_namespaces_are_answered_in_the_same(tmp_path: Path, ours: str, theirs: str, answered: str) -> None:
    octets = bare(get()).replace(f"http://iec.ch/TC57/2011/{ours}".encode(), theirs.encode())
    async with north(tmp_path, reads(1, 1), **of("other-namespaces")) as hes:
        answer = await hes.post(octets, GENERIC)
        assert texts(answer.content, "Result") == ["OK"]
        (found,) = body_of(answer.content).xpath(f"descendant-or-self::*[local-name()='{answered}']")
        assert etree.QName(found).namespace == theirs.replace("GetMeterReadings", "MeterReadings")
        read = wire.read_response(answer.content, SCHEMAS, Limits(dialect=pack("other-namespaces")))
        assert read.payload is not None and read.reply.result == "OK"


@pytest.mark.parametrize("year", ["2011", "2015", "2017"])
async def test_typed_messages_of_other_years_are_answered_in_theirs(tmp_path: Path, year: str) -> None:
    namespace = f"http://iec.ch/TC57/{year}/EndDeviceControlsMessage"
    async with north(tmp_path, **of("other-namespaces")) as hes:
        answer = await hes.post(typed("CreateEndDeviceControls", namespace, control()))
        assert body_of(answer.content).tag == f"{{{namespace}}}EndDeviceControlsResponseMessage"
        assert (texts(answer.content, "Result"), hes.meters.told()) == (["OK"], [("M1", DISCONNECT, False)])


@pytest.mark.parametrize("year", ["2015", "2017"])
async def test_a_typed_get_of_another_year_is_answered_in_it(tmp_path: Path, year: str) -> None:
    """Its Request is in the wrapper's namespace."""
    namespace = f"http://iec.ch/TC57/{year}/GetMeterReadingsMessage"
    inside = get().replace("<m:Request>", "<Request>").replace("</m:Request>", "</Request>")
    async with north(tmp_path, reads(1, 1), **of("other-namespaces")) as hes:
        answer = await hes.post(typed("GetMeterReadings", namespace, inside), "/cim/GetMeterReadings")
        assert body_of(answer.content).tag == f"{{{namespace}}}MeterReadingsResponseMessage"
        assert (texts(answer.content, "Result"), texts(answer.content, "value")) == (["OK"], ["0"])


@pytest.mark.parametrize(
    ("octets", "theirs", "expected"),
    [
        (in_operation(control()), ABSTRACT, MESSAGE),
        (bare(control(), "http://www.iec.ch/TC57/2011/schema/message"), "www.iec.ch", MESSAGE),
        (
            typed("CreateEndDeviceControls", "http://iec.ch/TC57/2017/EndDeviceControlsMessage", control()),
            "http://iec.ch/TC57/2017/EndDeviceControlsMessage",
            "http://iec.ch/TC57/2011/EndDeviceControlsMessage",
        ),
    ],
)
async def test_strict_is_the_default_and_names_both_namespaces_and_the_setting(
    tmp_path: Path, octets: bytes, theirs: str, expected: str
) -> None:
    """Also of a partner that is known and has no dialect."""
    async with north(tmp_path, **of("strict")) as hes:
        answer = await hes.post(octets, GENERIC)
        assert answer.status_code == 500 and texts(answer.content, "code") == ["1.8"]
        said = " ".join(texts(answer.content, "reason") + texts(answer.content, "details"))
        assert theirs in said and expected in said and "IEC 61968-100" in said and "dialect = " in said
        assert hes.meters.commands == []


async def test_what_a_stranger_sends_is_refused_where_a_partner_may_send_it(tmp_path: Path) -> None:
    octets = in_operation(control()).replace(b"<m:Source>partner<", b"<m:Source>stranger<")
    async with north(tmp_path, **of("generic-operations")) as hes:
        assert (await hes.post(octets, GENERIC)).status_code == 500
        assert hes.meters.commands == []


async def test_what_is_refused_is_refused_in_the_same_form(tmp_path: Path) -> None:
    octets = in_operation(control()).replace(DISCONNECT.encode(), b"9.9.9.9")
    async with north(tmp_path, **of("generic-operations")) as hes:
        answer = await hes.post(octets, GENERIC)
        assert (answer.status_code, body_of(answer.content).tag) == (200, f"{{{ABSTRACT}}}Response")
        assert texts(answer.content, "Result") == ["FAILED"] and hes.meters.commands == []


# products


def intervals() -> Outcome:
    """Two quarters of an hour."""
    at = number_of(AT)
    series = ReadSeries(QUARTERS, True, (at, at + 900_000), ("0.125", "0.5"), ((), ("2.5.259",)), (0, 1), at)
    return Outcome(True, payload=ReadValues((), (series,)).format())


def late(address: str) -> str:
    return f"<m:AsyncReplyFlag>true</m:AsyncReplyFlag><m:ReplyAddress>{address}</m:ReplyAddress>"


async def test_an_mdm_with_an_adk_adapter_gets_intervals_as_it_reads_them(tmp_path: Path) -> None:
    cis, stand_in = Cis(), reads(1, 1)
    stand_in.outcomes["M1"] = intervals()
    async with cis.serving(), north(tmp_path, stand_in, **of("oracle-adk-cim")) as hes:
        answer = await hes.post(in_operation(get(code=QUARTERS, more=late(cis.url))), GENERIC)
        assert texts(answer.content, "code") == ["0.3"], answer.text
        octets = await cis.taken.get()
    body = body_of(octets)
    assert (body.tag, [one.tag for one in body]) == (f"{{{ABSTRACT}}}Response", [f"{{{ABSTRACT}}}message"])
    assert first_names(body, "MeterReading") == ["Meter", "IntervalBlocks"]
    assert texts(octets, "NameType")[:1] and "meterID" in texts(octets, "name")
    assert texts(octets, "start") == ["2026-11-20T11:45:00Z", "2026-11-20T12:00:00Z"]
    assert texts(octets, "end") == texts(octets, "timeStamp") == ["2026-11-20T12:00:00Z", "2026-11-20T12:15:00Z"]
    assert texts(octets, "value") == ["0.125", "0.5"]
    delivered = wire.read_delivery(octets, SCHEMAS, Limits(dialect=pack("oracle-adk-cim"))).message
    assert delivered.payload is not None and delivered.header.correlation_id


async def test_its_answer_is_partial_where_a_meter_gave_nothing(tmp_path: Path) -> None:
    stand_in = reads(2, 1, failed=(2,))
    octets = in_operation(get()).replace(
        b"</EndDevice>", b"</EndDevice><EndDevice><Names><name>M2</name></Names></EndDevice>"
    )
    async with north(tmp_path, stand_in, **of("oracle-adk-cim")) as hes:
        answer = await hes.post(octets, GENERIC)
    assert (texts(answer.content, "Result"), texts(answer.content, "code")) == (["PARTIAL"], ["4.1"])
    assert texts(answer.content, "value") == ["0"]


async def test_its_own_order_is_taken_from_it_alone(tmp_path: Path) -> None:
    async with north(tmp_path, **of("oracle-adk-cim")) as hes:
        octets = bare(control(names_first=True))
        assert texts((await hes.post(octets, GENERIC)).content, "Result") == ["OK"]
        other = octets.replace(b"<m:Source>partner<", b"<m:Source>other<")
        answer = await hes.post(other, GENERIC)
        assert answer.status_code == 500 and "expected" in " ".join(texts(answer.content, "reason"))
        assert len(hes.meters.commands) == 1


async def test_one_namespace_for_all_payloads_names_first_and_one_code_of_success(tmp_path: Path) -> None:
    async with north(tmp_path, reads(1, 1), **of("sap-c4e")) as hes:
        answer = await hes.post(bare(get(C4E)), GENERIC)
        assert (texts(answer.content, "Result"), texts(answer.content, "code")) == (["OK"], ["0.0"])
        (payload,) = body_of(answer.content).iter("{*}MeterReadings")
        assert {etree.QName(one).namespace for one in payload.iter("*")} == {C4E}
        assert first_names(payload, "Meter")[0] == "Names"
        answer = await hes.post(bare(control(C4E)), GENERIC)
        assert (texts(answer.content, "Result"), texts(answer.content, "code")) == (["OK"], ["0.0"])
        failed = await hes.post(bare(control(C4E)).replace(b">M1<", b">M9<"), GENERIC)
        assert (texts(failed.content, "Result"), texts(failed.content, "code")) == (["FAILED"], ["2.4"])


@pytest.mark.parametrize("name", packs())
def test_a_dialect_is_the_same_both_ways(name: str) -> None:
    """Every sample of a payload, as the dialect has it, is read as the sample."""
    octets = (schema_directory() / "samples/MeterReadings-reply.xml").read_bytes()
    theirs = spoken(octets, spoken_late(pack(name)))
    found = wire.read_response(theirs, SCHEMAS, Limits(dialect=pack(name)))
    ours = wire.read_response(octets, SCHEMAS, UNKNOWN_PEER)
    assert found.header == ours.header and type(found.payload) is type(ours.payload)
    assert spoken(octets, Speech()) == octets


# the mapping of a partner


async def test_readings_are_asked_and_answered_in_the_codes_of_the_partner(tmp_path: Path) -> None:
    profile = tmp_path / "them.toml"
    profile.write_text('[switches]\ncommodity = "2"\n')
    theirs = CODE.replace(".1.1.12.", ".1.2.12.", 1)
    async with north(tmp_path, reads(1, 1), **of("strict", mapping=profile)) as hes:
        answer = await hes.post(bare(get(code=theirs)), GENERIC)
        assert texts(answer.content, "Result") == ["OK"]
        assert [one.get("ref") for one in etree.fromstring(answer.content).iter("{*}ReadingType")] == [theirs]
        asked = json.loads(hes.meters.commands[0].body)[0]
        assert asked == [CODE], "the meter is asked for what it means"


@pytest.mark.parametrize(
    ("text", "told"),
    [('[switches]\nday = "week"\n', "them.toml:2"), ("x = 1\n", "them.toml:1"), ("[switches\n", "line 1")],
)
def test_a_profile_with_a_fault_is_refused_when_the_settings_are_loaded(tmp_path: Path, text: str, told: str) -> None:
    profile = tmp_path / "them.toml"
    profile.write_text(text)
    with pytest.raises(ValueError, match=told):
        PartnerSettings(source="x", mapping=profile)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[reads]\nany_order = 1\n", r"own.toml:2: any_order: is true or false"),
        ("[reads]\n\n\nsome = true\n", r"own.toml:4: some: no such key"),
        ('[writes]\nlate_reply = "never"\n', r"own.toml:2: late_reply: is one of"),
        ("[namespaces]\npayload = 3\n", r"own.toml:2: payload: is a namespace"),
    ],
)
def test_a_dialect_with_a_fault_is_refused_with_file_and_line(tmp_path: Path, text: str, told: str) -> None:
    own = tmp_path / "own.toml"
    own.write_text(text)
    with pytest.raises(ValueError, match=told):
        PartnerSettings(source="x", dialect=str(own))
    with pytest.raises(ValueError, match="no such dialect; there are strict, generic-operations"):
        PartnerSettings(source="x", dialect="own")


def test_the_first_partner_that_fits_says_which_dialect() -> None:
    first, second = Peer(source="a", dialect=pack("sap-c4e")), Peer(source="a")
    body = etree.fromstring(bare(control()).replace(b"<m:Source>partner<", b"<m:Source>a<"))[0][0]
    assert dialects.dialect_of(body, Limits(peers=(first, second))).name == "sap-c4e"
    assert dialects.dialect_of(body, Limits(peers=(second, first))).name == "strict"


async def test_rows_of_a_partners_own_are_read_for_it_alone(tmp_path: Path) -> None:
    """The object is read by the partner's code; of everybody else the code is not known."""
    rows, own = tmp_path / "rows.csv", "0.0.0.1.0.1.12.0.0.0.0.0.0.0.0.m.72.0"
    cells = {"id": "P1", "obis": "1-0:128.8.0*255", "class_id": "3", "attribute": "2", "context": "register"}
    cells |= {"reading_type": own, "direction": "both", "confidence": "field", "decision": "M-125"}
    cells |= {"meaning": "energy of a maker's own", "source": "the partner"}
    line = ",".join(cells.get(name, "") for name in COLUMNS)
    rows.write_text(f"{','.join(COLUMNS)}\n{line}\n")
    asked = own.replace("m", "0")
    async with north(tmp_path, reads(1, 1), **of("strict", mapping_rows=rows)) as hes:
        assert texts((await hes.post(bare(get(code=asked)), GENERIC)).content, "Result") == ["OK"]
        assert json.loads(hes.meters.commands[0].body)[0] == [asked]
        other = bare(get(code=asked)).replace(b"<m:Source>partner<", b"<m:Source>other<")
        answer = await hes.post(other, GENERIC)
        assert (texts(answer.content, "Result"), texts(answer.content, "code")) == (["FAILED"], ["2.10"])


async def test_a_page_of_the_meters_that_are_named(tmp_path: Path) -> None:
    more = "".join(f"<EndDevice><mRID>{mrid(number)}</mRID></EndDevice>" for number in (2, 3))

    def page(*options: tuple[str, str]) -> bytes:
        said = "".join(
            f"<m:Option><m:name>{name}</m:name><m:value>{value}</m:value></m:Option>" for name, value in options
        )
        return bare(get().replace("</EndDevice>", f"</EndDevice>{more}").replace("<m:Request>", f"<m:Request>{said}"))

    async with north(tmp_path, reads(3, 1)) as hes:
        for options, meters in (
            ((("limit", "2"),), ["M1", "M2"]),
            ((("offset", "2"), ("limit", "2")), ["M3"]),
            ((), ["M1", "M2", "M3"]),
        ):
            answer = await hes.post(page(*options), GENERIC)
            found = [one.findtext("{*}Names/{*}name") for one in etree.fromstring(answer.content).iter("{*}Meter")]
            assert found == meters
        for options in ((("offset", "3"),), (("limit", "0"),), (("limit", "x"),)):
            answer = await hes.post(page(*options), GENERIC)
            assert (texts(answer.content, "Result"), texts(answer.content, "code")) == (["FAILED"], ["1.6"])


async def test_parts_have_as_many_meters_as_the_partner_takes(tmp_path: Path) -> None:
    cis = Cis()
    more = "".join(f"<EndDevice><mRID>{mrid(number)}</mRID></EndDevice>" for number in (2, 3))
    async with cis.serving(), north(tmp_path, reads(3, 1), **of("strict", meters_per_message=2)) as hes:
        octets = bare(get(more=late(cis.url)).replace("</EndDevice>", f"</EndDevice>{more}"))
        assert texts((await hes.post(octets, GENERIC)).content, "code") == ["0.3"]
        parts = [await cis.taken.get(), await cis.taken.get()]
    assert [(texts(one, "code"), len(list(etree.fromstring(one).iter("{*}Meter")))) for one in parts] == [
        (["0.1"], 2),
        (["0.2"], 1),
    ]

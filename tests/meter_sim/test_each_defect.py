"""Each defect as a client finds it over a real socket, and the same meter without it right in that: octets by hand, or our own client."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from bench import (
    CLIENT_TITLE,
    CLOCK,
    DEVICE_ID,
    IMPORT,
    PROFILE,
    START,
    Bench,
    Wire,
    attribute,
    gmac,
    gmac_client,
    method,
    misbehaving,
    setup,
)
from defect_line import (
    EXCEPTION,
    GENERAL_GLO,
    GET_RESPONSE,
    HEADER,
    ID,
    MANAGEMENT,
    PUBLIC,
    SERVER,
    Frames,
    Line,
    Scene,
    Secured,
    aarq,
    with_fields,
)

from ami_dlms import apdu, data
from ami_dlms.apdu.acse import Aare, Rlrq
from ami_dlms.apdu.action import ActionRequestNormal, ActionResponseNormal
from ami_dlms.apdu.ciphered import GeneralGloCiphering, ServiceCiphering
from ami_dlms.apdu.fields import AttributeItem, Block
from ami_dlms.apdu.get import (
    GetRequestNext,
    GetRequestNormal,
    GetRequestWithList,
    GetResponseWithDataBlock,
    GetResponseWithList,
)
from ami_dlms.apdu.initiate import InitiateResponse
from ami_dlms.apdu.set import (
    SetRequestNormal,
    SetRequestWithDataBlock,
    SetRequestWithFirstDataBlock,
    SetResponseDataBlock,
    SetResponseLastDataBlock,
    SetResponseNormal,
)
from ami_dlms.association import Get, Open, Opened
from ami_dlms.cosem.selection import CaptureObject, EntryDescriptor, RangeDescriptor
from ami_dlms.data import Data
from ami_dlms.datetimes import DAYLIGHT_SAVING_ACTIVE, CosemDateTime
from ami_dlms.enums import ActionResult, AssociationResult, Conformance, DataAccessResult, DataTag, Mechanism
from ami_dlms.framing import wrapper
from ami_dlms.framing.framing import WrapperPdu
from ami_dlms.framing.hdlc import FrameKind, control_of
from ami_dlms.framing.hdlc_parameters import LinkParameters, decode_parameters
from ami_dlms.framing.hdlc_segments import LLC_COMMAND
from ami_dlms.obis import Obis
from ami_dlms.security import ENCRYPTED
from ami_meter_sim.faults import FAULTS, Rule
from ami_meter_sim.faults.defects import DEFECTS
from ami_meter_sim.faults.defects.table import listed, page, rows
from ami_meter_sim.meter.communication import WRAPPER, HdlcProfile
from ami_meter_sim.meter.session import Session
from ami_meter_sim.meter.setup import ManagementAssociation, MeterSetup

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PLAN = ROOT / "services/conformance/src/ami_conformance/data/tests.csv"
PASSWORD = b"a password"
SHORT_PDU = 128
OBJECTS = attribute((15, "0-0:40.0.0"), 2)
ENERGY, BUFFER = attribute(IMPORT, 2), attribute(PROFILE, 2)
UNKNOWN = attribute((3, "1-0:99.99.99"), 2)
TIME = attribute(CLOCK, 2)
ZONE = attribute(CLOCK, 3)
QUARTER_S = 900
EXPORT_NAME, IMPORT_NAME = Obis.parse("1-0:2.8.0"), Obis.parse("1-0:1.8.0")
Probe = Callable[[Scene], Awaitable[bool]]
SNRM, DISC = control_of(FrameKind.SNRM), control_of(FrameKind.DISC)
GET_ENERGY = apdu.encode(GetRequestNormal(ID, ENERGY))
GET_TIME = apdu.encode(GetRequestNormal(ID, TIME))


def information(octets: bytes) -> bytes:
    return LLC_COMMAND + octets


def numbered(send_number: int, receive_number: int = 0) -> int:
    return control_of(FrameKind.I, True, receive_number, send_number)


# --- HDLC


async def takes_wrong_checks(scene: Scene) -> bool:
    frames = await scene.frames()
    good = frames.octets(SNRM)
    first = await frames.send(good[:-2] + bytes((good[-2] ^ 1,)) + good[-1:], frames.octets(DISC))
    return first.kind is FrameKind.UA


async def ignores_proposed_length(scene: Scene) -> bool:
    frames = await scene.frames()
    agreed = decode_parameters((await frames.send(frames.octets(SNRM, LinkParameters(64, 64).encode()))).information)
    return agreed.max_information_transmit > 64


async def answers_without_link(scene: Scene) -> bool:
    frames = await scene.frames()
    return (await frames.send(frames.octets(numbered(0), information(aarq())))).kind is FrameKind.I


async def acts_on_repeated_frame(scene: Scene) -> bool:
    frames = await scene.frames()
    await frames.send(frames.octets(SNRM))
    assert (await frames.send(frames.octets(numbered(0), information(aarq())))).kind is FrameKind.I
    return (await frames.send(frames.octets(numbered(0, 1), information(aarq())))).kind is FrameKind.I


async def misses_final_bit(scene: Scene) -> bool:
    frames = await scene.frames()
    await frames.send(frames.octets(SNRM))
    return not (await frames.send(frames.octets(numbered(0), information(aarq())))).final


async def association_outlives_link(scene: Scene) -> bool:
    frames = await scene.frames()
    await frames.send(frames.octets(SNRM))
    await frames.send(frames.octets(numbered(0), information(aarq())))
    await frames.send(frames.octets(SNRM))
    answer = await frames.send(frames.octets(numbered(0), information(GET_TIME)))
    return answer.information[3] == GET_RESPONSE


# --- wrapper


async def keeps_ports(scene: Scene) -> bool:
    line = await scene.line()
    line.say(aarq())
    header = await line.reader.readexactly(HEADER)
    return header[2:6] == bytes((0, PUBLIC, 0, SERVER))


async def takes_any_version(scene: Scene) -> bool:
    line = await scene.line()
    octets = wrapper.encode(WrapperPdu(PUBLIC, SERVER, aarq()))
    line.writer.write(b"\0\2" + octets[2:])
    return await line.reader.read(1) != b""


async def loses_joined_request(scene: Scene) -> bool:
    line = await scene.opened(PUBLIC)
    line.say(*(apdu.encode(GetRequestNormal(number, TIME)) for number in (1, 2)))
    assert (await line.hear())[2] == 1
    return (await line.ask(apdu.encode(GetRequestNormal(3, TIME))))[2] != 2


async def holds_lost_association(scene: Scene) -> bool:
    await (await scene.opened(PUBLIC)).close()
    answer = apdu.decode(await (await scene.line()).ask(aarq()))
    assert isinstance(answer, Aare)
    await scene.opened(PUBLIC)
    return answer.result is AssociationResult.REJECTED_TRANSIENT


# --- associations


async def answers_before_opening(scene: Scene) -> bool:
    """Also of a client with keys, whose association opens all the same afterwards."""
    line = await scene.line(MANAGEMENT)
    answer = await line.ask(GET_TIME)
    scene.counter += 1000
    opening = apdu.decode(await line.ask(gmac_client(scene.counter).send(Open())[HEADER:]))
    assert isinstance(opening, Aare) and opening.result is AssociationResult.ACCEPTED
    return answer[0] == GET_RESPONSE


async def answers_after_release(scene: Scene) -> bool:
    line = await scene.opened(PUBLIC)
    await line.ask(apdu.encode(Rlrq()))
    return (await line.ask(GET_TIME))[0] == GET_RESPONSE


async def agrees_to_more(scene: Scene) -> bool:
    answer = apdu.decode(await (await scene.line()).ask(aarq(Conformance.GET)))
    assert isinstance(answer, Aare) and answer.user_information is not None
    initiate = apdu.decode(answer.user_information)
    assert isinstance(initiate, InitiateResponse)
    return initiate.conformance != Conformance.GET


async def ignores_pdu_size(scene: Scene) -> bool:
    line = await scene.opened(size=SHORT_PDU)
    return len(await line.ask(apdu.encode(GetRequestNormal(ID, OBJECTS)))) > SHORT_PDU


async def compares_prefix(scene: Scene) -> bool:
    found = set()
    for given in (PASSWORD[:3], b"", b"another", PASSWORD):
        answer = apdu.decode(
            await (await scene.line(MANAGEMENT)).ask(aarq(mechanism=Mechanism.LOW, calling_authentication_value=given))
        )
        assert isinstance(answer, Aare)
        found |= {given} if answer.result is AssociationResult.ACCEPTED else set()
    assert PASSWORD in found and b"another" not in found
    return len(found) == 3


async def takes_short_challenge(scene: Scene) -> bool:
    scene.counter += 1000
    opening = gmac_client(scene.counter).send(Open())[HEADER:]
    answer = apdu.decode(
        await (await scene.line(MANAGEMENT)).ask(with_fields(opening, calling_authentication_value=b"7 octet"))
    )
    assert isinstance(answer, Aare)
    return answer.result is AssociationResult.ACCEPTED


async def repeats_challenge(scene: Scene) -> bool:
    challenges = set()
    for _ in range(2):
        scene.counter += 1000
        answer = apdu.decode(await (await scene.line(MANAGEMENT)).ask(gmac_client(scene.counter).send(Open())[HEADER:]))
        assert isinstance(answer, Aare)
        challenges.add(answer.responding_authentication_value)
    return len(challenges) == 1


# --- services


async def exception_for_unknown(scene: Scene) -> bool:
    answer = await (await scene.opened()).ask(apdu.encode(GetRequestNormal(ID, UNKNOWN)))
    return answer[0] == EXCEPTION


async def loses_invoke_id(scene: Scene) -> bool:
    return (await (await scene.opened()).ask(apdu.encode(GetRequestNormal(0xC5, TIME))))[2] != 0xC5


async def list_ends_at_error(scene: Scene) -> bool:
    items = tuple(AttributeItem(one) for one in (TIME, UNKNOWN, ENERGY))
    answer = apdu.decode(await (await scene.opened()).ask(apdu.encode(GetRequestWithList(ID, items))))
    assert isinstance(answer, GetResponseWithList)
    return len(answer.results) != 3


async def accepts_unknown_method(scene: Scene) -> bool:
    request = ActionRequestNormal(ID, method(CLOCK, 99), data.integer(0))
    answer = apdu.decode(await (await scene.opened()).ask(apdu.encode(request)))
    assert isinstance(answer, ActionResponseNormal)
    return answer.result is ActionResult.SUCCESS


async def written(line: Line, request: SetRequestNormal) -> DataAccessResult:
    answer = apdu.decode(await line.ask(apdu.encode(request)))
    assert isinstance(answer, SetResponseNormal)
    return answer.result


async def accepts_wrong_type(scene: Scene) -> bool:
    line = await scene.opened()
    said = await written(line, SetRequestNormal(ID, ZONE, None, data.octet_string(b"UTC")))
    assert await line.get(ZONE) == data.long(0)
    return said is DataAccessResult.SUCCESS


async def deaf_after_unreadable(scene: Scene) -> bool:
    line = await scene.opened()
    assert (await line.ask(b"\x01\x02"))[0] == EXCEPTION
    line.say(GET_TIME)
    return not await line.hears_anything()


# --- block transfer


async def first_block(scene: Scene) -> tuple[Line, GetResponseWithDataBlock]:
    line = await scene.opened(size=SHORT_PDU)
    return line, await block(line, apdu.encode(GetRequestNormal(ID, OBJECTS)))


async def block(line: Line, request: bytes) -> GetResponseWithDataBlock:
    answer = apdu.decode(await line.ask(request))
    assert isinstance(answer, GetResponseWithDataBlock)
    return answer


async def counts_blocks_from_zero(scene: Scene) -> bool:
    line, first = await first_block(scene)
    second = await block(line, apdu.encode(GetRequestNext(ID, first.block_number)))
    assert isinstance(second.result, bytes) and second.block_number == first.block_number + 1
    return first.block_number == 0


async def takes_any_block_number(scene: Scene) -> bool:
    line, _ = await first_block(scene)
    return isinstance((await block(line, apdu.encode(GetRequestNext(ID, 7)))).result, bytes)


async def ends_without_last_block(scene: Scene) -> bool:
    line, last = await first_block(scene)
    while not last.last_block and isinstance(last.result, bytes):
        last = await block(line, apdu.encode(GetRequestNext(ID, last.block_number)))
    return not isinstance(last.result, bytes)


async def empty_block_without_transfer(scene: Scene) -> bool:
    answer = await block(await scene.opened(), apdu.encode(GetRequestNext(ID, 1)))
    return answer.result == b""


async def joins_set_with_gap(scene: Scene) -> bool:
    line = await scene.opened()
    before = await line.get(ZONE)
    assert isinstance(before, Data)
    wanted = data.long(before.value - 30)
    value = data.encode(wanted)
    first = SetRequestWithFirstDataBlock(ID, ZONE, None, Block(False, 1, value[:1]))
    assert isinstance(apdu.decode(await line.ask(apdu.encode(first))), SetResponseDataBlock)
    answer = apdu.decode(await line.ask(apdu.encode(SetRequestWithDataBlock(ID, Block(True, 3, value[1:])))))
    assert isinstance(answer, SetResponseLastDataBlock)
    assert (await line.get(ZONE) == wanted) is (answer.result is DataAccessResult.SUCCESS)
    return answer.result is DataAccessResult.SUCCESS


# --- profiles


async def profile(scene: Scene, selection: RangeDescriptor | EntryDescriptor | None = None) -> tuple[Data, ...]:
    buffer = await (await scene.opened()).get(BUFFER, None if selection is None else selection.encode())
    assert isinstance(buffer, Data)
    found: tuple[Data, ...] = buffer.value
    return found


def last_hour(scene: Scene, deviation: int = 0) -> RangeDescriptor:
    def end(moment: datetime) -> Data:
        local = CosemDateTime.from_datetime(moment - timedelta(minutes=deviation))
        return data.octet_string(replace(local, deviation_minutes=deviation).encode())

    clock = CaptureObject(8, Obis.parse("0-0:1.0.0"), 2)
    return RangeDescriptor(clock, end(scene.bench.at - timedelta(minutes=50)), end(scene.bench.at))


def time_of(row: Data) -> datetime:
    return CosemDateTime.decode(row.value[0].value).to_datetime()


async def ignores_range(scene: Scene) -> bool:
    return len(await profile(scene, last_hour(scene))) != 4


async def ignores_columns(scene: Scene) -> bool:
    return len((await profile(scene, EntryDescriptor(1, 1, 3, 3)))[0].value) != 1


async def counts_entries_from_zero(scene: Scene) -> bool:
    return await profile(scene, EntryDescriptor(1, 2)) != (await profile(scene))[:2]


async def range_ignores_deviation(scene: Scene) -> bool:
    return await profile(scene, last_hour(scene)) != await profile(scene, last_hour(scene, -120))


async def profile_unlike_register(scene: Scene) -> bool:
    shown = await (await scene.opened()).get(ENERGY)
    assert isinstance(shown, Data)
    return bool((await profile(scene))[-1].value[2].value != shown.value)


async def row_of_the_future(scene: Scene) -> bool:
    """Whether all rows are read, or the last of those in use."""
    used = await (await scene.opened()).get(attribute(PROFILE, 7))
    assert isinstance(used, Data)
    (last,) = await profile(scene, EntryDescriptor(used.value, used.value))
    assert (await profile(scene))[-1] == last and len(await profile(scene)) == used.value
    return time_of(last) > scene.bench.at


async def rows_off_the_grid(scene: Scene) -> bool:
    return {time_of(row).timestamp() % QUARTER_S for row in await profile(scene)} != {0}


async def lists_columns_in_other_order(scene: Scene) -> bool:
    line = await scene.opened()
    listed_columns, shown = await line.get(attribute(PROFILE, 3)), await line.get(ENERGY)
    assert isinstance(listed_columns, Data) and isinstance(shown, Data)
    names = [CaptureObject.decode(one).logical_name for one in listed_columns.value]
    assert {EXPORT_NAME, IMPORT_NAME} < set(names)
    return bool((await profile(scene))[-1].value[names.index(IMPORT_NAME)].value != shown.value)


# --- access rights


async def list_grants_too_much(scene: Scene) -> bool:
    line = await scene.opened()
    objects = await line.get(OBJECTS)
    assert isinstance(objects, Data)
    results = set()
    for one in objects.value:
        class_id, _, name, (_, (rights, _)) = one.value
        if class_id.value == PROFILE[0]:
            continue
        for right in rights.value:
            if right.value[1].value & 1:
                result = await line.get(attribute((class_id.value, str(Obis(name.value))), right.value[0].value))
                results |= {result} if isinstance(result, DataAccessResult) else set()
    return DataAccessResult.READ_WRITE_DENIED in results


async def writes_without_right(scene: Scene) -> bool:
    line, name = await scene.opened(), attribute(DEVICE_ID, 2)
    said = await written(line, SetRequestNormal(ID, name, None, data.octet_string(b"mine")))
    assert (await line.get(name) == data.octet_string(b"mine")) is (said is DataAccessResult.SUCCESS)
    return said is DataAccessResult.SUCCESS


async def public_reads_all(scene: Scene) -> bool:
    return isinstance(await (await scene.opened(PUBLIC)).get(ENERGY), Data)


# --- security


async def takes_used_counter(scene: Scene) -> bool:
    client = await scene.secured()
    request = client.protected(Get(TIME))
    assert (await client.line.ask(request))[0] == GENERAL_GLO
    return (await client.line.ask(request))[0] == GENERAL_GLO


async def forgets_counter(scene: Scene) -> bool:
    client = await scene.secured()
    recorded = client.protected(Get(TIME))
    assert (await client.line.ask(recorded))[0] == GENERAL_GLO
    assert (await client.line.ask(recorded))[0] == EXCEPTION, "on the same connection it is refused"
    used = scene.counter
    again = await scene.secured(used)
    scene.counter += 1000
    return isinstance(again.opening, Opened)


async def ignores_tag(scene: Scene) -> bool:
    client = await scene.secured()
    request = client.protected(Get(TIME))
    return (await client.line.ask(request[:-1] + bytes((request[-1] ^ 1,))))[0] == GENERAL_GLO


async def takes_clear_requests(scene: Scene) -> bool:
    return (await (await scene.secured()).line.ask(GET_TIME))[0] != EXCEPTION


async def answers_unencrypted(scene: Scene) -> bool:
    """Its InitiateResponse as well: a client that checks it goes no further."""
    scene.counter += 1000
    answer = apdu.decode(await (await scene.line(MANAGEMENT)).ask(gmac_client(scene.counter).send(Open())[HEADER:]))
    assert isinstance(answer, Aare) and answer.user_information is not None
    held = apdu.decode(answer.user_information)
    assert isinstance(held, ServiceCiphering)
    return not held.content[0] & ENCRYPTED


async def answers_under_clients_title(scene: Scene) -> bool:
    """The answer to the proof of HLS is the first one."""
    scene.counter += 1000
    client = Secured(await scene.line(MANAGEMENT), gmac_client(scene.counter))
    client.heard(await client.line.ask(client.protected(Open())))
    answer = apdu.decode(await client.line.ask(client.connection.data_to_send()[HEADER:]))
    assert isinstance(answer, GeneralGloCiphering)
    return answer.system_title == CLIENT_TITLE


# --- clock and registers


async def shown_time(scene: Scene) -> CosemDateTime:
    value = await (await scene.opened()).get(TIME)
    assert isinstance(value, Data)
    return CosemDateTime.decode(value.value)


async def wrong_weekday(scene: Scene) -> bool:
    return (await shown_time(scene)).day_of_week != scene.bench.at.isoweekday()


async def daylight_bit_stuck(scene: Scene) -> bool:
    time = await shown_time(scene)
    assert time.deviation_minutes == 0
    return bool((time.clock_status or 0) & DAYLIGHT_SAVING_ACTIVE)


async def shows_whole_minutes(scene: Scene) -> bool:
    scene.bench.later(seconds=7)
    return (await shown_time(scene)).to_datetime() != scene.bench.at


async def takes_no_such_date(scene: Scene) -> bool:
    line, before = await scene.opened(), await shown_time(scene)
    never = replace(before, month=2, day=31, day_of_week=None)
    said = await written(line, SetRequestNormal(ID, TIME, None, data.octet_string(never.encode())))
    assert await shown_time(scene) == before
    return said is DataAccessResult.SUCCESS


async def readings(scene: Scene) -> list[int]:
    line = await scene.opened()
    shown = [await line.get(ENERGY) for _ in range(3)]
    return [one.value for one in shown if isinstance(one, Data)]


async def register_falls(scene: Scene) -> bool:
    shown = await readings(scene)
    return shown[2] < shown[1] < shown[0]


async def zero_at_first(scene: Scene) -> bool:
    shown = await readings(scene)
    return shown[0] == 0 and shown[1] == shown[2] > 0


async def scaler_and_unit(scene: Scene) -> tuple[Data, Data]:
    value = await (await scene.opened()).get(attribute(IMPORT, 3))
    assert isinstance(value, Data)
    scaler, unit = value.value
    return scaler, unit


async def scaler_without_sign(scene: Scene) -> bool:
    return (await scaler_and_unit(scene))[0].tag is not DataTag.INTEGER


async def energy_in_watts(scene: Scene) -> bool:
    return (await scaler_and_unit(scene))[1] != data.enum(30)


# --- the table


UNDER_KEYS = {
    "answers-before-opening",
    "takes-short-challenge",
    "repeats-challenge",
    *(name for name, row in rows().items() if row.group == "Security"),
}
CASES = [
    pytest.param(name, transport, marks=() if place == 0 else pytest.mark.ci)
    for name, row in rows().items()
    for place, transport in enumerate(row.transports)
]


def of_the_bench(name: str) -> MeterSetup:
    if name == "compares-prefix":
        return setup(management=ManagementAssociation(mechanism=Mechanism.LOW, secret=PASSWORD))
    return setup(management=gmac()) if name in UNDER_KEYS else setup()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    yield Bench(tmp_path)


@pytest.mark.parametrize(("name", "transport"), CASES)
async def test_a_client_finds_it(bench: Bench, name: str, transport: str) -> None:
    probe: Probe = globals()[name.replace("-", "_")]
    bench.start(of_the_bench(name))
    bench.at = START.replace(hour=16, minute=0)
    wire = Wire(bench.meter, now=lambda: bench.at)
    await wire.listen(most=40, communication=HdlcProfile() if transport == "hdlc" else WRAPPER)
    scene = Scene(bench, wire, transport)
    try:
        assert not await probe(scene), "the meter in health is right"
        number = wire.fleet.faults.set(Rule.parse({"fault": name}))
        assert await probe(scene), "the meter with the defect is wrong"
        assert wire.events("fault_happened")
        wire.fleet.faults.remove(number)
        assert not await probe(scene), "and right again"
    finally:
        await scene.close()
        await wire.stop()


@pytest.mark.parametrize("name", [name for name, row in rows().items() if row.group == "HDLC"])
async def test_a_frame_that_is_cut_is_no_more_to_a_meter_with_a_defect_than_to_one_in_health(
    bench: Bench, name: str
) -> None:
    """The frame behind it is answered, and what a line has left of one does not stay for the next line."""
    bench.start(setup())
    wire = Wire(bench.meter, now=lambda: bench.at)
    await wire.listen(most=40, communication=HdlcProfile())
    scene = Scene(bench, wire, "hdlc")
    wire.fleet.faults.set(Rule.parse({"fault": name}))
    try:
        frames = await scene.frames()
        good = frames.octets(SNRM)
        assert (await frames.send(good[:-2] + good[-1:], good)).kind is FrameKind.UA
        frames.writer.write(good[:5])
        frames.writer.close()
        assert (await (await scene.frames()).send(good)).kind is FrameKind.UA
    finally:
        await scene.close()
        await wire.stop()


def test_the_table_has_every_defect_and_enough_of_each_group() -> None:
    assert list(rows()) == list(DEFECTS)
    assert not set(DEFECTS) & set(FAULTS)
    groups = Counter(row.group for row in rows().values())
    assert len(groups) >= 10 and min(groups.values()) >= 3
    assert sum(row.own for row in rows().values()) >= 10
    assert all(row.tests and row.clause and row.transports for row in rows().values())


def test_the_tests_of_the_table_are_those_of_the_plan() -> None:
    with PLAN.open(encoding="utf-8") as file:
        planned = {row["id"]: row["group"] for row in csv.DictReader(file)}
    assert {row.group for row in rows().values()} <= set(planned.values())
    assert [one for row in rows().values() for one in row.tests if one not in planned] == []


def mangled(octets: bytes) -> Iterator[bytes]:
    """Each fifth octet another one, or all behind it gone; then the right one."""
    for place in range(0, len(octets), 5):
        yield octets[:place] + bytes((octets[place] ^ 0xFF,)) + octets[place + 1 :]
        yield octets[:place]
    yield octets


@pytest.mark.parametrize("framing", ["tcp", "hdlc"])
def test_nothing_that_arrives_is_too_much_for_a_defect(tmp_path: Path, framing: str) -> None:
    """Whatever comes, a session ends in effects; all defects at once, and each alone."""
    bench = Bench(tmp_path)
    bench.start(setup(management=gmac()))
    keyed, clear = gmac_client(1000).send(Open()), wrapper.encode(WrapperPdu(PUBLIC, SERVER, aarq()))
    asked = [wrapper.encode(WrapperPdu(PUBLIC, SERVER, one)) for one in (GET_TIME, GET_ENERGY, b"\xdb\x08", b"\xc8\0")]
    frames = [keyed, clear, *asked]
    if framing == "hdlc":
        link = Frames(None, None)  # type: ignore[arg-type]
        frames = [link.octets(SNRM, LinkParameters(64, 64).encode()), link.octets(numbered(0), information(aarq()))]
    profile = HdlcProfile() if framing == "hdlc" else WRAPPER
    for names in (list(DEFECTS), *([name] for name in DEFECTS)):
        faults = misbehaving(*({"fault": name} for name in names))
        for frame in frames:
            for octets in mangled(frame):
                session = Session(
                    {SERVER: bench.meter},
                    now=lambda: bench.at,
                    random_bytes=bytes,
                    faults=faults,
                    communication=profile,
                )
                assert isinstance([*session.receive_data(octets), *session.receive_data(frame)], list)


def test_the_page_is_what_the_command_writes() -> None:
    assert (DOCS / "defects.md").read_text("utf-8") == page(), (
        "write it again: meter-sim defects --write docs/defects.md"
    )
    assert len(list(listed())) == len(DEFECTS)


def test_a_rule_takes_parameters_of_a_defect_and_no_others() -> None:
    rule = Rule.parse({"fault": "register-falls", "by": 3, "meters": ["M1*"]})
    assert rule.described()["by"] == 3
    with pytest.raises(ValueError, match="there is no 'for'"):
        Rule.parse({"fault": "keeps-ports", "for": 3})

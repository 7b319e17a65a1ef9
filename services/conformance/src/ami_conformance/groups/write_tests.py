"""Writes that are put back, and calls that must be refused (SV, BT, AR-02, C9, C11, C22): every one is in the journal before it is sent."""

from __future__ import annotations

from collections.abc import Iterator

from ami_conformance.answers import Answer
from ami_conformance.bench import Bench, first
from ami_conformance.client import Client
from ami_conformance.findings import Judge, Moves
from ami_conformance.groups.class_tests import parts, script_tables, whole
from ami_conformance.groups.service_tests import UNUSED, goes_on
from ami_conformance.safety import Safety, safety_of_attribute
from ami_dlms import apdu, data
from ami_dlms.apdu.fields import AttributeItem, Block
from ami_dlms.apdu.set import (
    SetRequestNormal,
    SetRequestWithDataBlock,
    SetRequestWithFirstDataBlock,
    SetRequestWithList,
    SetResponseDataBlock,
    SetResponseLastDataBlock,
    SetResponseWithList,
)
from ami_dlms.cosem.confidential import is_secret
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import Conformance, DataAccessResult, DataTag

CONSUMER_MESSAGES = bytes((96, 13))
HARMLESS = ((40, 6), (40, 5), (20, 6), (40, 7), (22, 4))
"""Retries and delay of a push, the name of a calendar that waits, the time of an action: of no effect while the test lasts."""
MOST_WRITTEN = 60
FAR_DAY = data.octet_string(bytes((0x08, 0x30, 1, 1, 0xFF)))  # 2096-01-01
FAR_TIME = data.octet_string(bytes((0, 0, 0, 0)))
MOVING = frozenset({(43, 1), (96, 7), (96, 8), (96, 15), (96, 20), (0, 9)})
"""OBIS C and D of invocation counters, power failures, times of operation, counters of events, and the local time and date."""
DEEP = 100
UNKNOWN_SCRIPT = 999


def harmless(bench: Bench) -> Iterator[tuple[AttributeDescriptor, Data, Data]]:
    """Attributes that may be written, with the value that they have and another one of its type."""
    objects = bench.objects.objects
    places = [one.attribute(2) for one in objects if one.class_id == 1 and one.obis[2:4] == CONSUMER_MESSAGES]
    for class_id, number in HARMLESS:
        places += [one.attribute(number) for one in objects if one.class_id == class_id]
    for descriptor in places:
        listed = bench.objects.find(descriptor.class_id, descriptor.instance_id)
        right = None if listed is None else listed.attributes.get(descriptor.attribute_id)
        if right is None or not right.readable or not right.writable:
            continue
        before = bench.value(descriptor)
        other = None if before is None else another(before)
        if before is not None and other is not None:
            yield descriptor, before, other


def another(value: Data) -> Data | None:
    """Another value of the same type."""
    match value.tag:
        case DataTag.UNSIGNED | DataTag.LONG_UNSIGNED | DataTag.DOUBLE_LONG_UNSIGNED:
            return Data(value.tag, value.value + 1 if value.value < 100 else value.value - 1)
        case DataTag.OCTET_STRING:
            return data.octet_string(b"CONFORM2" if value.value == b"CONFORM1" else b"CONFORM1")
        case DataTag.VISIBLE_STRING:
            return data.visible_string("CONFORM2" if value.value == "CONFORM1" else "CONFORM1")
    return None


def one_of(bench: Bench) -> tuple[AttributeDescriptor, Data, Data]:
    """The first of them; Unsettled where there is none."""
    found = next(harmless(bench), None)
    bench.needs(found is not None, "nothing that is harmless may be written")
    assert found is not None
    return found


def wrong_type(bench: Bench, judge: Judge) -> None:
    """SV-11."""
    descriptor, before, _ = one_of(bench)
    wrong = data.structure(data.boolean(True)) if before.tag is not DataTag.STRUCTURE else data.boolean(True)
    client = bench.opened()
    with bench.borrowed(client, descriptor, wrong, before):
        answer = client.set(descriptor, wrong)
        judge.expect(
            answer.result not in (None, 0) or answer.fault,
            f"SET {descriptor} with a value of another type is answered by {answer}",
        )
        if not client.wire.closed:
            after = client.get(descriptor)
            judge.expect(after.value == before, f"{descriptor} has another value after a SET of a wrong type")
    goes_on(bench, judge, bench.opened())


def same_value(bench: Bench, judge: Judge) -> None:
    """SV-13: what is written is what is read, and what was there comes back."""
    descriptor, before, other = one_of(bench)
    client = bench.opened()
    with bench.borrowed(client, descriptor, other, before):
        for value in (before, other, before):
            answer = client.set(descriptor, value)
            judge.expect(answer.result == 0, f"SET {descriptor} is answered by {answer}")
            found = client.get(descriptor)
            judge.expect(found.value == value, f"{descriptor} was written with success, and does not show it")


def set_list(bench: Bench, judge: Judge) -> None:
    """SV-14."""
    descriptor, before, other = one_of(bench)
    client = bench.opened()
    bench.needs(bool(client.conformance & Conformance.MULTIPLE_REFERENCES), "multiple references were not negotiated")
    forbidden = AttributeDescriptor(3, UNUSED, 2)
    with bench.borrowed(client, descriptor, other, before):
        request = SetRequestWithList(
            client.invoke(), (AttributeItem(descriptor), AttributeItem(forbidden)), (other, data.unsigned(1))
        )
        answer = client.ask(request, "SET of a list with one that does not exist")
        results = answer.apdu.results if isinstance(answer.apdu, SetResponseWithList) else ()
        if judge.expect(len(results) == 2, f"SET of a list of 2 is answered by {answer}"):
            judge.expect(results[0] == 0, f"the good one of a list is answered by {results[0].name.lower()}")
            judge.expect(results[1] != 0, "the one that does not exist is written with success")
            found = client.get(descriptor)
            judge.expect(found.value == other, "the good one of a list was written with success, and does not show it")


def without_right(bench: Bench, judge: Judge) -> None:
    """AR-02: the value that an attribute has, on each that may not be written; what moves by itself is left out, for where the write is taken
    nothing could be put back."""
    client, written = bench.opened(), 0
    for one in bench.objects.objects:
        for number, right in one.attributes.items():
            descriptor = one.attribute(number)
            if right.writable or not right.readable or is_secret(descriptor) or written >= MOST_WRITTEN:
                continue
            if safety_of_attribute(descriptor) > Safety.S2 or _moves(descriptor):
                continue
            value = bench.value(descriptor)
            if value is None:
                continue
            client = client if not client.wire.closed else bench.opened()
            try:
                with bench.borrowed(client, descriptor, value, value):
                    answer = client.set(descriptor, value)
            except Moves as left_out:
                judge.note(str(left_out))
                continue
            written += 1
            judge.expect(answer.result != 0, f"{descriptor} may not be written by the object list, and is with success")


def _moves(descriptor: AttributeDescriptor) -> bool:
    """Whether its value is one that moves by its meaning, however seldom."""
    return descriptor.attribute_id != 1 and (descriptor.instance_id[2], descriptor.instance_id[3]) in MOVING


def set_in_blocks(bench: Bench, judge: Judge) -> None:
    """BT-05."""
    descriptor, before, other, client = _block_writer(bench)
    with bench.borrowed(client, descriptor, other, before):
        answer = _write_blocks(client, descriptor, data.encode(other), (1, 2, 3, 4, 5, 6, 7, 8))
        done = isinstance(answer.apdu, SetResponseLastDataBlock) and answer.apdu.result is DataAccessResult.SUCCESS
        judge.expect(done, f"a SET in blocks is answered by {answer}")
        found = client.get(descriptor)
        judge.expect(found.value == other, f"{descriptor} was written in blocks with success, and does not show it")


def blocks_with_gap(bench: Bench, judge: Judge) -> None:
    """BT-06: a number is missing, a block comes twice, the last never comes; nothing is written."""
    for numbers, what in (((1, 3), "a SET in blocks 1 and 3"), ((1, 1), "a SET whose block 1 comes twice")):
        descriptor, before, other, client = _block_writer(bench)
        with bench.borrowed(client, descriptor, other, before):
            answer = _write_blocks(client, descriptor, data.encode(other), numbers)
            written = (
                isinstance(answer.apdu, SetResponseLastDataBlock) and answer.apdu.result is DataAccessResult.SUCCESS
            )
            judge.expect(not written, f"{what} is answered by success")
            judge.note(f"{what}: {answer}")
            later = bench.opened().get(descriptor)
            judge.expect(later.value == before, f"{descriptor} has another value after {what}")
        client.close()


def _block_writer(bench: Bench) -> tuple[AttributeDescriptor, Data, Data, Client]:
    descriptor, before, other = one_of(bench)
    conformance = bench.way.settings.conformance | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
    client = bench.opened(conformance=conformance & ~Conformance.GENERAL_BLOCK_TRANSFER)
    bench.needs(
        bool(client.conformance & Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE), "blocks of SET were not negotiated"
    )
    return descriptor, before, other, client


def _write_blocks(client: Client, descriptor: AttributeDescriptor, octets: bytes, numbers: tuple[int, ...]) -> Answer:
    """Blocks under these numbers, with the octets shared out among them; the answer to the last that was sent."""
    count = min(len(numbers), len(octets))
    size = -(-len(octets) // count)
    pieces = [octets[start : start + size] for start in range(0, len(octets), size)]
    invoke = client.invoke()
    answer = client.ask(
        SetRequestWithFirstDataBlock(invoke, descriptor, None, Block(len(pieces) == 1, numbers[0], pieces[0])),
        "SET, block 1",
    )
    for place, piece in enumerate(pieces[1:], 1):
        if not isinstance(answer.apdu, SetResponseDataBlock):
            return answer
        block = Block(place == len(pieces) - 1, numbers[place], piece)
        answer = client.ask(SetRequestWithDataBlock(invoke, block), f"SET, block {numbers[place]}")
    return answer


def deep_value(bench: Bench, judge: Judge) -> None:
    """SV-19."""
    descriptor, before, _ = one_of(bench)
    client = bench.opened()
    nested = b"\x02\x01" * DEEP + b"\x00"
    head = apdu.encode(SetRequestNormal(client.invoke(), descriptor, None, data.null()))[:-1]
    with bench.borrowed(client, descriptor, data.null(), before):
        answer = client.ask(head + nested, "SET of structures in structures", safety=Safety.S3, wait_s=bench.quick())
        judge.expect(not answer.done, f"{DEEP} structures in one another are written with success")
    bench.still_serves(judge)


def wrong_parameter(bench: Bench, judge: Judge) -> None:
    """SV-16."""
    table = first(bench.objects.of_class(9), "script table (class 9)")
    client = bench.opened()
    answer = client.action(MethodDescriptor(9, table.obis, 1), data.visible_string("none"))
    judge.expect(not answer.done, f"a script is called by a text: {answer}")
    goes_on(bench, judge, client)


def unknown_script(bench: Bench, judge: Judge) -> None:
    """C9-01."""
    table = first(bench.objects.of_class(9), "script table (class 9)")
    script_tables(bench, judge)
    scripts = [whole(parts(row)[0]) for row in parts(bench.value(table.attribute(2))) if parts(row)]
    bench.needs(UNKNOWN_SCRIPT not in scripts, f"{table} has a script {UNKNOWN_SCRIPT}")
    client = bench.opened()
    answer = client.action(MethodDescriptor(9, table.obis, 1), data.long_unsigned(UNKNOWN_SCRIPT))
    judge.expect(not answer.done, f"a script that does not exist is executed: {answer}")


def special_days(bench: Bench, judge: Judge) -> None:
    """C11-01, by writing the whole table and putting it back."""
    table = first(bench.objects.of_class(11), "special days table (class 11)")
    right = table.attributes.get(2)
    bench.needs(right is not None and right.writable, f"{table} may not be written")
    descriptor, before = table.attribute(2), bench.value(table.attribute(2))
    bench.needs(before is not None, f"{table} can't be read")
    assert before is not None
    index = max((whole(parts(row)[0]) or 0 for row in parts(before) if parts(row)), default=0) + 1
    row = data.structure(data.long_unsigned(index), FAR_DAY, data.unsigned(1))
    _written(bench, judge, descriptor, before, data.array(*parts(before), row))


def single_action(bench: Bench, judge: Judge) -> None:
    """C22-01."""
    for one in bench.objects.of_class(22):
        right, before = one.attributes.get(4), bench.value(one.attribute(4))
        if right is None or not right.writable or before is None:
            continue
        _written(bench, judge, one.attribute(4), before, data.array(data.structure(FAR_TIME, FAR_DAY)))
        return
    bench.needs(False, "the time of no single action schedule may be written")


def _written(bench: Bench, judge: Judge, descriptor: AttributeDescriptor, before: Data, wanted: Data) -> None:
    client = bench.opened()
    with bench.borrowed(client, descriptor, wanted, before):
        answer = client.set(descriptor, wanted)
        judge.expect(answer.result == 0, f"SET {descriptor} is answered by {answer}")
        if answer.result == 0:
            found = client.get(descriptor)
            judge.expect(found.value == wanted, f"{descriptor} was written with success, and does not show it")


TESTS = {
    "AR-02": without_right,
    "BT-05": set_in_blocks,
    "BT-06": blocks_with_gap,
    "SV-11": wrong_type,
    "SV-13": same_value,
    "SV-14": set_list,
    "SV-16": wrong_parameter,
    "SV-19": deep_value,
    "C9-01": unknown_script,
    "C11-01": special_days,
    "C22-01": single_action,
}

"""Transfers in blocks: those of GET, and general block transfer (BT)."""

from __future__ import annotations

from ami_conformance.answers import Answer
from ami_conformance.bench import Bench
from ami_conformance.client import MOST_JOINED, Client
from ami_conformance.findings import Judge
from ami_conformance.groups.service_tests import a_name, goes_on
from ami_conformance.object_list import OBJECT_LIST
from ami_conformance.safety import Safety
from ami_dlms import data
from ami_dlms.apdu.blocks import GeneralBlockTransfer
from ami_dlms.apdu.get import GetRequestNext, GetRequestNormal, GetResponseNormal, GetResponseWithDataBlock
from ami_dlms.data import Data
from ami_dlms.enums import Conformance, DataAccessResult
from ami_dlms.errors import DlmsError

SMALL_PDU = 128
GBT = Conformance.GENERAL_BLOCK_TRANSFER
BLOCKS = Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
MOST_TRANSFERS = 5000
ABORTED = frozenset(
    {
        DataAccessResult.DATA_BLOCK_NUMBER_INVALID,
        DataAccessResult.LONG_GET_ABORTED,
        DataAccessResult.NO_LONG_GET_IN_PROGRESS,
        DataAccessResult.DATA_BLOCK_UNAVAILABLE,
        DataAccessResult.OTHER_REASON,
    }
)


def small(bench: Bench, *, gbt: bool = False) -> Client:
    """An association that takes APDUs of 128 octets; Unsettled where it has no blocks."""
    conformance = bench.way.settings.conformance | BLOCKS
    conformance = conformance | GBT if gbt else conformance & ~GBT
    client = bench.opened(max_receive_pdu_size=SMALL_PDU, conformance=conformance)
    bit = GBT if gbt else BLOCKS
    bench.needs(bool(client.conformance & bit), "this kind of block transfer was not negotiated")
    return client


def started(bench: Bench, client: Client) -> tuple[int, Answer]:
    """The first block of the object list, and the id it came under."""
    invoke = client.invoke()
    answer = client.ask(GetRequestNormal(invoke, OBJECT_LIST), "GET of the object list")
    bench.needs(
        isinstance(answer.apdu, GetResponseWithDataBlock) and not answer.apdu.last_block,
        f"the object list does not come in blocks: {answer}",
    )
    return invoke, answer


def get_in_blocks(bench: Bench, judge: Judge) -> None:
    """BT-01: numbered from 1, the last one marked, and joined they are the value that comes whole."""
    client = small(bench)
    invoke = client.invoke()
    answer = client.ask(GetRequestNormal(invoke, OBJECT_LIST), "GET of the object list")
    if isinstance(answer.apdu, GetResponseNormal):
        bench.needs(False, "the object list fits into 128 octets")
    joined, number = b"", 0
    while isinstance(answer.apdu, GetResponseWithDataBlock):
        number += 1
        block = answer.apdu
        good = judge.expect(
            block.block_number == number, f"block {block.block_number} comes where {number} is due"
        ) and judge.expect(isinstance(block.result, bytes), f"block {number} is answered by {answer}")
        if not good or number > MOST_TRANSFERS:
            return
        joined += block.result if isinstance(block.result, bytes) else b""
        if block.last_block:
            break
        answer = client.ask(GetRequestNext(invoke, number), f"next block behind {number}")
    else:
        judge.expect(False, f"behind block {number} comes {answer}")
        return
    try:
        value = data.decode(joined)
    except DlmsError as error:
        judge.expect(False, f"the joined blocks are no value: {error}")
        return
    with bench.session() as other:
        whole = other.get(OBJECT_LIST)
        bench.needs(whole.value is not None, f"reading {OBJECT_LIST} as a whole is answered by {whole.words}")
        judge.expect(value == whole.value, "the joined blocks are another value than the one that comes whole")


def pdu_size_kept(bench: Bench, judge: Judge) -> None:
    """AS-20: no APDU of the meter is longer than what the client takes."""
    client = small(bench)
    sizes = []
    invoke = client.invoke()
    answer = client.ask(GetRequestNormal(invoke, OBJECT_LIST), "GET of the object list")
    number = 0
    while isinstance(answer.apdu, GetResponseWithDataBlock) and number < MOST_TRANSFERS:
        sizes.append(client.last_size)
        if answer.apdu.last_block:
            break
        number += 1
        answer = client.ask(GetRequestNext(invoke, number), f"next block behind {number}")
    sizes.append(client.last_size)
    judge.expect(max(sizes) <= SMALL_PDU, f"an answer has {max(sizes)} octets, and the client takes {SMALL_PDU}")
    judge.expect(
        len(sizes) > 1 or isinstance(answer.apdu, GetResponseNormal), f"the object list is answered by {answer}"
    )


def wrong_number(bench: Bench, judge: Judge) -> None:
    """BT-02."""
    for number in (2, 0):
        client = small(bench)
        invoke, _ = started(bench, client)
        answer = client.ask(
            GetRequestNext(invoke, number), f"next block behind {number} where 1 is due", safety=Safety.S1
        )
        judge.expect(answer.result in ABORTED or answer.fault, f"a wrong number {number} is answered by {answer}")
        later = client.ask(GetRequestNext(invoke, 1), "next block of a transfer that is over", safety=Safety.S1)
        if answer.result in (DataAccessResult.DATA_BLOCK_NUMBER_INVALID, DataAccessResult.LONG_GET_ABORTED):
            judge.expect(not later.has_data, f"the transfer goes on after it was given up: {later}")
        goes_on(bench, judge, client)
        client.close()


def next_without_transfer(bench: Bench, judge: Judge) -> None:
    """BT-03."""
    client = small(bench)
    answer = client.ask(GetRequestNext(client.invoke(), 1), "next block of no transfer", safety=Safety.S1)
    judge.expect(answer.result in ABORTED or answer.fault, f"a next block of no transfer is answered by {answer}")
    if answer.result is not DataAccessResult.NO_LONG_GET_IN_PROGRESS:
        judge.note(f"it is answered by {answer}, not by no-long-get-in-progress")
    goes_on(bench, judge, client)


def new_get_amid(bench: Bench, judge: Judge) -> None:
    """BT-04."""
    client = small(bench)
    invoke, _ = started(bench, client)
    client.ask(GetRequestNext(invoke, 1), "next block behind 1", safety=Safety.S1)
    found = client.get(a_name(bench))
    judge.expect(found.value is not None, f"a new GET in the middle of a transfer is answered by {found.words}")
    later = client.ask(GetRequestNext(invoke, 2), "next block of the old transfer", safety=Safety.S1)
    judge.note(f"the old transfer is then answered by {later}")


def list_in_blocks(bench: Bench, judge: Judge) -> None:
    """BT-08."""
    client = small(bench)
    bench.needs(bool(client.conformance & Conformance.MULTIPLE_REFERENCES), "multiple references were not negotiated")
    named = [one.attribute(1) for one in bench.objects.objects if one.readable(1)][:8]
    bench.needs(len(named) == 8, "there are not enough objects for a long list")
    client.close()
    client = small(bench)
    asked = [*named, *named, *named][: max(_room(client), 8)]
    results, answer = client.get_list(asked)
    if not judge.expect(results is not None, f"a list of {len(asked)} is answered by {answer}"):
        return
    wanted = [bytes(one.instance_id) for one in asked]
    got = [one.value if isinstance(one, Data) else None for one in results or ()]
    judge.expect(got == wanted, "the joined blocks are not the results in the order of the request")


def _room(client: Client) -> int:
    """How many items the meter takes in one request."""
    size = 0 if client.initiate is None else client.initiate.server_max_receive_pdu_size
    return ((size or 0xFFFF) - 60) // 10


def general_blocks(bench: Bench, judge: Judge) -> None:
    """BT-09: with windows of 1 and 3, numbers without a gap, confirmations right, the last one marked once."""
    for window in (1, 3):
        client = small(bench, gbt=True)
        request = GetRequestNormal(client.invoke(), OBJECT_LIST)
        joined = _transfer(bench, judge, client, request, window)
        if joined is None:
            return
        found = client.opened_from(joined)
        whole = found.apdu.result if isinstance(found.apdu, GetResponseNormal) else None
        judge.expect(isinstance(whole, Data), f"the joined blocks hold {found}")
        client.close()


def _transfer(bench: Bench, judge: Judge, client: Client, request: GetRequestNormal, window: int) -> bytes | None:
    """A request in one block, and all blocks of its answer; None, and a finding, where it goes wrong."""
    client.send_ahead((request,), "general block transfer", safety=Safety.S0, in_block=window)
    joined, due, asked, confirmed = b"", 1, 1, 0
    for _ in range(MOST_TRANSFERS):
        answer = client.listen_raw()
        bench.tell("a block of general block transfer", b"", answer)
        block = answer.apdu
        if not isinstance(block, GeneralBlockTransfer):
            if due == 1 and answer.apdu is not None:
                return answer.octets  # it was short enough
            judge.expect(False, f"block {due} is due, and there comes {answer}")
            return None
        if not judge.expect(block.block_number == due, f"block {block.block_number} comes where {due} is due"):
            return None
        judge.expect(
            confirmed <= block.block_number_ack <= asked,
            f"block {due} confirms {block.block_number_ack} behind {confirmed}, and we sent {asked}",
        )
        confirmed = max(confirmed, block.block_number_ack)
        joined += block.block_data
        if not judge.expect(len(joined) <= MOST_JOINED, f"more than {MOST_JOINED} octets come in blocks"):
            return None
        if block.block_control.last_block:
            return joined
        if not block.block_control.streaming:
            asked += 1
            client.confirm_block(window, asked, due)
        due += 1
    return None


TESTS = {
    "AS-20": pdu_size_kept,
    "BT-01": get_in_blocks,
    "BT-02": wrong_number,
    "BT-03": next_without_transfer,
    "BT-04": new_get_amid,
    "BT-08": list_in_blocks,
    "BT-09": general_blocks,
}

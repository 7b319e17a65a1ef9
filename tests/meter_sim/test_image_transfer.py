"""Image transfer: blocks in any order, lost ones found and sent again, verification, activation, and a restart in the middle."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from devices import Inside, action, described, script, scripts

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_meter_sim.__main__ import main
from ami_meter_sim.objects.firmware import HEADER_OCTETS, Transfer, make_image
from ami_meter_sim.objects.image_transfer import (
    MOST_BLOCKS,
    MOST_OCTETS_OF_AN_IMAGE,
    ImageTransferStatus,
    active_firmware,
)
from ami_meter_sim.objects.memory import RecordKind

IMAGE = (18, "0-0:44.0.0")
BLOCK = 64
CONTENT = make_image("2.0", random.Random(18).randbytes(700))
NOTHING = data.integer(0)
BLOCKS = [CONTENT[start : start + BLOCK] for start in range(0, len(CONTENT), BLOCK)]


def meter(*more: Any, block: int = BLOCK, **options: Any) -> Inside:
    return Inside(described(IMAGE, {2: data.double_long_unsigned(block)}, options=options), *more)


def initiate(one: Inside, size: int = len(CONTENT), identifier: bytes = b"fw-2") -> ActionResult:
    return one.act(IMAGE, 1, data.structure(data.octet_string(identifier), data.double_long_unsigned(size)))


def send(one: Inside, number: int, octets: bytes) -> ActionResult:
    return one.act(IMAGE, 2, data.structure(data.double_long_unsigned(number), data.octet_string(octets)))


def send_all(one: Inside, *without: int) -> None:
    assert initiate(one) is ActionResult.SUCCESS
    for number, octets in enumerate(BLOCKS):
        if number not in without:
            assert send(one, number, octets) is ActionResult.SUCCESS


def status(one: Inside) -> ImageTransferStatus:
    return ImageTransferStatus(one.read(IMAGE, 6))


# --- blocks


def test_a_new_meter_has_no_image_and_takes_no_block() -> None:
    one = meter()
    assert (one.read(IMAGE, 3), one.read(IMAGE, 4), one.read(IMAGE, 5), status(one)) == (
        (),
        0,
        True,
        ImageTransferStatus.NOT_INITIATED,
    )
    assert one.read(IMAGE, 7) == ()
    for method in (2, 3, 4):
        given = data.structure(data.double_long_unsigned(0), data.octet_string(b"")) if method == 2 else NOTHING
        assert one.act(IMAGE, method, given) is ActionResult.OTHER_REASON
    assert active_firmware(one.device) == b"1.0"


def test_lost_blocks_are_the_ones_that_are_named_and_sent_again() -> None:
    one = meter()
    send_all(one, 3, 7)
    assert one.read(IMAGE, 4) == 3
    assert [number for number, there in enumerate(one.read(IMAGE, 3)) if not there] == [3, 7]
    assert one.act(IMAGE, 3, NOTHING) is ActionResult.OTHER_REASON
    assert status(one) is ImageTransferStatus.VERIFICATION_FAILED
    assert send(one, 3, BLOCKS[3]) is ActionResult.SUCCESS
    assert one.read(IMAGE, 4) == 7
    assert send(one, 7, BLOCKS[7]) is ActionResult.SUCCESS
    assert one.read(IMAGE, 4) == len(BLOCKS)
    assert one.act(IMAGE, 3, NOTHING) is ActionResult.SUCCESS
    assert status(one) is ImageTransferStatus.VERIFICATION_SUCCESSFUL


@pytest.mark.parametrize("block", [1, 7, 64, 100, 512, len(CONTENT), 4096])
def test_blocks_of_any_length_in_any_order_make_the_image(block: int) -> None:
    one = meter(block=block)
    assert initiate(one) is ActionResult.SUCCESS
    numbers = list(range(-(-len(CONTENT) // block)))
    random.Random(block).shuffle(numbers)
    for number in [*numbers, *numbers[:3]]:
        assert send(one, number, CONTENT[number * block : (number + 1) * block]) is ActionResult.SUCCESS
    assert one.act(IMAGE, 3, NOTHING) is ActionResult.SUCCESS
    assert one.read(IMAGE, 7)[0].value[0] == data.double_long_unsigned(len(CONTENT))


@pytest.mark.parametrize(
    ("number", "octets"),
    [
        (len(BLOCKS), b"x" * BLOCK),
        (2**32 - 1, b"x" * BLOCK),
        (0, b"x" * (BLOCK - 1)),
        (0, b"x" * (BLOCK + 1)),
        (0, b""),
        (len(BLOCKS) - 1, b"x" * BLOCK),
    ],
)
def test_a_block_of_another_number_or_length_is_refused_and_not_noted(number: int, octets: bytes) -> None:
    one = meter()
    assert initiate(one) is ActionResult.SUCCESS
    assert send(one, number, octets) is ActionResult.OTHER_REASON
    assert not any(one.read(IMAGE, 3))


def test_a_block_that_is_there_is_a_success_and_is_not_replaced() -> None:
    one = meter()
    send_all(one)
    assert send(one, 2, bytes(BLOCK)) is ActionResult.SUCCESS
    assert one.act(IMAGE, 3, NOTHING) is ActionResult.SUCCESS


def test_to_initiate_again_forgets_everything() -> None:
    one = meter()
    send_all(one)
    one.act(IMAGE, 3, NOTHING)
    assert initiate(one, 100) is ActionResult.SUCCESS
    assert (one.read(IMAGE, 3), one.read(IMAGE, 4), status(one)) == ((False, False), 0, ImageTransferStatus.INITIATED)
    assert one.read(IMAGE, 7) == ()


@pytest.mark.parametrize("size", [0, MOST_OCTETS_OF_AN_IMAGE + 1])
def test_a_size_out_of_bounds_is_refused(size: int) -> None:
    one = meter()
    assert initiate(one, size) is ActionResult.TYPE_UNMATCHED
    assert status(one) is ImageTransferStatus.NOT_INITIATED


def test_an_image_of_too_many_blocks_is_refused() -> None:
    one = meter(block=16)
    assert initiate(one, 16 * MOST_BLOCKS + 1) is ActionResult.OTHER_REASON
    assert initiate(one, 16 * MOST_BLOCKS) is ActionResult.SUCCESS


WRONG_SHAPES: list[tuple[int, Data | None]] = [
    (1, None),
    (1, data.structure(data.octet_string(b"x"))),
    (1, data.structure(data.octet_string(b"x" * 65), data.double_long_unsigned(1))),
    (1, data.structure(data.visible_string("x"), data.double_long_unsigned(1))),
    (2, data.structure(data.long_unsigned(0), data.octet_string(b""))),
    (2, data.null()),
]


@pytest.mark.parametrize(("method", "given"), WRONG_SHAPES)
def test_a_parameter_of_another_shape_is_refused(method: int, given: Data | None) -> None:
    assert meter().act(IMAGE, method, given) is ActionResult.TYPE_UNMATCHED


@pytest.mark.parametrize("number", [1, 2, 3, 4, 6, 7])
def test_only_whether_it_is_enabled_can_be_written(number: int) -> None:
    one = meter()
    assert one.write(IMAGE, number, data.double_long_unsigned(1)) is DataAccessResult.READ_WRITE_DENIED


def test_while_it_is_not_enabled_every_method_fails() -> None:
    one = meter()
    assert one.write(IMAGE, 5, data.integer(0)) is DataAccessResult.TYPE_UNMATCHED
    send_all(one)
    assert one.write(IMAGE, 5, data.boolean(False)) is DataAccessResult.SUCCESS
    assert initiate(one) is ActionResult.READ_WRITE_DENIED
    assert send(one, 0, BLOCKS[0]) is ActionResult.READ_WRITE_DENIED
    assert one.act(IMAGE, 3, NOTHING) is one.act(IMAGE, 4, NOTHING) is ActionResult.READ_WRITE_DENIED
    assert status(one) is ImageTransferStatus.INITIATED


# --- verification


def test_an_image_with_an_altered_octet_does_not_verify() -> None:
    altered = bytearray(CONTENT)
    altered[300] ^= 1
    one = meter()
    assert initiate(one) is ActionResult.SUCCESS
    for number in range(len(BLOCKS)):
        assert send(one, number, bytes(altered[number * BLOCK : (number + 1) * BLOCK])) is ActionResult.SUCCESS
    assert one.act(IMAGE, 3, NOTHING) is ActionResult.OTHER_REASON
    assert status(one) is ImageTransferStatus.VERIFICATION_FAILED
    assert one.act(IMAGE, 4, NOTHING) is ActionResult.OTHER_REASON
    assert one.read(IMAGE, 7) == ()


def test_a_file_of_another_maker_verifies_and_its_version_is_its_identifier() -> None:
    one = meter()
    assert initiate(one, 100, b"X-3.1") is ActionResult.SUCCESS
    assert send(one, 0, bytes(64)) is send(one, 1, bytes(36)) is ActionResult.SUCCESS
    assert one.act(IMAGE, 3, NOTHING) is one.act(IMAGE, 4, NOTHING) is ActionResult.SUCCESS
    assert active_firmware(one.device) == b"X-3.1"


def test_a_header_that_is_cut_off_does_not_verify() -> None:
    one = meter(block=32)
    assert initiate(one, 32) is ActionResult.SUCCESS
    assert send(one, 0, CONTENT[:32]) is ActionResult.SUCCESS
    assert one.act(IMAGE, 3, NOTHING) is ActionResult.OTHER_REASON


def test_verification_that_takes_its_time_is_polled() -> None:
    one = meter(verification_s=30)
    send_all(one)
    assert one.act(IMAGE, 3, NOTHING) is ActionResult.TEMPORARY_FAILURE
    assert status(one) is ImageTransferStatus.VERIFICATION_INITIATED
    for refused in (initiate(one), send(one, 0, BLOCKS[0]), one.act(IMAGE, 3, NOTHING), one.act(IMAGE, 4, NOTHING)):
        assert refused is ActionResult.TEMPORARY_FAILURE
    one.later(seconds=29)
    assert status(one) is ImageTransferStatus.VERIFICATION_INITIATED
    one.later(seconds=1)
    assert status(one) is ImageTransferStatus.VERIFICATION_SUCCESSFUL
    assert one.act(IMAGE, 3, NOTHING) is ActionResult.SUCCESS


# --- activation


def test_an_activation_restarts_the_meter_into_the_new_version() -> None:
    one = meter()
    send_all(one)
    assert one.act(IMAGE, 4, NOTHING) is ActionResult.OTHER_REASON, "not verified yet"
    one.act(IMAGE, 3, NOTHING)
    before = one.device.communication.restarts
    assert one.act(IMAGE, 4, NOTHING) is ActionResult.SUCCESS
    assert status(one) is ImageTransferStatus.ACTIVATION_SUCCESSFUL
    assert one.device.communication.restarts == before + 1
    assert active_firmware(one.device) == b"2.0"
    (record,) = one.device.history.records(RecordKind.FIRMWARE)
    assert record.detail == b"2.0"
    assert one.act(IMAGE, 4, NOTHING) is ActionResult.OTHER_REASON


def test_the_version_of_the_active_firmware_can_be_read() -> None:
    version = (1, "1-0:0.2.0")
    one = meter(described(version, {2: data.octet_string(b"1.0")}, static=True), version_object="1-0:0.2.0")
    send_all(one)
    assert one.read(version) == b"1.0"
    one.act(IMAGE, 3, NOTHING)
    assert one.act(IMAGE, 4, NOTHING) is ActionResult.SUCCESS
    assert one.read(version) == b"2.0"


def test_an_activation_may_fail_and_leaves_the_old_version() -> None:
    one = meter(activation_fails=True)
    send_all(one)
    one.act(IMAGE, 3, NOTHING)
    assert one.act(IMAGE, 4, NOTHING) is ActionResult.OTHER_REASON
    assert (status(one), active_firmware(one.device)) == (ImageTransferStatus.ACTIVATION_FAILED, b"1.0")


def test_a_schedule_activates_at_its_time() -> None:
    at = data.structure(data.octet_string(bytes((12, 0, 0, 0))), data.octet_string(b"\x07\xea\x03\x02\xff"))
    activation = scripts("0-0:10.0.107", s1=[action(2, IMAGE, 4, NOTHING)])
    schedule = described((22, "0-0:15.0.2"), {2: script("0-0:10.0.107", 1), 3: data.enum(1), 4: data.array(at)})
    one = meter(activation, schedule)
    send_all(one)
    one.act(IMAGE, 3, NOTHING)
    one.later(hours=1, minutes=54)
    assert status(one) is ImageTransferStatus.VERIFICATION_SUCCESSFUL
    one.later(minutes=1)
    assert (status(one), active_firmware(one.device)) == (ImageTransferStatus.ACTIVATION_SUCCESSFUL, b"2.0")


def test_a_restart_in_the_middle_of_an_activation_ends_in_one_of_both_versions() -> None:
    one = meter(activation_s=60, verification_s=5)
    send_all(one)
    one.act(IMAGE, 3, NOTHING)
    one.restart()
    one.later(seconds=10)
    assert status(one) is ImageTransferStatus.VERIFICATION_SUCCESSFUL
    assert one.act(IMAGE, 4, NOTHING) is ActionResult.TEMPORARY_FAILURE
    one.restart()
    assert (status(one), active_firmware(one.device)) == (ImageTransferStatus.ACTIVATION_INITIATED, b"1.0")
    one.later(seconds=59)
    assert (status(one), active_firmware(one.device)) == (ImageTransferStatus.ACTIVATION_INITIATED, b"1.0")
    one.restart()
    one.later(days=1)
    assert (status(one), active_firmware(one.device)) == (ImageTransferStatus.ACTIVATION_SUCCESSFUL, b"2.0")
    assert one.device.history.records(RecordKind.FIRMWARE)[0].at == one.device.clock.at - timedelta(days=1) + timedelta(
        seconds=1
    )


# --- images


@pytest.mark.parametrize("version", ["", "x" * 49])
def test_a_version_that_does_not_fit_makes_no_image(version: str) -> None:
    with pytest.raises(ValueError, match="1 to 48 octets"):
        make_image(version, b"")


def test_what_is_kept_of_a_transfer_is_small_and_comes_back() -> None:
    transfer = Transfer(b"fw", 2**20, 512)
    for number in range(0, transfer.blocks, 2):
        transfer = transfer.with_block(number, bytes([number & 0xFF]) * 512)
    assert Transfer.decode(transfer.encode()) == transfer
    assert len(data.encode(transfer.encode())) < 2048 // 8 + 2 * HEADER_OCTETS
    assert transfer.first_missing == 1


@pytest.mark.parametrize("damaged", [False, True])
def test_the_command_line_writes_an_image_that_is_verified_and_a_damaged_one_that_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damaged: bool
) -> None:
    file = tmp_path / "firmware.bin"
    options = ["--version", "3.1", "--octets", "300", *(["--damaged"] if damaged else [])]
    assert main(["image", str(file), *options]) == 0
    assert capsys.readouterr().out == f"{file}: version 3.1, 396 octets\n"
    content, one = file.read_bytes(), meter(block=512)
    assert initiate(one, len(content)) is send(one, 0, content) is ActionResult.SUCCESS
    one.act(IMAGE, 3, NOTHING)
    wanted = ImageTransferStatus.VERIFICATION_FAILED if damaged else ImageTransferStatus.VERIFICATION_SUCCESSFUL
    assert status(one) is wanted
    if not damaged:
        one.act(IMAGE, 4, NOTHING)
        assert active_firmware(one.device) == b"3.1"
    assert main(["image", str(tmp_path), *options]) == 2

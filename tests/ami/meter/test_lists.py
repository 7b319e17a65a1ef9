"""A scan asks for many attributes at once where the meter can, and gets by where it can't."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from meter_bench import Ami
from served_meter import WITH_LISTS, Meter, object_list, profile, served

from ami_cli.meter import scan
from ami_dlms import data
from ami_dlms.apdu import Apdu
from ami_dlms.apdu.faults import ExceptionResponse
from ami_dlms.apdu.get import GetResponseNormal, GetResponseWithList
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.enums import Conformance, DataAccessResult, ServiceError, StateError
from ami_dlms.obis import Obis

REGISTERS = 60
NOT_SUPPORTED = ExceptionResponse(StateError.SERVICE_UNKNOWN, ServiceError.SERVICE_NOT_SUPPORTED)
OTHER, DENIED = DataAccessResult.OTHER_REASON, DataAccessResult.READ_WRITE_DENIED
LIST = AttributeDescriptor(15, Obis.parse("0-0:40.0.0"), 2)
SHORT = 3 * REGISTERS + 1
"""Attributes that a list may name: all but the object list."""


def register(number: int, attribute: int) -> AttributeDescriptor:
    return AttributeDescriptor(3, Obis((1, 0, 1, 8, number, 255)), attribute)


@pytest.fixture
def meter() -> Meter:
    values = {AttributeDescriptor(15, LIST.instance_id, 1): data.octet_string(LIST.instance_id), LIST: data.null()}
    for number in range(REGISTERS):
        values[register(number, 1)] = data.octet_string(register(number, 1).instance_id)
        values[register(number, 2)] = data.double_long_unsigned(1000 + number)
        values[register(number, 3)] = data.structure(data.integer(-1), data.enum(30))
    values[LIST] = object_list(values)
    return Meter(values)


def scanned(ami: Ami, port: int, *more: object) -> list[dict[str, Any]]:
    where = ("--host", "127.0.0.1", "--port", port, "--client", 1)
    [device] = ami.run("scan", "--json", *where, *more).ok().json["devices"]
    return [attribute for one in device["objects"] for attribute in one["attributes"]]


def check(found: list[dict[str, Any]]) -> None:
    assert len(found) == SHORT + 1 and not any(one["error"] for one in found)
    assert [one["text"] for one in found if one["attribute"] == "value"] == [
        f"{(1000 + number) / 10} Wh" for number in range(REGISTERS)
    ]


def test_many_at_once(ami: Ami, meter: Meter) -> None:
    with served(meter) as port:
        check(scanned(ami, port))
    assert meter.requests["c003"] == -(-SHORT // 24) and meter.requests["c001"] == 2  # SAP assignment and object list


def test_one_at_a_time_where_lists_were_not_agreed(ami: Ami, meter: Meter) -> None:
    with served(meter, profile(meter, conformance=WITH_LISTS & ~Conformance.MULTIPLE_REFERENCES)) as port:
        check(scanned(ami, port))
    assert meter.requests["c003"] == 0 and meter.requests["c001"] == SHORT + 2


def test_one_at_a_time_when_asked_for(ami: Ami, meter: Meter) -> None:
    with served(meter) as port:
        check(scanned(ami, port, "--one-by-one"))
    assert meter.requests["c003"] == 0


@pytest.mark.parametrize("size", [90, 100, 128, 200])
def test_lists_fit_the_meter(ami: Ami, meter: Meter, size: int) -> None:
    with served(meter, profile(meter, max_receive_pdu_size=size)) as port:
        check(scanned(ami, port))
    most = (size - 80) // 10
    assert meter.requests["c003"] == (0 if most < 2 else SHORT // most)  # the last one goes alone


def test_answers_to_lists_come_in_blocks_where_we_take_little(ami: Ami, meter: Meter) -> None:
    with served(meter) as port:
        check(scanned(ami, port, "--max-pdu", 100))
    assert meter.requests["c003"] == SHORT // 24 + 1 and meter.requests["c002"] > 20


@pytest.mark.parametrize(
    "answer",
    [NOT_SUPPORTED, GetResponseNormal(0xC0, OTHER), GetResponseWithList(0xC0, (OTHER,) * 24)],
    ids=lambda one: type(one).__name__,
)
@pytest.mark.parametrize("first", [1, 3])
def test_lists_that_are_refused_in_the_middle(ami: Ami, meter: Meter, answer: Apdu, first: int) -> None:
    def refuse(number: int, invoke: int) -> Apdu | None:
        if number < first:
            return None
        return answer if answer is NOT_SUPPORTED else replace(answer, invoke_id_and_priority=invoke)

    meter.refuse = refuse
    with served(meter) as port:
        check(scanned(ami, port))
    assert meter.requests["c003"] == first + 1  # two refusals are enough
    assert meter.requests["c001"] == 2 + SHORT - 24 * (first - 1)


def test_single_items_that_fail_in_a_list_are_asked_again_alone(ami: Ami, meter: Meter) -> None:
    def refuse(number: int, invoke: int) -> Apdu | None:
        results = [DENIED, OTHER, *(data.unsigned(9) for _ in range(22))]
        return GetResponseWithList(invoke, tuple(results)) if number == 1 else None

    meter.refuse = refuse
    with served(meter) as port:
        found = scanned(ami, port)
    assert [one["error"] for one in found if one["error"]] == [
        "read-write-denied"
    ]  # that is a word about the attribute
    assert meter.requests["c001"] == 2 + 1
    assert sum(one["value"] == 9 for one in found) == 22


def test_the_bar_counts_every_attribute_once(ami: Ami, meter: Meter, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    real = scan.scan

    def spied(*given: Any, progress: scan.Progress, **more: Any) -> scan.Scan:
        return real(*given, progress=lambda what, done, total: told.append((done, total)), **more)

    monkeypatch.setattr(scan, "scan", spied)
    with served(meter) as port:
        scanned(ami, port)
    assert told == [(0, 0), *((done, SHORT + 1) for done in range(1, SHORT + 2))]

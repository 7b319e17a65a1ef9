"""What GetMeterReadings asks for: which meters its groups are, and which of their values its qualities choose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from north_bench import entries, mrid
from reading_bench import AT, CODE, asked

from ami_cim.identity import Identified, Name
from ami_cim.payloads.get_meter_readings import GetMeterReadings
from ami_cim.quality import Quality
from ami_hes.meters.registry import Registry
from ami_hes.nouns.meter_readings import plan, size
from ami_hes.nouns.plans import Plan, Refused, RequestContext
from ami_hes.operations.read_results import WantedReadings

TYPES = (Identified(mrid=CODE),)
MISSING, VALID = Quality(code="2.5.259"), Quality(code="1.0.0")


def known() -> Registry:
    """Three meters of a feeder, the third in the store room; a fourth of another feeder, there too."""
    found = entries(4)
    for number, entry in enumerate(found):
        entry["tags"] = {"feeder": "F2" if number == 3 else "F1", "transformer": f"T{number}"}
    for entry in found[2:]:
        del entry["usage_points"]
    return Registry(found)


def group(value: str, tag: str | None = None) -> Identified:
    return Identified(names=(Name(name=value, name_type=tag),))


def planned(**query: Any) -> Plan:
    message = replace(asked(0), query=GetMeterReadings(reading_types=TYPES, **query))
    return plan(RequestContext.of(message.header, AT), message, known())


def test_a_meter_without_a_usage_point_is_in_no_group_of_them() -> None:
    made = planned(usage_point_groups=(group("F1", "feeder"),))
    assert [one.meter.mrid for one in made.commands] == [mrid(1), mrid(2)] and not made.errors
    made = planned(usage_point_groups=(group("F1"),), end_device_groups=(group("F1"), group("T3", "transformer")))
    assert sorted(one.meter.mrid for one in made.commands) == [mrid(number) for number in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (group("F9"), "not known"),
        (group("F1", "transformer"), "not known"),
        (group("F2"), "at a usage point"),
        (Identified(mrid="g"), "by Names"),
    ],
)
def test_a_group_of_usage_points_that_is_none_is_2_12_and_takes_nothing_from_the_others(
    wanted: Identified, says: str
) -> None:
    made = planned(usage_point_groups=(wanted, group("T0")))
    assert [one.meter.mrid for one in made.commands] == [mrid(1)]
    (error,) = made.errors
    assert error.code == "2.12" and says in (error.reason or "")
    assert error.identifier is not None and error.identifier.object_type == "UsagePointGroup"


def test_groups_count_in_the_size_of_a_request() -> None:
    query = GetMeterReadings(usage_point_groups=(group("F1"),), end_device_groups=(group("F2"),))
    assert size(replace(asked(0), query=query)) == 2


def test_qualities_go_along_once_each() -> None:
    made = planned(end_device_groups=(group("F1"),), qualities=(MISSING, VALID, MISSING))
    command, *_ = made.commands
    assert made.summary == f"{CODE} with quality 2.5.259 or 1.0.0"
    wanted = WantedReadings.parse(command.body)
    assert (wanted.reading_types, wanted.qualities) == ((CODE,), ("2.5.259", "1.0.0"))


def test_a_command_of_before_there_were_qualities_is_understood() -> None:
    assert WantedReadings.parse('[["a"],1,2,"store"]') == WantedReadings(("a",), 1, 2, "store")


@pytest.mark.parametrize(
    ("quality", "code"),
    [
        (Quality(code=""), "2.15"),
        (Quality(code="valid"), "2.15"),
        (Quality(code="1.0"), "2.15"),
        (Quality(code="1.0.0.0"), "2.15"),
        (Quality(code="01.0.0"), "2.15"),
        (Quality(code="6.0.0"), "2.15"),
        (Quality(code="1.13.0"), "2.15"),
        (Quality(code="1.0.\u0661"), "2.15"),
        (Quality(code="1.0.0", comment="mine"), "5.2"),
        (Quality(code="1.0.0", source="meter"), "5.2"),
        (Quality(code="1.0.0", assessed_at=AT), "5.2"),
    ],
)
def test_what_is_no_quality_is_refused(quality: Quality, code: str) -> None:
    with pytest.raises(Refused) as refused:
        planned(end_device_groups=(group("F1"),), qualities=(VALID, quality))
    (error,) = refused.value.errors
    assert error.code == code and "Nothing was read" in (error.reason or "")


def test_more_qualities_than_are_taken_are_refused() -> None:
    with pytest.raises(Refused, match="at most 50"):
        planned(
            end_device_groups=(group("F1"),),
            qualities=tuple(Quality(code=f"1.5.{number}") for number in range(51)),
        )

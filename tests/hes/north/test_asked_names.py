"""Error/ID says of a meter what the request has called it, with its mRID in relatedID where that was a name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from north_bench import DISCONNECT, GENERIC, StandIn, by_name, control, mrid, north, request
from reading_bench import asked

from ami_cim.identity import EndDevice, Identified, Identifier, Name
from ami_cim.message import Reply, ReplyError
from ami_cim.payloads.get_meter_readings import GetMeterReadings
from ami_hes.commands import MeterId, Outcome
from ami_hes.nouns.asked_names import AskedNames, format_asked

FAILS = Outcome(False, "4.1", "FATAL", "no answer")
M1, M2 = MeterId("M1", mrid(1)), MeterId("M2", mrid(2))
BY_MRID = EndDevice(mrid=mrid(1), names=(Name(name="M1"),))


def told(reply: Reply) -> list[tuple[str | None, str | None]]:
    """ID and relatedID of each error."""
    return [(one.identifier and one.identifier.value, one.related and one.related.value) for one in reply.errors]


@pytest.mark.parametrize(
    ("devices", "others", "kept", "named"),
    [
        (by_name("M1", "M2"), False, "*", ("M1", "M2")),
        ((BY_MRID,), False, "", ()),
        ((), True, "", ()),
        ((BY_MRID, *by_name("M2")), False, '["M2"]', ("M2",)),
        (by_name("M2", "M2"), True, '["M2"]', ("M2",)),
    ],
)
def test_what_is_kept_says_who_was_named(
    devices: tuple[EndDevice, ...], others: bool, kept: str, named: tuple[str, ...]
) -> None:
    assert format_asked(devices, others=others) == kept
    about = AskedNames.parse(kept).about
    for meter in (M1, M2):
        problem = about(meter, ReplyError(code="4.1"))
        uuid = Identifier(value=meter.mrid, kind="uuid", object_type="EndDevice")
        if meter.name in named:
            assert problem.identifier == Identifier(value=meter.name, kind="name", object_type="EndDevice")
            assert problem.related == uuid
        else:
            assert (problem.identifier, problem.related) == (uuid, None)


async def test_controls_and_readings_answer_in_the_form_of_the_question(tmp_path: Path) -> None:
    """The same after the request was kept, whatever mixture of forms it has."""
    stand_in = StandIn({f"M{number}": FAILS for number in (1, 2, 3)})
    async with north(tmp_path, stand_in) as hes:
        one = control(DISCONNECT, "M2", points=["UP-3"])
        mixed = replace(one, end_devices=(BY_MRID, *one.end_devices))
        assert told((await hes.ask(request(mixed))).reply) == [
            (mrid(1), None),
            ("M2", mrid(2)),
            (mrid(3), None),
        ]
        question = asked(1)
        names = replace(
            question,
            query=GetMeterReadings(
                end_devices=by_name("M1"), reading_types=(Identified(mrid="0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"),)
            ),
        )
        assert told((await hes.ask(names, GENERIC)).reply) == [("M1", mrid(1))]
        assert told((await hes.ask(asked(1), GENERIC)).reply) == [(mrid(1), None)]

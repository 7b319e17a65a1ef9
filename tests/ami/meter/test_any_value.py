"""Whatever a meter answers for an attribute, `ami meter` shows it or says what is odd: nothing that it sends ends in a traceback."""

from __future__ import annotations

from pathlib import Path

import fake_meter as fake
import pytest
from fake_meter import FakeMeter, Value, obis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from meter_bench import Ami, Fleet
from plain_objects import ENERGY, OBJECT_LIST, PROFILE, objects
from sizes import examples

from ami_cli.meter.errors import ExitCode
from ami_cli.meter.values import DATE_TIMES, ENUMERATIONS, OBJECT_NAMES, SCALER_UNITS, json_of, text_of
from ami_dlms import data
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import CompactArray, Data, TypeDescription
from ami_dlms.datetimes import CosemDate, CosemDateTime, CosemTime
from ami_dlms.enums import DataTag
from ami_dlms.obis import Obis

numbers = st.integers(0, 255)
scalars = st.one_of(
    st.just(data.null()),
    st.just(Data(DataTag.DONT_CARE, None)),
    st.booleans().map(data.boolean),
    st.binary(max_size=14).map(data.octet_string),
    st.binary(min_size=12, max_size=12).map(data.octet_string),
    st.binary(min_size=6, max_size=6).map(data.octet_string),
    st.text(st.characters(max_codepoint=255), max_size=14).map(data.visible_string),
    st.integers(-(2**31), 2**31 - 1).map(data.double_long),
    st.integers(0, 2**64 - 1).map(data.long64_unsigned),
    st.integers(0, 2**32 - 1).map(data.double_long_unsigned),
    st.integers(-128, 127).map(data.integer),
    numbers.map(data.unsigned),
    numbers.map(data.enum),
    numbers.map(lambda number: Data(DataTag.DELTA_UNSIGNED, number)),
    st.floats(width=32).map(data.float32),
    st.lists(st.booleans(), max_size=9).map(lambda bits: data.bit_string(tuple(bits))),
    st.binary(min_size=12, max_size=12).map(lambda raw: data.date_time(CosemDateTime.decode(raw))),
    st.binary(min_size=5, max_size=5).map(lambda raw: data.date(CosemDate.decode(raw))),
    st.binary(min_size=4, max_size=4).map(lambda raw: data.time(CosemTime.decode(raw))),
    st.binary(max_size=9).map(
        lambda raw: Data(DataTag.COMPACT_ARRAY, CompactArray(TypeDescription(DataTag.UNSIGNED), raw))
    ),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: data.structure(*items))
        | st.lists(inner, max_size=4).map(lambda items: data.array(*items))
    ),
    max_leaves=12,
)
PLACES = sorted({*DATE_TIMES, *OBJECT_NAMES, *SCALER_UNITS, *ENUMERATIONS, (7, 3), (7, 6), (15, 2), (1, 2), (3, 1)})


@given(st.sampled_from(PLACES), values)
def test_every_value_has_a_text_and_json(place: tuple[int, int], value: Data) -> None:
    for name in ("0-0:1.1.0", "1-0:1.8.0"):
        assert isinstance(text_of(AttributeDescriptor(place[0], Obis.parse(name), place[1]), value), str)
    json_of(value)


KNOWN = {ExitCode.DONE, ExitCode.REFUSED, ExitCode.USAGE, ExitCode.NO_ANSWER, ExitCode.NOT_UNDERSTOOD}
COMMANDS = [
    ("scan", "--json"),
    ("scan", "--csv"),
    ("scan", "--save-model", "saved.toml"),
    ("profile", "1-0:99.1.0", "--json"),
    ("profile", "1-0:99.1.0", "--from", "2026-11-27T10:00:00Z", "--csv"),
    ("profile", "1-0:99.1.0", "--last", 2, "--columns", 1),
    ("read", "1-0:1.8.0"),
    ("clock",),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(map(str, command)))
def test_no_answer_ends_in_a_traceback(
    command: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The values of all attributes change with each example; an exception that is no exit code is raised by `run`."""
    monkeypatch.setenv("AMI_METER_COUNTERS", str(tmp_path / "counters.json"))
    monkeypatch.chdir(tmp_path)
    ami = Ami(Fleet(tmp_path, []))
    usual = objects()
    places = [*usual, (8, obis("0-0:1.0.0"), 3), (17, obis("0-0:41.0.0"), 2)]
    with FakeMeter(usual).running() as meter:

        @settings(max_examples=examples(15), suppress_health_check=list(HealthCheck), deadline=None)
        @given(st.lists(st.tuples(st.sampled_from(places), values | st.binary(max_size=30)), max_size=4))
        def tried(odd: list[tuple[fake.Place, Data | bytes]]) -> None:
            over: dict[fake.Place, Value] = {
                place: value if isinstance(value, bytes) else data.encode(value) for place, value in odd
            }
            meter.values = usual | over
            found = ami.run(*command, "--host", "127.0.0.1", "--port", meter.port, "--timeout", 2)
            assert found.code in KNOWN, found.err

        tried()


def test_the_places_are_those_of_the_meter() -> None:
    assert {OBJECT_LIST, (3, ENERGY, 2), (7, PROFILE, 2)} <= set(objects())

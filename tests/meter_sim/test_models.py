"""The models that come with the project, each as a meter that is read: everything that may be read has a value, and rights hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import CLOCK, IMPORT, Bench, attribute, setup

from ami_dlms.cosem.classes import class_versions
from ami_dlms.data import Data
from ami_dlms.enums import Mechanism
from ami_dlms.obis import Obis
from ami_meter_sim.objects.cosem_object import ReadContext
from ami_meter_sim.objects.families import family_of
from ami_meter_sim.objects.model_files import load_model
from ami_packs.model import MANAGEMENT, PUBLIC, Model, ObjectDescription
from ami_packs.model_files import model_names

SIX = {"single-phase", "three-phase", "three-phase-ct", "prosumer", "minimal", "gas-submeter"}
WITH_LOGS = sorted(SIX - {"minimal"})


@pytest.fixture(params=model_names())
def model(request: pytest.FixtureRequest) -> Model:
    return load_model(request.param)


def test_the_models_of_the_simulator() -> None:
    assert set(model_names()) == SIX | {"residential", "short-names", "prepayment"}


def test_everything_that_may_be_read_has_a_value(model: Model, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.start(setup(model=model))
    association = meter.association(1)
    assert association is not None and association.name == MANAGEMENT
    without = []
    for (class_id, obis), described in model.objects.items():
        access = described.access.get(MANAGEMENT)
        for number in sorted(access.read) if access else ():
            asked = ReadContext(MANAGEMENT, association.profile)
            value = meter.get(attribute((class_id, str(obis)), number), asked, bench.at)
            if not isinstance(value, Data):
                without.append((class_id, str(obis), number, value))
    assert without == []


def test_the_public_client_may_change_nothing(model: Model) -> None:
    for described in model.objects.values():
        access = described.access.get(PUBLIC)
        assert access is None or not (access.write or access.methods), described.obis


def test_each_association_sees_itself_and_who_the_meter_is(model: Model) -> None:
    for offered in model.associations:
        seen = {obis for (_, obis), one in model.objects.items() if offered.name in one.access}
        assert Obis.parse("0-0:42.0.0") in seen, offered.name
        assert offered.pre_established or Obis.parse("0-0:40.0.0") in seen, offered.name


def test_attributes_have_the_types_of_the_standard(model: Model) -> None:
    for described in model.objects.values():
        standard = class_versions()[described.class_id, described.version]
        for number, value in described.attributes.items():
            word = standard.attributes[number - 1].type
            assert word in ("CHOICE", value.tag.name.lower().replace("_", "-")), (described.obis, number)


@pytest.mark.parametrize("name", WITH_LOGS)
def test_a_meter_offers_what_the_issue_lists(name: str) -> None:
    offered = {one.name: one for one in load_model(name).associations}
    assert {key: one.client_wport for key, one in offered.items()} == {
        "public": 16,
        "reader": 2,
        "management": None,
        "firmware": 3,
        "push": 102,
    }
    assert offered["reader"].mechanism is Mechanism.GMAC and offered["reader"].encrypted
    assert offered["push"].pre_established and not offered["public"].keyed


@pytest.mark.parametrize("name", WITH_LOGS)
def test_the_reader_changes_nothing_and_sees_no_setting_of_security(name: str) -> None:
    for (class_id, obis), described in load_model(name).objects.items():
        access = described.access.get("reader")
        assert access is None or not access.write, obis
        assert access is None or not access.methods or class_id == 15, obis


@pytest.mark.parametrize("name", WITH_LOGS)
def test_events_have_numbers_meanings_sources_and_alarm_bits_that_are_used_once(name: str) -> None:
    model = load_model(name)
    events = [event for found in model.events.events.values() for event in found]
    assert len(events) > 50
    assert all(event.meaning and event.source for event in events)
    bits: dict[tuple[Obis, int], set[tuple[Obis, int]]] = {}
    for event in events:
        if event.alarm is not None:
            bits.setdefault((event.alarm.register, event.alarm.bit), set()).add((event.log, event.number))
    assert len(bits) > 15


def profiles(model: Model) -> dict[str, ObjectDescription]:
    return {str(one.obis).removesuffix("*255"): one for one in model.profiles}


@pytest.mark.parametrize("name", WITH_LOGS)
def test_profiles_of_a_quarter_of_an_hour_a_day_and_a_month(name: str) -> None:
    found = profiles(load_model(name))
    assert [found[obis].capture_period for obis in ("1-0:99.1.0", "1-0:99.2.0", "0-0:98.1.0")] == [900, 86400, 0]
    assert found["0-0:98.1.0"].options == {"months": True}
    status = (Obis.parse("0-0:96.10.1"), Obis.parse("0-0:96.10.2"))
    assert [found[f"1-0:99.{n}.0"].columns[1].logical_name for n in (1, 2)] == list(status)


def test_what_is_different_in_each() -> None:
    models = {name: load_model(name) for name in SIX}
    switch, third_phase = (70, Obis.parse("0-0:96.3.10")), (3, Obis.parse("1-0:72.7.0"))
    has_switch = {name for name, one in models.items() if switch in one.objects}
    assert has_switch == SIX - {"minimal", "three-phase-ct"}
    three_phases = {name for name, one in models.items() if third_phase in one.objects}
    assert three_phases == {"three-phase", "three-phase-ct", "prosumer"}
    assert (72, Obis.parse("0-1:24.1.0")) in models["gas-submeter"].objects
    assert (3, Obis.parse("1-0:16.8.0")) in models["prosumer"].objects
    assert len(models["minimal"].objects) == 10


def test_object_lists_are_shared_by_all_meters_of_a_model(tmp_path: Path) -> None:
    model = load_model("three-phase")
    meters = [Bench(tmp_path / str(number)).start(setup(f"M{number}", model=model)) for number in (1, 2)]
    lists = [one.setup.model.object_lists[MANAGEMENT] for one in meters]
    assert lists[0] is lists[1] and load_model("three-phase") is model
    assert len(lists[0].value) > 100
    assert (*CLOCK, *IMPORT) and all(family_of(one) for one in model.objects.values() if one.value)

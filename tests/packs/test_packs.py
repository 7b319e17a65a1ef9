"""Packs: those that come along are whole and say their sources; a folder lies over another one; what is wrong is said with file and line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ami_dlms.obis import Obis
from ami_mapping.alarms import alarm_rows
from ami_mapping.events import event_rows
from ami_meter_sim.objects.model_files import VOCABULARY
from ami_packs.comparison import nearest
from ami_packs.document import ModelError
from ami_packs.event_list import AlarmBit, Occurrence
from ami_packs.model import MANAGEMENT, PUBLIC
from ami_packs.model_files import event_list_named, shipped_model
from ami_packs.pack import Level
from ami_packs.pack_folders import Packs, packs_with, shipped_folder, shipped_packs

PACKS = shipped_packs()
SERVED = [f"{name}/{model}" for name in PACKS.names for model in PACKS.pack(name).models]
COVER_LOG = Obis.parse("0-0:99.98.1")
OBJECTS = "class_id,version,obis,name,models,value,constant,scaler,unit,rights,options,public,management,source\n"
EVENTS = "log,number,meaning,occurrences,alarm,code,basis,source\n"
HEADER = '[pack]\ntitle = "Own"\nlevel = "meter"\nbasis = "a test"\n'


def folder(directory: Path, name: str = "own", /, **files: str) -> Path:
    """A folder with one pack; `models_x` is the file models/x.toml."""
    for key, text in {"pack.toml": HEADER, **files}.items():
        kind, _, model = key.partition("_")
        path = directory / name / (f"models/{model}.toml" if kind == "models" else key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


def wrong(directory: Path, name: str = "own") -> list[str]:
    with pytest.raises(ModelError) as caught:
        Packs([shipped_folder(), directory]).pack(name)
    return str(caught.value).splitlines()


def test_every_pack_is_whole_and_every_row_says_its_source() -> None:
    for name in PACKS.names:
        pack = PACKS.pack(name)
        assert sum(pack.rows.values()) and pack.basis and pack.notes, name
        assert list(pack.sourceless()) == [], name
        assert bool(pack.models) is (pack.level is not Level.LIST), name
        said = [one.source for one in (*pack.objects.values(), *pack.events.values(), *pack.alarms.values())]
        assert not [one for one in said if re.search(r"index id|/work|TODO|\bid \d", one)], name


@pytest.mark.parametrize("name", SERVED)
def test_a_model_serves_what_its_pack_has_under_the_numbers_of_the_pack(name: str) -> None:
    pack, model = PACKS.pack(name.partition("/")[0]), PACKS.model(name, VOCABULARY)
    for occurrence, events in model.events.events.items():
        for event in events:
            row = pack.events[event.log, event.number]
            assert occurrence in row.occurrences and event.alarm in (row.alarm, None)
    for key, one in pack.objects.items():
        served = model.objects.get(key)
        if served is not None and one.version is not None and (not one.models or name.partition("/")[2] in one.models):
            assert served.source


def test_what_the_general_rows_have_of_idis_the_pack_has_too() -> None:
    """A meter's events are the same whether its entry names the pack or not; and the list of the fleet's models is the pack's."""
    pack = PACKS.pack("idis-like")
    assert {key: pack.events[key].code for key in event_rows()} == {key: row.code for key, row in event_rows().items()}
    assert {key: (one.code, one.numbers) for key, one in pack.alarms.items()} == {
        key: (row.code, row.numbers) for key, row in alarm_rows().items()
    }
    for occurrence, events in event_list_named("idis").events.items():
        for event in events:
            row = pack.events.get((event.log, event.number))
            assert row is None or (occurrence in row.occurrences and row.alarm == event.alarm)


def test_rights_of_a_row_lie_over_those_of_the_base() -> None:
    model, base = PACKS.model("idis-like/single-phase", VOCABULARY), shipped_model("single-phase")
    key = (3, Obis.parse("1-0:1.8.0"))
    assert base.objects[key].access[MANAGEMENT].methods and not model.objects[key].access[MANAGEMENT].methods
    assert model.objects[key].value == base.objects[key].value
    assert PUBLIC not in model.objects[key].access
    name = (1, Obis.parse("0-0:42.0.0"))
    assert model.objects[name].access["firmware"] == base.objects[name].access["firmware"], "no column says it"


def test_a_folder_lies_over_a_pack_of_the_same_name_and_over_one_that_it_extends(tmp_path: Path) -> None:
    own = EVENTS + "0-0:99.98.1,44,plate off,magnet_on,,0.12.66.242,,here\n"
    laid = packs_with(folder(tmp_path, "idis-like", **{"events.csv": own}))
    folder(tmp_path, "own", **{"pack.toml": HEADER + 'extends = "idis-like"\nwithout = ["3/1-0:1.8.0"]\n'})
    for name in ("idis-like", "own"):
        pack = laid.pack(name) if name == "idis-like" else Packs([shipped_folder(), tmp_path]).pack(name)
        row = pack.events[COVER_LOG, 44]
        assert (row.code, row.source, row.alarm) == ("0.12.66.242", "here", None)
        assert pack.events[COVER_LOG, 40] == PACKS.pack("idis-like").events[COVER_LOG, 40]
        assert ((3, Obis.parse("1-0:1.8.0")) in pack.objects) is (name == "idis-like")
    events = Packs([shipped_folder(), tmp_path]).model("own/three-phase").events.of(Occurrence.MAGNET_ON)
    assert [one.number for one in events] == [42, 44]
    assert PACKS.pack("idis-like").events[COVER_LOG, 44].alarm == AlarmBit(Obis.parse("0-0:97.98.0"), 13)


def test_rows_with_values_are_objects_and_rows_without_lay_rights_over_the_base(tmp_path: Path) -> None:
    objects = (
        OBJECTS
        + '1,0,0-0:96.50.7,plate,house,,{ text = "PLATE 7" },,,,,-,r1-2 w2,here\n'
        + "3,0,1-0:1.8.0,energy,,import_energy_wh,,1,Wh,,,r1-3,r1-3 m1,here\n"
        + "8,0,0-0:1.0.0,clock,,,,,,,,-,r1-2,here\n"
        + "3,0,1-0:99.8.0,not served,,,,,,,,-,r1-3,here\n"
    )
    model = '[model]\ntitle = "House"\nbase = "minimal"\n'
    own = Packs([folder(tmp_path, **{"objects.csv": objects, "models_house": model})]).model("own/house", VOCABULARY)
    plate, energy = own.objects[1, Obis.parse("0-0:96.50.7")], own.objects[3, Obis.parse("1-0:1.8.0")]
    assert plate.attributes[2].value == b"PLATE 7" and plate.access[MANAGEMENT].write == {2} and plate.static
    assert (energy.value, energy.scaler, energy.access[PUBLIC].read) == ("import_energy_wh", 1, {1, 2, 3})
    clock = own.objects[8, Obis.parse("0-0:1.0.0")]
    assert clock.access[MANAGEMENT].read == {1, 2} and PUBLIC not in clock.access
    assert (3, Obis.parse("1-0:99.8.0")) not in own.objects


def test_what_is_wrong_is_said_at_once_with_file_and_line(tmp_path: Path) -> None:
    events = EVENTS + "0-0:99.98.1,44,a,cover,,12.1,,x\n0-0:99.98.1,45,b,,0-0:97.98.0/200,,,x\n0-0:99.98.1,1,c\n"
    events += "0-0:99.98.1,46,d,,,,,x\n0-0:99.98.1,46,again,,,,,x\n"
    header = HEADER.replace("meter", "metre") + "[[notes]]\ntext = 1\n"
    assert wrong(folder(tmp_path, **{"pack.toml": header})) == [
        "own/pack.toml:3: `metre` is not known here; did you mean `meter`?"
    ]
    header = HEADER + '[[notes]]\ntext = "x"\nsubject = "weather"\n'
    found = wrong(folder(tmp_path, **{"pack.toml": header, "events.csv": events}))
    assert [one.partition(": ")[0].removeprefix("own/") for one in found] == [
        *("events.csv:2", "events.csv:2", "events.csv:3", "events.csv:4", "events.csv:6"),
        "pack.toml:7",
    ]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"event.csv": EVENTS}, "own/event.csv:1: is no file of a pack; did you mean `events.csv`?"),
        ({"events.csv": "log,number\n"}, "own/events.csv:1: the column `meaning` is missing"),
        ({"events.csv": EVENTS + '"'}, "own/events.csv:2: is no CSV: "),
        ({"events.csv": EVENTS + "x" * 3_000 + ",1,a,,,,,x\n"}, "own/events.csv:2: a cell has more than 2000"),
        ({"pack.toml": HEADER + 'extends = "own"\n'}, "own/pack.toml:1: own -> own: packs can't extend"),
        ({"pack.toml": HEADER + 'extends = "idis"\n'}, "own/pack.toml:1: there is no pack `idis`; did you mean `idis-like`?"),
        ({"pack.toml": HEADER + 'extends = "idis-like"\nwithout = ["3/1-0:1.8.9"]\n'}, "own/pack.toml:1: the pack that it extends has no object"),
        ({"objects.csv": OBJECTS + "3,9,1-0:1.8.0,a,,import_energy_wh,,,Wh,,,,r1,x\n"}, "own/objects.csv:2: class 3 version 9 is not known here"),
        ({"events.csv": EVENTS + "\x00,1,a,,,,,x\n"}, "own/events.csv:"),
    ],
)  # fmt: skip
def test_a_folder_that_can_not_be_used_is_refused(tmp_path: Path, files: dict[str, str], said: str) -> None:
    assert wrong(folder(tmp_path, **files))[0].startswith(said)


def test_a_right_that_an_object_has_not_is_a_problem_of_its_row(tmp_path: Path) -> None:
    objects = OBJECTS.replace("management", "boss") + "3,0,1-0:1.8.0,energy,,,,,,,,r1-9,r1,here\n"
    folder(tmp_path, **{"objects.csv": objects, "models_house": '[model]\ntitle = "House"\nbase = "minimal"\n'})
    with pytest.raises(ModelError) as caught:
        Packs([tmp_path]).model("own/house", VOCABULARY)
    assert {one.line for one in caught.value.problems} == {2}
    assert "has no attribute 4" in str(caught.value) and "`boss` is no column and no association" in str(caught.value)


def test_an_object_list_is_compared_with_the_nearest_model() -> None:
    keys = PACKS.object_keys("idis-like")
    first, *rest = sorted(keys["three-phase"])
    found = nearest(keys, [*rest, (1, Obis.parse("9-9:9.9.9"))])
    assert (found.model, found.missing, found.more) == ("three-phase", (first,), ((1, Obis.parse("9-9:9.9.9")),))
    assert nearest({}, rest).model == ""

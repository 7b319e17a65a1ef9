"""The schema of models: everything that is wrong is reported at once, with the file, the line, and what to do."""

from __future__ import annotations

import pytest

from ami_dlms import data
from ami_dlms.enums import DataAccessResult, Mechanism
from ami_dlms.obis import Obis
from ami_packs.base_names import names_of
from ami_packs.document import MAX_PROBLEMS, ModelError
from ami_packs.event_list import Occurrence
from ami_packs.model import OFFERED, ObjectAccess
from ami_packs.model_files import model_names, parse_model, shipped_model
from ami_packs.object_keys import Vocabulary

TEXT = """\
[model]
title = "A small meter"

[[associations]]
name = "public"
client_wport = 16

[[associations]]
name = "management"

[[associations]]
name = "reader"
client_wport = 2
authentication = "hls-gmac"
policy = "both"
security_setup = 2

[rights.shown]
management = { read = "all" }
reader = { read = ["value"] }

[[objects]]
obis = "0-0:42.0.0"
class_id = 1
version = 0
name = "COSEM logical device name"
source = "test"
value = "logical_device_name"
rights = "shown"
public = { read = [1, 2] }

[[groups]]
class_id = 3
version = 0
unit = "Wh"
rights = "shown"
source = "test"
objects = [
  { obis = "1-0:1.8.0", name = "Active energy import (A+)", value = "import_energy_wh" },
  { obis = "1-0:2.8.0", name = "Active energy export (A-)", attributes = { value = { double_long_unsigned = 7 } }, scaler = 3 },
]

[[objects]]
obis = "0-0:1.0.0"
class_id = 8
version = 0
name = "Clock"
source = "test"
management = { read = "all", write = ["time"], methods = [6] }

[[objects]]
obis = "0-0:99.98.0"
class_id = 7
version = 1
name = "Standard event log"
source = "test"
columns = ["8/0-0:1.0.0/2", "3/1-0:1.8.0/2"]
management = { read = "all" }

[[objects]]
obis = "0-0:97.98.0"
class_id = 1
version = 0
name = "Alarm register 1"
source = "test"
management = { read = "all", write = [2] }
attributes = { value = { double_long_unsigned = 0 } }
errors = { 1 = "temporary-failure" }

[[events]]
occurrence = "power_down"
log = "0-0:99.98.0"
number = 1
meaning = "Power down"
source = "test"
alarm = { register = "0-0:97.98.0", bit = 0 }
"""
VOCABULARY = Vocabulary(frozenset({"logical_device_name", "import_energy_wh"}), lambda _, __: {"strict": True})


def problems_of(text: str) -> list[str]:
    with pytest.raises(ModelError) as caught:
        parse_model(text, "odd.toml", VOCABULARY)
    return str(caught.value).splitlines()


def test_a_small_model() -> None:
    model = parse_model(TEXT, "small.toml", VOCABULARY)
    assert (model.title, model.load) == ("A small meter", None)
    public, management, reader = model.associations
    assert (public.keyed, management.client_wport) == (False, None)
    assert (reader.mechanism, reader.authenticated, reader.encrypted) == (Mechanism.GMAC, True, True)
    assert (reader.security_setup, reader.keyed) == (2, True)
    exported = model.objects[3, Obis.parse("1-0:2.8.0")]
    assert exported.static and exported.attributes == {
        2: data.double_long_unsigned(7),
        3: data.structure(data.integer(3), data.enum(30)),
    }
    assert exported.access == {
        "management": ObjectAccess(read=frozenset({1, 2, 3})),
        "reader": ObjectAccess(read=frozenset({2})),
    }
    clock = model.objects[8, Obis.parse("0-0:1.0.0")]
    assert clock.access["management"].write == {2} and clock.access["management"].methods == {6}
    register = model.objects[1, Obis.parse("0-0:97.98.0")]
    assert register.errors == {1: DataAccessResult.TEMPORARY_FAILURE} and register.static
    (event,) = model.events.of(Occurrence.POWER_DOWN)
    assert event.alarm is not None and (event.number, event.alarm.bit, event.source) == (1, 0, "test")


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('title = "A small meter"', 'titel = "A"', "[model] has no key `titel`; did you mean `title`?"),
        ('title = "A small meter"', "title = 5", "a text was expected, not 5"),
        ('[model]\ntitle = "A small meter"\n', "", "a model needs the key `model` (table: what the model is)"),
        ("[[events]]", "[[occurrences]]", "a model has no key `occurrences`; known are model, load, associations"),
        ('name = "reader"', 'names = "reader"', "an association needs the key `name`"),
        ('name = "reader"', 'name = "public"', "the association `public` is there already, in line 4"),
        ("client_wport = 2", "client_wport = 16", "client 16 has the association `public` already"),
        ("client_wport = 2", "client_wport = 70000", "70000 is not within 1 and 65535"),
        ('"hls-gmac"', '"gmac"', "`gmac` is not known here; did you mean `hls-gmac`?"),
        ('policy = "both"', "pre_established = true", "a pre-established association has no authentication"),
        ("reader = { read", "readers = { read", "`shown` gives a right to `readers`, which is no association"),
        ('rights = "shown"\npublic', 'rights = "show"\npublic', "no `[rights]` called `show`; did you mean `shown`?"),
        ("public = { read = [1, 2] }", "public = { see = [1] }", "a right has no key `see`; known are read, write"),
        ("public = { read = [1, 2] }", "public = { read = [3] }", "the object has no attribute 3; it has 1, 2"),
        ("methods = [6]", "methods = [7]", "the object has no method 7; it has 1, 2, 3, 4, 5, 6"),
        ('write = ["time"]', 'write = ["tim"]', "`tim` is not known here; did you mean `time`?"),
        ('obis = "0-0:42.0.0"', 'obis = "0.0.42"', "not an OBIS code of the form A-B:C.D.E*F: '0.0.42'"),
        ('obis = "0-0:97.98.0"\n', "", "an object needs the key `obis`"),
        ("class_id = 8", "class_id = 9999", "class 9999 version 0: the class is not known; an object of any other"),
        ("class_id = 7\nversion = 1", "class_id = 7\nversion = 9", "class 7 version 9: known are the versions 1"),
        ('"logical_device_name"', '"device_name"', "there is no value `device_name`; did you mean"),
        ('"Clock"', '"Clock"\nvalue = "import_energy_wh"', "a class 8 has no value of its own; remove it"),
        (
            '"Clock"',
            '"Clock"\noptions = { strict = 5 }',
            "0-0:1.0.0*255: there is no option strict = 5; there are: strict",
        ),
        ('"Clock"', '"Clock"\nscalar = 1', "an object has no key `scalar`; did you mean `scaler`?"),
        ('"Wh"', '"kWh"', "`kWh` is not known here; did you mean `Wh`?"),
        ("double_long_unsigned = 7", "double_long_unsigned = -7", "-7 is not within 0 and 4294967295"),
        (
            "double_long_unsigned = 7",
            "double_longs = 7",
            "there is no type `double_longs`; did you mean `double_long`?",
        ),
        ("{ value = { double_long_unsigned = 0 } }", "{ values = { unsigned = 0 } }", "`values` is not known here"),
        ("{ value = { double_long_unsigned = 0 } }", '{ 2 = "0a0241" }', "is no A-XDR of one value"),
        ("{ value = { double_long_unsigned = 0 } }", '{ 2 = "zz" }', "hexadecimal digits were expected"),
        ("{ value = { double_long_unsigned = 0 } }", "{ logical_name = { unsigned = 1 } }", "is of type octet-string"),
        ('"temporary-failure"', '"bad-mood"', "`bad-mood` is not known here; known are hardware-fault"),
        ('"1-0:2.8.0"', '"1-0:1.8.0"', "1-0:1.8.0*255 of class 3 is there already, in line 39"),
        ('"8/0-0:1.0.0/2"', '"8/0-0:1.0.1/2"', "the model has no object 0-0:1.0.1*255 of class 8"),
        ('"3/1-0:1.8.0/2"', '"3/1-0:1.8.0/9"', "1-0:1.8.0*255 of class 3 has no attribute 9"),
        ('"3/1-0:1.8.0/2"', '"3/1-0:1.8.0"', 'a column is "class/obis/attribute"'),
        ('read = "all", write = ["time"], methods = [6]', "", "no association sees 0-0:1.0.0*255; add a line like"),
        ('"power_down"', '"power_dawn"', "`power_dawn` is not known here; did you mean `power_down`?"),
        ('log = "0-0:99.98.0"', 'log = "0-0:99.98.1"', "the model has no log 0-0:99.98.1*255 (class 7)"),
        ('register = "0-0:97.98.0"', 'register = "0-0:97.98.1"', "the model has no alarm register 0-0:97.98.1*255"),
        ("bit = 0", "bit = 32", "32 is not within 0 and 31"),
        ('title = "A small meter"', 'title = "A"\nbase = "resident"', "there is no model `resident`; did you mean"),
        (
            'title = "A small meter"',
            'title = "A"\nevent_list = "idi"',
            "there is no event list `idi`; did you mean `idis`",
        ),
        ('title = "A small meter"', 'title = "A"\nwithout = ["1-0:1.8.0"]', "the base has no object 1-0:1.8.0*255"),
        ('title = "A small meter"', 'title = "A"\n[load]\nconsumption_w = [1]', "[load] needs the key `generation_w`"),
        ("number = 1", "number = true", "a whole number was expected, not True"),
    ],
)
def test_each_problem_has_its_line(old: str, new: str, what: str) -> None:
    assert TEXT.count(old) >= 1
    before = TEXT.partition(old)[0]
    found = problems_of(TEXT.replace(old, new, 1))
    first = next((one for one in found if what in one), None)
    assert first is not None, found
    file, line, _ = first.split(":", 2)
    assert file == "odd.toml"
    table_line, last = before[: before.rfind("\n[") + 1].count("\n"), before.count("\n") + new.count("\n") + 1
    assert table_line <= int(line) <= last


def test_all_problems_are_reported_at_once_in_the_order_of_lines() -> None:
    odd = TEXT.replace('"Wh"', '"kWh"').replace('"logical_device_name"', '"nothing"').replace("bit = 0", "bit = 99")
    lines = [int(one.split(":")[1]) for one in problems_of(odd)]
    assert len(lines) >= 3 and lines == sorted(lines)


def test_a_thousand_problems_are_not_all_shown() -> None:
    many = "".join(f"key_{number} = 1\n" for number in range(1000))
    found = problems_of(TEXT.replace('title = "A small meter"\n', f'title = "A"\n{many}'))
    assert len(found) == MAX_PROBLEMS + 1 and found[-1] == "and 950 problems more"


@pytest.mark.parametrize("text", ["[model", "a = 1\na = 2", "", "objects = 5", "[model]\ntitle = 1\nobjects = {}"])
def test_what_is_no_model(text: str) -> None:
    assert all(one.startswith("odd.toml:") for one in problems_of(text))


def test_the_objects_of_a_group_share_attributes_and_may_change_them() -> None:
    group = """
[[groups]]
class_id = 40
version = 0
source = "test"
management = { read = "all" }
attributes = { number_of_retries = { unsigned = 3 }, repetition_delay = { long_unsigned = 60 } }
objects = [
  { obis = "0-1:25.9.0", name = "one" },
  { obis = "0-2:25.9.0", name = "two", attributes = { number_of_retries = { unsigned = 0 } } },
]
"""
    model = parse_model(TEXT + group, "small.toml")
    one, two = (model.objects[40, Obis.parse(f"0-{number}:25.9.0")].attributes for number in (1, 2))
    assert one == {6: data.unsigned(3), 7: data.long_unsigned(60)}
    assert two == one | {6: data.unsigned(0)}


def test_a_model_that_lists_no_association_offers_the_public_and_the_management_one() -> None:
    text = '[model]\ntitle = "bare"\n' + TEXT[TEXT.index("[[objects]]") :].replace('rights = "shown"\n', "")
    text = text.replace('source = "test"\nobjects', 'source = "test"\nmanagement = { read = "all" }\nobjects')
    assert parse_model(text, "bare.toml").associations == OFFERED


@pytest.mark.parametrize(
    ("written", "octets"),
    [
        ('{ text = "abc" }', "0903616263"),
        ('{ obis = "0-0:10.0.100" }', "090600000A0064FF"),
        ('{ time = "06:30" }', "0904061E0000"),
        ('{ time = "*:00:05" }', "0904FF000500"),
        ('{ date = "*-12-25" }', "0905FFFF0C19FF"),
        ('{ date_time = "*-03-last Sun 02:00" }', "090CFFFF03FE07020000008000FF"),
        ('{ bit_string = "1011" }', "0404B0"),
        ("{ structure = [{ integer = -1 }, { enum = 30 }] }", "02020FFF161E"),
        ("{ array = [{ boolean = true }] }", "01010301"),
        ('{ date_time = "*-*-* *:*:*" }', "090CFFFFFFFFFFFFFFFFFF8000FF"),
        ('{ attribute = "3/1-0:1.7.0/2" }', "020312000309060100010700FF0F02"),
        ('{ script = "0-0:10.0.106/1" }', "0202090600000A006AFF120001"),
        ('{ execute = "70/0-0:96.3.10/1" }', "020516021200460906000060030AFF0F010F00"),
        ('{ columns = ["8/0-0:1.0.0/2"] }', "0101020412000809060000010000FF0F02120000"),
        ('{ octet_string = "00ff" }', "090200FF"),
        ('{ visible_string = "x" }', "0A0178"),
        ("{ float32 = 1.5 }", "173FC00000"),
        ("{ null_data = true }", "00"),
        ('"120005"', "120005"),
    ],
)
def test_values_as_a_person_writes_them(written: str, octets: str) -> None:
    text = TEXT.replace("value = { double_long_unsigned = 0 }", f"value = {written}")
    described = parse_model(text, "small.toml").objects[1, Obis.parse("0-0:97.98.0")]
    assert data.encode(described.attributes[2]).hex().upper() == octets


@pytest.mark.parametrize(
    "written",
    [
        '{ time = "25:00" }',
        '{ time = "noon" }',
        '{ date = "2026-13-01" }',
        '{ date = "Christmas" }',
        '{ date_time = "06:00" }',
        '{ script = "0-0:10.0.106" }',
        '{ attribute = "3/1-0:1.7.0" }',
        '{ execute = "70/0-0:96.3/1" }',
        '{ columns = ["8/0-0:1.0.0"] }',
        '{ bit_string = "12" }',
        '{ text = "é" }',
        "{ float32 = 1e300 }",
        "{ boolean = 1 }",
        "{ unsigned = 1, enum = 2 }",
        "{ structure = 5 }",
        "[]",
        "5",
    ],
)
def test_values_that_are_none(written: str) -> None:
    text = TEXT.replace("value = { double_long_unsigned = 0 }", f"value = {written}")
    line = text.partition("attributes = { value = " + written)[0].count("\n") + 1
    assert [one.partition(": ")[0] for one in problems_of(text)] == [f"odd.toml:{line}"]


def test_an_object_of_a_scan_has_what_is_listed_and_refers_to_what_it_likes() -> None:
    scanned = TEXT.replace(
        'columns = ["8/0-0:1.0.0/2", "3/1-0:1.8.0/2"]',
        'columns = [{ class_id = 9999, obis = "0-0:1.0.9", attribute = -3 }]\n'
        'listed = { attributes = [1, 2, -1], methods = [] }\nrows = ["0201120005"]',
    )
    described = parse_model(scanned, "scanned.toml").objects[7, Obis.parse("0-0:99.98.0")]
    assert described.columns[0].class_id == 9999 and described.rows == (bytes.fromhex("0201120005"),)
    assert described.access["management"].read == {1, 2, -1}


def test_a_model_begins_with_another_one_and_says_what_is_different() -> None:
    text = """
[model]
title = "Without a switch"
base = "residential"
without = ["0-0:96.3.10"]

[[objects]]
obis = "1-0:1.8.0"
class_id = 3
version = 0
name = "Another register"
source = "test"
unit = 30
management = { read = [2] }
attributes = { value = { long_unsigned = 1 } }
"""
    model, base = parse_model(text, "other.toml"), shipped_model("residential")
    assert set(base.objects) - set(model.objects) == {(70, Obis.parse("0-0:96.3.10"))}
    register = model.objects[3, Obis.parse("1-0:1.8.0")]
    assert (register.name, register.access["management"].read) == ("Another register", {2})
    assert model.associations == base.associations and model.load == base.load
    broken = text.replace('without = ["0-0:96.3.10"]', 'without = ["1-0:2.8.0"]')
    with pytest.raises(
        ModelError, match=r"^residential\.toml:\d+: the model has no object 1-0:2\.8\.0\*255 of class 3$"
    ):
        parse_model(broken, "other.toml")


@pytest.mark.parametrize("name", model_names())
def test_every_model_of_the_package_can_be_read(name: str) -> None:
    model = shipped_model(name)
    assert model.title and model.objects
    for described in model.objects.values():
        assert described.source and described.name and described.access


def test_a_model_with_short_names_has_an_association_that_lists_them() -> None:
    text = '[model]\ntitle = "x"\nbase = "minimal"\nshort_names = true\n'
    with pytest.raises(ModelError) as refused:
        parse_model(text, "other.toml")
    said = str(refused.value)
    assert "0-0:40.0.0*255 of class 15 has no place in a model with short names" in said
    assert "needs the object 0-0:40.0.0 of class 12" in said


def test_base_names_are_those_of_the_standard_and_leave_room_for_each_object() -> None:
    names = {one: names_of(shipped_model("short-names"))[one] for one in ("management", "public")}
    bases = {(one.class_id, str(one.logical_name)): one.base_name for one in names["management"]}
    assert bases[12, "0-0:40.0.0*255"] == 0xFA00
    assert bases[17, "0-0:41.0.0*255"] == 0xFC00
    assert bases[1, "0-0:42.0.0*255"] == 0xFD00
    for named in names["management"]:
        for found in (named.at(8 * number) for number in range(32)):
            if found is not None:
                assert names["management"].resolve(names["management"].name_of(found)) == found
    assert {one.base_name for one in names["public"]} < {one.base_name for one in names["management"]}


def test_more_objects_than_base_names_are_refused() -> None:
    many = "".join(
        f'[[objects]]\nobis = "1-0:{n % 200}.{n // 200}.1"\nclass_id = 7\nversion = 1\nname = "x"\nsource = "own"\n'
        "management = { read = [1] }\n"
        for n in range(700)
    )
    header = '[model]\ntitle = "x"\nbase = "short-names"\n'
    with pytest.raises(ModelError, match="do not fit into 16 bits"):
        parse_model(header + many, "other.toml")

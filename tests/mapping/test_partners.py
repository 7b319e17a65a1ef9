"""Partner profiles: switches that change whole rules, rows of one's own, and refusals of the whole."""

from __future__ import annotations

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.obis import Obis
from ami_mapping.lookup import Match, readings
from ami_mapping.partners import KEYS, SWITCHES, export, parse_profile
from ami_mapping.patterns import Bindings
from ami_mapping.reading_types import RefusedReadingType
from ami_mapping.readings import COLUMNS, Direction
from ami_mapping.tables import TableError

WORDS = (*KEYS, "switches.day", 'aliases."x"', "unsure.x")
POSITIONS = [(switch, position) for switch, positions in SWITCHES.items() for position in positions]
REACTIVE = AttributeDescriptor(3, Obis.parse("1-0:3.8.0"), 2)
VOLTAGE = AttributeDescriptor(3, Obis.parse("1-0:32.7.0"), 2)
IMPORT = AttributeDescriptor(3, Obis.parse("1-0:1.8.0"), 2)


def switched(switch: str, position: str) -> str:
    return f'[switches]\n{switch} = "{position}"\n'


@pytest.mark.parametrize(("switch", "position"), POSITIONS)
def test_a_switch_is_consistent_in_both_directions(switch: str, position: str) -> None:
    table = parse_profile(switched(switch, position), "partner.toml").table()
    for row in table.rows:
        code = Match(row, Bindings(3, 2, 5)).reading_type(3, 978)
        if row.direction is Direction.BOTH:
            assert {match.reading_type(3, 978) for match in table.answers(code)} == {code}
    assert len(table.rows) == len(readings().rows)


@pytest.mark.parametrize(
    ("switch", "position", "attribute", "context", "code"),
    [
        ("reactive_pair", "5/13", REACTIVE, "register", "0.0.0.1.5.1.12.0.0.0.0.0.0.0.0.3.73.0"),
        ("reactive_pair", "1/19", REACTIVE, "register", "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.73.0"),
        ("reactive_pair", "2/3", REACTIVE, "register", "0.0.0.1.2.1.12.0.0.0.0.0.0.0.0.3.73.0"),
        ("commodity", "2", IMPORT, "register", "0.0.0.1.1.2.12.0.0.0.0.0.0.0.0.3.72.0"),
        ("voltage_phases", "128", VOLTAGE, "instantaneous", "0.0.0.12.0.1.54.0.0.0.0.0.0.0.128.3.29.0"),
        ("day", "measuring", IMPORT, "daily", "0.0.4.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"),
    ],
)
def test_what_each_switch_does(
    switch: str, position: str, attribute: AttributeDescriptor, context: str, code: str
) -> None:
    table = parse_profile(switched(switch, position), "partner.toml").table()
    assert str(table.code_of(attribute, context).reading_type(3)) == code
    general = readings().code_of(attribute, context).reading_type(3)
    assert table.code_of(attribute, context).row.id in [match.row.id for match in table.answers(general)]


def test_all_switches_at_once() -> None:
    text = '[switches]\nreactive_pair="1/19"\ncommodity="2"\nvoltage_phases="128"\nday="measuring"\n'
    table = parse_profile(text, "partner.toml").table()
    assert str(table.code_of(REACTIVE, "daily").reading_type(3)) == "0.0.4.1.1.2.12.0.0.0.0.0.0.0.0.3.73.0"


def test_unsure_rows_drops_and_aliases() -> None:
    text = 'unsure = ["RT0029"]\ndrop = ["RT0001"]\n[aliases]\n"0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.m.167.0" = "RT0003"\n'
    table = parse_profile(text, "partner.toml").table()
    assert table.answers("8.0.0.4.1.1.12.0.0.0.0.0.0.0.0.0.72.0")[0].row.id == "RT0029"
    assert [match.row.id for match in table.answers("0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0")] == ["RT0934"]
    assert table.answers("0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.167.0")[0].row.id == "RT0003"


def test_a_doubtful_alias_is_accepted_from_the_partner_that_turns_it_on() -> None:
    row = next(one for one in readings().rows if one.partner_aliases)
    code = row.partner_aliases[0].fill(Bindings(3), 3, 0)
    with pytest.raises(RefusedReadingType):
        readings().answers(code)
    table = parse_profile(f'partner_aliases = ["{row.id}"]', "partner.toml").table()
    assert table.answers(code)[0].row.id == row.id


def own(**cells: str) -> str:
    row = {"id": "P1", "obis": "1-0:128.8.0*255", "class_id": "3", "attribute": "2", "context": "register"}
    row |= {"reading_type": "0.0.0.1.0.1.12.0.0.0.0.0.0.0.0.m.72.0", "direction": "both", "confidence": "field"}
    row |= {"meaning": "energy of a maker's own", "source": "the partner", "decision": "M-125", **cells}
    return ",".join(COLUMNS) + "\n" + ",".join(row.get(name, "") for name in COLUMNS) + "\n"


def test_rows_of_a_partners_own() -> None:
    table = parse_profile("", "partner.toml", own(), "partner.csv").table()
    found = table.code_of(AttributeDescriptor(3, Obis.parse("1-0:128.8.0"), 2), "register")
    assert table.answers(found.reading_type())[0].row.id == "P1"


def test_a_row_of_a_partners_own_may_say_that_it_is_a_general_quantity() -> None:
    text = own(
        reading_type="0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.m.72.0", same_as="RT0001", collides_with="RT0934", first="RT0001"
    )
    table = parse_profile("", "partner.toml", text).table()
    assert [match.row.id for match in table.answers("0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0")] == [
        "RT0001",
        "RT0934",
        "P1",
    ]


@pytest.mark.parametrize(
    ("text", "rows", "fault"),
    [
        ("x = [", "", "partner.toml: "),
        ("switch = 1", "", "no key 'switch'"),
        ("switches = 1", "", "switches is a table of texts"),
        ("[switches]\nday = 4", "", "switches is a table of texts"),
        ('[switches]\nnight = "1"', "", "no switch 'night'"),
        ('[switches]\nday = "4"', "", "switch day is '4' and not one of macro, measuring"),
        ('unsure = "RT0029"', "", "unsure is a list of ids"),
        ('unsure = ["RT9999"]', "", "unsure names 'RT9999'"),
        ('drop = ["RT9999"]', "", "drop names 'RT9999'"),
        ('[aliases]\n"1.2.3" = "RT0001"', "", "18 numbers"),
        ('[aliases]\n"0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.m.71.0" = "RT0001"', "", "means RT0017 already"),
        ("", own(id="RT0001"), "the id RT0001 is one of the general table"),
        ("", own(reading_type="0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.m.72.0"), "has the code of RT0001"),
        ("", own(obis="1-0:1.8.0*255"), "P1 is the attribute and context of RT0001 again"),
        ("", own(same_as="RT0002"), "P1 names RT0002, which is no row with the same code"),
        ("", own(context="hourly"), "partner.csv:2: "),
        ("x" * 2_000_001, "", "more than 2000000 characters"),
        ("x = " + "[" * 20_000, "", "partner.toml: "),
    ],
)
def test_a_profile_with_a_fault_is_refused_as_a_whole(text: str, rows: str, fault: str) -> None:
    with pytest.raises(TableError) as refusal:
        parse_profile(text, "partner.toml", rows, "partner.csv")
    assert fault in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\nswitch = 1", 2),
        ('[switches]\n\nnight = "1"', 3),
        ('[switches]\nday = "4"', 2),
        ('# x\ndrop = ["RT9999"]', 2),
        ('unsure = "RT0029"', 1),
    ],
)
def test_a_fault_of_a_profile_has_its_line(text: str, line: int) -> None:
    with pytest.raises(TableError) as refusal:
        parse_profile(text, "partner.toml")
    assert str(refusal.value).startswith(f"partner.toml:{line}: ")


def test_the_effective_list_can_be_loaded_by_a_partner() -> None:
    table = parse_profile(switched("commodity", "2"), "partner.toml").table()
    rows = list(csv.DictReader(export(table).splitlines()))
    assert len(rows) == len(table.rows)
    first = rows[0]
    assert (first["reading_type"], first["unit"]) == ("0.0.0.1.1.2.12.0.0.0.0.0.0.0.0.m.72.0", "Wh")
    assert (first["obis"], first["class_id"], first["attribute"]) == ("1-0:1.8.0*255", "3", "2")
    interval = next(row for row in rows if row["context"] == "profile_15min_delta")
    assert interval["measuring_period"] == "fifteenMinute"


@given(
    st.text() | st.sampled_from(WORDS).flatmap(lambda word: st.text(max_size=20).map(lambda text: f"{word} = {text}"))
)
def test_whatever_a_profile_says_is_a_profile_or_a_refusal(text: str) -> None:
    try:
        profile = parse_profile(text, "partner.toml", "")
    except TableError as refusal:
        assert refusal.problems
    else:
        assert profile.table().rows

"""Models are data: the one that is shipped is complete, and one that there is no code for is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import RESIDENTIAL, Bench, setup

from ami_dlms.cosem.classes import class_versions
from ami_dlms.obis import Obis
from ami_meter_sim.objects.families import FAMILIES
from ami_meter_sim.objects.model_files import load_model
from ami_packs.document import ModelError
from ami_packs.model import MANAGEMENT, PUBLIC
from ami_packs.model_files import model_text

TEXT = model_text("residential")
SIZES = {
    (1, 0): (2, 0),
    (3, 0): (3, 1),
    (4, 0): (5, 1),
    (5, 0): (9, 2),
    (6, 0): (4, 3),
    (7, 1): (8, 2),
    (8, 0): (9, 6),
    (9, 0): (2, 1),
    (10, 0): (2, 3),
    (11, 0): (2, 2),
    (12, 0): (2, 8),
    (12, 1): (2, 8),
    (12, 2): (4, 8),
    (12, 3): (6, 10),
    (12, 4): (6, 10),
    (15, 0): (8, 4),
    (15, 1): (9, 4),
    (15, 2): (11, 6),
    (15, 3): (11, 6),
    (17, 0): (2, 1),
    (18, 0): (7, 4),
    (19, 1): (9, 0),
    (20, 0): (10, 1),
    (21, 0): (4, 0),
    (22, 0): (4, 0),
    (23, 1): (9, 0),
    (40, 0): (7, 1),
    (40, 1): (10, 1),
    (40, 2): (13, 2),
    (41, 0): (6, 0),
    (42, 0): (10, 3),
    (43, 0): (2, 0),
    (45, 0): (4, 0),
    (47, 1): (8, 0),
    (48, 0): (10, 2),
    (62, 0): (6, 2),
    (62, 1): (6, 2),
    (63, 0): (3, 0),
    (64, 0): (5, 2),
    (64, 1): (6, 8),
    (65, 0): (4, 2),
    (68, 0): (6, 2),
    (70, 0): (4, 2),
    (70, 1): (4, 2),
    (71, 0): (11, 0),
    (72, 0): (12, 8),
    (72, 1): (14, 8),
    (100, 0): (7, 3),
    (111, 0): (19, 3),
    (112, 0): (11, 3),
    (113, 0): (13, 5),
    (115, 0): (6, 1),
    (122, 0): (3, 3),
    (124, 0): (10, 1),
}
"""(class, version) -> how many attributes and methods the Blue Book gives it."""


def test_every_class_has_code_and_a_size() -> None:
    assert set(SIZES) == set(FAMILIES)
    standard = {key: class_versions()[key] for key in SIZES}
    assert {key: (len(one.attributes), len(one.methods)) for key, one in standard.items()} == SIZES


def test_every_object_has_a_source_and_a_name_and_is_seen_by_somebody() -> None:
    for described in RESIDENTIAL.objects.values():
        assert described.source and described.name and described.access


def test_the_public_client_may_change_nothing() -> None:
    for described in RESIDENTIAL.objects.values():
        access = described.access.get(PUBLIC)
        assert access is None or not (access.write or access.methods), described.obis


def test_rights_stay_inside_what_the_class_has() -> None:
    for described in RESIDENTIAL.objects.values():
        attributes, methods = SIZES[described.class_id, described.version]
        for access in described.access.values():
            assert access.read | access.write <= set(range(1, attributes + 1)), described.obis
            assert access.methods <= set(range(1, methods + 1)), described.obis


def test_every_readable_attribute_has_a_value(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start()
    for (class_id, obis), described in RESIDENTIAL.objects.items():
        for number in sorted(described.access[MANAGEMENT].read):
            assert bench.read((class_id, str(obis)), number) is not None


def test_the_numbers_of_the_issue_are_there() -> None:
    wanted = ["0-0:40.0.0", "0-0:41.0.0", "0-0:42.0.0", "0-0:96.1.0", "0-0:43.1.0", "0-0:1.0.0", "1-0:1.8.0"]
    wanted += ["1-0:2.8.0", "1-0:1.7.0", "1-0:99.1.0", "0-0:96.3.10", "0-0:99.98.2", "0-0:43.0.0"]
    there = {obis for _, obis in RESIDENTIAL.objects}
    assert {Obis.parse(text) for text in wanted} <= there


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("class_id = 17", "class_id = 999"),
        ("version = 0", "version = 9"),
        ('obis = "0-0:42.0.0"', 'obis = "0.0.42"'),
        ("generation_w = [0,", "generation_w = ["),
        ("public = { read = [1, 2] }", "public = { see = [1, 2] }"),
        ("scaler = 0", "scalar = 0"),
        ("[load]", "[loads]"),
        ("client_wport = 16", "client = 16"),
        ("[model]", "model]"),
    ],
)
def test_a_model_without_code_for_it_is_refused_by_name(tmp_path: Path, old: str, new: str) -> None:
    assert old in TEXT
    (tmp_path / "odd.toml").write_text(TEXT.replace(old, new, 1))
    with pytest.raises(ModelError, match="odd"):
        load_model(str(tmp_path / "odd.toml"))


def test_a_model_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(ModelError, match="residential"):
        load_model("industrial")


def test_a_model_offers_the_associations_that_it_lists(tmp_path: Path) -> None:
    """A third one, of a client that may read what the public client may: it is in the rights, and has an object list."""
    third = '[[associations]]\nname = "reader"\nclient_wport = 2\n\n[[associations]]\nname = "management"'
    text = TEXT.replace('[[associations]]\nname = "management"', third).replace(
        "public = {", "reader = { read = [1] }\npublic = {"
    )
    (tmp_path / "three.toml").write_text(text)
    model = load_model(str(tmp_path / "three.toml"))
    assert [(one.name, one.client_wport) for one in model.associations] == [
        ("public", 16),
        ("reader", 2),
        ("management", None),
    ]
    assert len(model.object_lists["reader"].value) == len(model.object_lists["public"].value) > 0
    bench = Bench(tmp_path)
    meter = bench.start(setup(model=model))
    assert {client: one.name for client in range(128) if (one := meter.association(client)) is not None} == {
        16: "public",
        2: "reader",
        1: "management",
    }
    assert (
        (reader := meter.association(2)) is not None
        and reader.profile.security is None
        and reader.profile.access is model.rights["reader"]
    )


def test_a_model_that_lists_no_association_offers_the_public_and_the_management_one(tmp_path: Path) -> None:
    head, _, rest = TEXT.partition("[[associations]]")
    (tmp_path / "none.toml").write_text(head + rest[rest.index("# --- who the meter is") :])
    assert load_model(str(tmp_path / "none.toml")).associations == RESIDENTIAL.associations


@pytest.mark.parametrize("options", ["{ speed = 3 }", '{ mood = "good" }'])
def test_an_option_that_the_class_does_not_have_is_refused_by_name(tmp_path: Path, options: str) -> None:
    path = tmp_path / "odd.toml"
    path.write_text(TEXT.replace('name = "Clock"', f'name = "Clock"\noptions = {options}'))
    with pytest.raises(ModelError, match=r"0-0:1\.0\.0.*there is no option (speed|mood).*there are: drift_ppm = 0"):
        load_model(str(path))

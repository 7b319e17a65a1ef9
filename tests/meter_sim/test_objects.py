"""Classes of objects are written by the standard's names: what these stand for comes from one table, and nothing else counts."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import ClassVar

import pytest
from bench import RESIDENTIAL, Bench
from devices import Inside
from devices import described as bare

import ami_meter_sim.objects
from ami_dlms import data
from ami_dlms.cosem.classes import class_versions
from ami_meter_sim.objects.cosem_object import AccessRefused, CosemObject
from ami_meter_sim.objects.families import FAMILIES
from ami_packs.model import MANAGEMENT

(OBJECTS,) = ami_meter_sim.objects.__path__
SOURCES = sorted(Path(OBJECTS).glob("*.py"))
NUMBERED = ("attribute_id", "method_id")


def ladders(source: str) -> list[int]:
    """Lines on which a number of an attribute or method is a rung: `case 2`, `attribute_id == 2`, `method_id in (1, 2)`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.match_case) and any(_is_number(one) for one in ast.walk(node.pattern)):
            found.append(node.pattern.lineno)
        if isinstance(node, ast.Compare) and any(
            isinstance(one, ast.Name) and one.id in NUMBERED for one in ast.walk(node)
        ):
            found += [node.lineno] if any(_is_number(one) for one in ast.walk(node)) else []
    return found


def _is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_no_ladder_of_numbers(source: Path) -> None:
    assert ladders(source.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "rung",
    [
        "match attribute_id:\n  case 2: pass",
        "match method_id:\n  case 5 | 6: pass",
        "if attribute_id == 3: pass",
        "if method_id in (1, 2): pass",
    ],
)
def test_a_ladder_would_be_found(rung: str) -> None:
    assert len(ladders(rung)) == 1


@pytest.mark.parametrize("table", ["reads", "writes", "methods"])
def test_a_name_that_the_standard_does_not_have_is_refused_at_once(table: str) -> None:
    with pytest.raises(KeyError, match="tiem"):
        type("Misspelt", (CosemObject,), {"class_id": 8, "version": 0, table: {"tiem": lambda *_: None}})


def test_a_version_that_is_not_known_is_refused_at_once() -> None:
    with pytest.raises(KeyError):

        class Unknown(CosemObject):
            class_id, version = 8, 9
            reads: ClassVar = {}


def test_every_value_has_the_type_of_the_standard(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start()
    compared = 0
    for (class_id, obis), described in RESIDENTIAL.objects.items():
        for attribute in class_versions()[class_id, described.version].attributes:
            if attribute.number in described.access[MANAGEMENT].read and attribute.type != "CHOICE":
                value = bench.read((class_id, str(obis)), attribute.number)
                assert value.tag.name.lower().replace("_", "-") == attribute.type, (described.obis, attribute.name)
                compared += 1
    assert compared > 2 * len(RESIDENTIAL.objects)


OF_A_MODEL = {(1, 0), (3, 0), (4, 0), (5, 0), (7, 0), (7, 1)}
"""What these show depends on their model, so they are read there."""


@pytest.mark.parametrize("key", sorted(FAMILIES.keys() - OF_A_MODEL), ids=str)
def test_a_class_without_a_model_s_values_shows_what_the_standard_s_types_allow(key: tuple[int, int]) -> None:
    """Whatever an object answers of itself has the standard's type, and can be encoded."""
    name = (key[0], "0-0:99.9.9")
    one = Inside(bare(name, version=key[1]))
    for attribute in class_versions()[key].attributes:
        try:
            value = one.found(name).read(attribute.number)
        except AccessRefused:
            continue
        assert data.decode(data.encode(value)) == value
        if attribute.type != "CHOICE":
            assert value.tag.name.lower().replace("_", "-") == attribute.type, attribute.name

"""Where keys are in a TOML text: the scanner agrees with tomllib on what there is, and bounds what tomllib is given."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st
from sizes import examples

from ami_packs.document import ModelError, parse_document
from ami_packs.model_files import model_names, model_text
from ami_packs.positions import MAX_DEPTH, LimitExceeded, Path, lines_of

TEXT = '''a = 1
b.c = [1,
 2, {x = 3, "y z" = [4]},
]
[[objects]]
obis = "1"
[objects.events]
q = 1
[[objects]]
obis = """
many [ = ""
lines """
r = { read = [1, 2] } # comment [
d = 1979-05-27 07:32:00
'''


def test_lines_of_tables_arrays_and_texts_of_many_lines() -> None:
    lines = lines_of(TEXT)
    assert {path: lines[path] for path in [("a",), ("b", "c", 1), ("b", "c", 2, "y z", 0)]} == {
        ("a",): 1,
        ("b", "c", 1): 3,
        ("b", "c", 2, "y z", 0): 3,
    }
    assert [lines["objects", 0], lines["objects", 0, "events", "q"], lines["objects", 1]] == [5, 8, 9]
    assert [lines["objects", 1, "obis"], lines["objects", 1, "r", "read", 1], lines["objects", 1, "d"]] == [10, 13, 14]


def paths(value: Any, path: Path = ()) -> set[Path]:
    found = {path}
    if isinstance(value, dict):
        for key, inner in value.items():
            found |= paths(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found |= paths(inner, (*path, index))
    return found


scalars = st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.text(max_size=12) | st.floats(allow_nan=False)
documents = st.dictionaries(
    st.text(max_size=8),
    st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_size=6,
)


@given(documents, st.booleans())
def test_the_scanner_finds_what_tomllib_finds(document: dict[str, Any], multiline: bool) -> None:
    text = tomli_w.dumps(document, multiline_strings=multiline)
    lines = lines_of(text)
    assert set(lines) == paths(tomllib.loads(text))
    assert max(lines.values()) <= text.count("\n") + 1


@pytest.mark.parametrize("name", model_names())
def test_the_scanner_finds_what_is_in_the_models(name: str) -> None:
    text = model_text(name)
    assert set(lines_of(text)) == paths(tomllib.loads(text))


@given(st.text(alphabet="[]{}=,.\"'#\n ab1", max_size=80) | st.text(max_size=40))
def test_no_text_breaks_the_scanner(text: str) -> None:
    try:
        lines_of(text)
    except LimitExceeded as error:
        assert error.line >= 1


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a = " + "{b = " * 100_000,
        ".".join("a" * 100_000) + " = 1",
        "[" + ".".join("a" * 100_000) + "]",
        "a = [" + "1," * 400_000 + "]",
        "a = " + "9" * 100_000,
        "a = 1\n" * 2,
        'a = "',
    ],
    ids=["arrays", "tables", "dotted key", "header", "many", "digits", "twice", "open text"],
)
def test_hostile_texts_are_refused_with_a_line(text: str) -> None:
    with pytest.raises(ModelError, match=r"^odd\.toml:\d+: "):
        parse_document(text, "odd.toml")


def test_as_deep_as_is_allowed() -> None:
    depth = MAX_DEPTH - 1
    assert parse_document("a = " + "[" * depth + "]" * depth, "deep.toml").line == 1


@given(st.binary(max_size=examples(60)))
def test_any_octets_are_a_model_or_a_model_error(octets: bytes) -> None:
    try:
        parse_document(octets.decode("utf-8", "replace"), "odd.toml")
    except ModelError as error:
        assert str(error).startswith("odd.toml:")

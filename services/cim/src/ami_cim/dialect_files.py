"""Dialects as data: TOML files with what a peer reads and writes otherwise, those of known products in `data/dialects`."""

import re
import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from ami_cim.peers import Before, Dialect, Spelling

MOST = 20_000
"""Characters of a file."""
MOST_ENTRIES = 100
_NAMESPACE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s{}]*(?:\{noun\}[^\s{}]*)?", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,79}", re.ASCII)
_LATE = ("generic", "typed", "operation")


class DialectError(ValueError):
    """A dialect can't be used; `problems` are all of its faults, each as "file:line: what is wrong"."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is true or false")
    return value


def _namespace(value: object) -> str:
    if not isinstance(value, str) or len(value) > 200 or _NAMESPACE.fullmatch(value) is None:
        raise ValueError("is a namespace, in which {noun} may stand for the name of a root element")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 200 or not value.isprintable():
        raise ValueError("is a text of at most 200 characters")
    return value


def _late_reply(value: object) -> str:
    if value not in _LATE:
        raise ValueError(f"is one of {', '.join(_LATE)}")
    return str(value)


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MOST_ENTRIES or not all(_is_name(one) for one in value):
        raise ValueError(f"is a list of at most {MOST_ENTRIES} local names of elements")
    return tuple(value)


def _before(value: object) -> tuple[Before, ...]:
    pairs = [str(one).split("/") for one in value] if isinstance(value, list) else [[]]
    fits = all(len(one) == 2 and (one[0] == "*" or _is_name(one[0])) and _is_name(one[1]) for one in pairs)
    if not fits or len(pairs) > MOST_ENTRIES:
        raise ValueError(
            'is a list of elements with the child that comes first in them, as "MeterReading/Meter" or "*/Names"'
        )
    return tuple(Before(element=element, child=child) for element, child in pairs)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


_TABLES: Final[Mapping[str, Mapping[str, Callable[[object], Any]]]] = {
    "": {"about": _text},
    "reads": {
        "other_namespaces": _flag,
        "operation_wrappers": _flag,
        "any_order": _flag,
        "extra_elements": _names,
    },
    "namespaces": {"message": _namespace, "typed": _namespace, "payload": _namespace},
    "writes": {
        "late_reply": _late_reply,
        "before": _before,
        "success_code": _flag,
        "interval_period": _flag,
        "name_type": _text,
        "name_type_authority": _text,
    },
}
"""The keys of each table, and what decodes their values."""


def packs() -> tuple[str, ...]:
    """Names of the dialects of known products, beside `strict`."""
    names = (one.name for one in files("ami_cim").joinpath("data", "dialects").iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


@cache
def pack(name: str) -> Dialect:
    """The dialect of a known product; LookupError when there is none of this name."""
    if name == "strict":
        return Dialect()
    if name not in packs():
        raise LookupError(f"there is no dialect {name[:40]!r}; there are strict, {', '.join(packs())}")
    text = files("ami_cim").joinpath("data", "dialects", f"{name}.toml").read_text("utf-8")
    return parse_dialect(text, f"{name}.toml", name)


def parse_dialect(text: str, file: str, name: str) -> Dialect:
    """A dialect of a TOML text; DialectError with all faults."""
    if len(text) > MOST:
        raise DialectError([f"{file}:1: more than {MOST} characters"])
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as fault:
        raise DialectError([f"{file}: {fault}"]) from None
    problems: list[str] = []
    values = _decoded({key: value for key, value in document.items() if not isinstance(value, dict)}, "", problems)
    for table, content in document.items():
        if isinstance(content, dict):
            values |= _decoded(content, table, problems)
    if problems:
        raise DialectError([f"{file}:{_line(text, one)}: {one}" for one in problems[:MOST_ENTRIES]])
    values.pop("about", None)
    spelling = Spelling(**{key: values.pop(key) for key in _TABLES["namespaces"] if key in values})
    return Dialect(name=name, spelling=spelling, **values)


def _decoded(content: Mapping[str, object], table: str, problems: list[str]) -> dict[str, Any]:
    known = _TABLES.get(table)
    if known is None:
        problems.append(f"{table[:40]}: no such table; there are {', '.join(name for name in _TABLES if name)}")
        return {}
    values = {}
    for key, value in content.items():
        if key not in known:
            problems.append(f"{key[:40]}: no such key here; there are {', '.join(known)}")
            continue
        try:
            values[key] = known[key](value)
        except ValueError as fault:
            problems.append(f"{key}: {fault}")
    return values


def _line(text: str, problem: str) -> int:
    """Where the key or table is that a problem begins with."""
    name = problem.partition(":")[0]
    wanted = re.compile(rf'\s*(?:\[\s*)?"?{re.escape(name)}"?\s*(?:\]|=|\.)')
    return next((number for number, line in enumerate(text.splitlines(), 1) if wanted.match(line)), 1)

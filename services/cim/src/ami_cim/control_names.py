"""Names of controls, the same in every command and program: rows of data/control_names.csv.

Beside the EndDeviceControlType itself (4 numbers) a name is taken; a head-end may serve more than is here."""

import csv
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_CODE = re.compile(r"(?:\d{1,5}\.){3}\d{1,5}", re.ASCII)


@dataclass(frozen=True, slots=True)
class KnownControl:
    """One row of the table; `takes` is the element that it needs beside its type, or empty."""

    name: str
    code: str
    takes: str
    meaning: str


@cache
def known_controls() -> tuple[KnownControl, ...]:
    """All rows, in the order of the table."""
    text = files("ami_cim").joinpath("data", "control_names.csv").read_text(encoding="utf-8")
    return tuple(KnownControl(**row) for row in csv.DictReader(text.splitlines(), strict=True))


@cache
def names() -> str:
    """All names, as help and errors list them."""
    return ", ".join(row.name for row in known_controls())


def named_control(text: str) -> str:
    """The code that is meant by a name of the table, or the code itself; ValueError for anything else."""
    known = next((row.code for row in known_controls() if row.name == text), None)
    if known is None and _CODE.fullmatch(text) is None:
        raise ValueError(f"{text!r} is neither an EndDeviceControlType (3.31.0.23) nor one of {names()}")
    return known or text


def name_of(code: str) -> str | None:
    """The name of a code; None for one that the table does not have."""
    return next((row.name for row in known_controls() if row.code == code), None)

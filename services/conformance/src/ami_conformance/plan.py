"""The plan: every test as a row, in the order in which they run within their class of safety (data/tests.csv)."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

from ami_conformance.safety import Safety

Transport = Literal["tcp", "udp", "hdlc"]
ANY = "any"
TRANSPORTS: tuple[Transport, ...] = ("tcp", "udp", "hdlc")


@dataclass(frozen=True, slots=True)
class Row:
    """One test of the plan: what is done, what is expected and where that is written. `transport` is one of TRANSPORTS, or any."""

    id: str
    group: str
    title: str
    steps: str
    expected: str
    kind: str
    safety: Safety
    transport: str
    clause: str

    def fits(self, transport: Transport) -> bool:
        """Whether it can run over this."""
        return self.transport in (ANY, transport)


def lines_of(name: str) -> list[dict[str, str]]:
    """A table beside this module."""
    text = resources.files("ami_conformance").joinpath("data", name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


@cache
def rows() -> Mapping[str, Row]:
    """All of them, by their ids."""
    return {
        one["id"]: Row(
            one["id"],
            one["group"],
            one["title"],
            one["steps"],
            one["expected"],
            one["kind"],
            Safety[one["safety"].upper()],
            one["transport"],
            one["clause"],
        )
        for one in lines_of("tests.csv")
    }


def groups() -> tuple[str, ...]:
    """Their names, in the order of the plan."""
    return tuple(dict.fromkeys(one.group for one in rows().values()))

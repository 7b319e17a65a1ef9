"""What is known of each defect (table.toml), for people and for who compares the findings of a conformance test with it."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from ami_meter_sim.faults.defects import DEFECTS
from ami_process.terminal_text import wrapped

Transport = Literal["tcp", "hdlc"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DefectRow:
    """One line. `tests`: ids of the plan that ought to find it; `own`: no row of the plan was its model."""

    name: str
    group: str
    wrong: str
    clause: str
    tests: tuple[str, ...]
    transports: tuple[Transport, ...]
    own: bool = False


@cache
def rows() -> Mapping[str, DefectRow]:
    """All of them by name, in the order of the table."""
    tables = tomllib.loads(files("ami_meter_sim.faults.defects").joinpath("table.toml").read_text("utf-8"))
    return {
        name: DefectRow(
            name=name,
            group=one["group"],
            wrong=one["wrong"],
            clause=one["clause"],
            tests=tuple(one["tests"]),
            transports=tuple(one["transports"]),
            own=one.get("own", False),
        )
        for name, one in tables.items()
    }


INTRODUCTION = """\
# Defects

Simulated meters that break a standard in exactly one thing, on the line as a meter in the field would: what tests of conformance are measured
by. A defect is a fault like the others ([faults](faults.md)): set by `[[faults]]` in a file, by the API or by `meter-sim fault set`, at some
meters or at all, with conditions and a probability ([inject-faults](howto/inject-faults.md)). One that changes what arrives counts from the
next connection on, and one of octets or challenges only where the meter has its address for itself.

```toml
[[faults]]
fault = "takes-used-counter"
meters = ["M1002"]
```

The column of tests names those of the plan of `ami conformance` ([test-a-meter](howto/test-a-meter.md)) that ought to find the defect. A star marks defects that come from meters in the field or from the way such code is written, and not from a row of the
plan. Each is shown beside a healthy meter by `tests/meter_sim/test_each_defect.py`, over real sockets, with a client of our own or octets by
hand. This page is written by `meter-sim defects --write docs/defects.md`.
"""
HEADER = "\n| defect | the meter | clause | tests | over |\n|---|---|---|---|---|\n"


def page() -> str:
    """The page docs/defects.md."""
    groups = dict.fromkeys(row.group for row in rows().values())
    text = f"{INTRODUCTION}\n{len(rows())} defects in {len(groups)} groups.\n"
    return text + "".join(f"\n## {group}\n{HEADER}{''.join(_lines(group))}" for group in groups) + _parameters()


def _lines(group: str) -> Iterator[str]:
    for row in rows().values():
        if row.group == group:
            star = " *" if row.own else ""
            yield f"| `{row.name}`{star} | {row.wrong} | {row.clause} | {', '.join(row.tests)} | {', '.join(row.transports)} |\n"


def _parameters() -> str:
    """Those of the few that have any."""
    lines = [
        f"| `{name}` | `{key}` | `{about['default']}` | {about['description']} |\n"
        for name, kind in DEFECTS.items()
        for key, about in kind.model_json_schema().get("properties", {}).items()
    ]
    return f"\n## Parameters\n\nThe other defects have none.\n\n| defect | key | default | meaning |\n|---|---|---|---|\n{''.join(lines)}"


def listed() -> Iterator[str]:
    """Each with what is wrong, in lines of the terminal."""
    width = max(map(len, rows()))
    for row in rows().values():
        yield wrapped(f"{row.group}: {row.wrong}", f"{row.name:{width}}  ")

"""What was found: on a terminal, as JSON, and in docs/bench-scale.md, where each section has its own date and machine."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table as Shown
from rich.text import Text

from ami_cli.bench_scale.found import Cell, Found
from ami_cli.bench_scale.sections import SECTIONS

HEADING = """\
# Beyond one machine

Each section is written by `make bench-scale WRITE=docs` (`ONLY=readings` for one of them), which starts the servers that it needs on this machine; run it to see
your own machine's figures. Ratios travel from machine to machine, and times do not.
"""
_SECTION = re.compile(r"^## (?P<title>.+)\n(?P<body>(?:(?!^## ).*\n?)*)", re.MULTILINE)


def document(found: Mapping[str, Found], machine: str) -> dict[str, Any]:
    """The figures as plain values, by section."""
    return {"machine": machine, "measured_on": _today(), "sections": {name: asdict(one) for name, one in found.items()}}


def terminal(found: Mapping[str, Found], machine: str) -> Group:
    """For a person."""
    parts: list[RenderableType] = [Text(machine, "grey58")]
    for name, one in found.items():
        parts += [Text(), Text(SECTIONS[name].title, "bold")]
        for table in one.tables:
            shown = Shown(box=None, pad_edge=False, header_style="grey58", padding=(0, 3, 0, 0))
            for number, column in enumerate(table.columns):
                shown.add_column(column, justify="right" if _is_figure(table.rows, number) else "left")
            for row in table.rows:
                shown.add_row(*map(_text, row))
            parts.append(shown)
        parts += [Text(note, "grey58") for note in one.notes]
    return Group(*parts)


def markdown(found: Mapping[str, Found], machine: str, before: str = "") -> str:
    """The page, with the sections of the page of before that were not measured now."""
    bodies = {one["title"]: one["body"].strip("\n") for one in _SECTION.finditer(before)}
    bodies |= {SECTIONS[name].title: _body(one, machine) for name, one in found.items()}
    titles = [section.title for section in SECTIONS.values() if section.title in bodies]
    return HEADING + "".join(f"\n## {title}\n\n{bodies[title]}\n" for title in titles)


def _body(found: Found, machine: str) -> str:
    notes = "".join(f" {note}." for note in found.notes)
    lines = [found.words, "", f"Measured {_today()} on: {machine}.{notes}"]
    for table in found.tables:
        marks = ("--:" if _is_figure(table.rows, number) else "---" for number in range(len(table.columns)))
        lines += ["", f"| {' | '.join(table.columns)} |", f"|{'|'.join(marks)}|"]
        lines += [f"| {' | '.join(map(_text, row))} |" for row in table.rows]
    return "\n".join(lines)


def _is_figure(rows: tuple[tuple[Cell, ...], ...], column: int) -> bool:
    return bool(rows) and all(not isinstance(row[column], str) for row in rows)


def _text(cell: Cell) -> str:
    return f"{cell:,}" if isinstance(cell, int) else cell if isinstance(cell, str) else f"{cell:,.2f}"


def _today() -> str:
    return datetime.now(UTC).date().isoformat()

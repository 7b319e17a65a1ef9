"""The figures of readings as tables: on a terminal, as Markdown for docs/bench-readings.md, as JSON for machines."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ami_cli.bench_readings.figures import ReadingFigures

HEADING = """\
# How fast meters are read

Written by `make bench WRITE=docs`; run `make bench` to see your own machine's figures.

One request for many meters, one reply, over real sockets: the time from the first octet of the request to the last octet of the reply, in which
every meter has given every value. HES and simulator are a process each on the same machine. Every meter gets a connection and a secured
association (HLS-GMAC, authenticated encryption) that is opened, used once and released, and what was read is in the store before the reply.
**Registers on demand**: energy in both directions, power and voltage, with their scalers. **Day of quarters**: 96 rows of clock, status and two registers, by selective
access; and the time until the head-end has the values of the last meter in its store, which is before the answer is written. **Switched**: the one control of [bench.md](bench.md). The first run of each kind warms up; median of the others, in turns. CPU is user and system time per meter,
milliseconds.
"""
OTHER = """\
*The other one* is another checkout with its own simulator, given as `make bench AGAINST=... AGAINST_METERS=...`; the ratio is that of meters/s to its switching. The
first version could not read; so what both its readings and its profiles are compared with is the rate at which it switched.
"""
NO_OTHER = "The ratio is that of meters/s to the first line.\n"
COLUMNS = ("what", "meters", "runs", "meters/s", "ratio", "CPU of the HES", "CPU of the simulator")
MEGA = 1e6


def document(figures: ReadingFigures, machine: str, measured_at: datetime | None = None) -> dict[str, Any]:
    """The figures as plain values; seconds and octets."""
    at = (measured_at or datetime.now(UTC)).date().isoformat()
    return {"machine": machine, "measured_on": at} | asdict(figures)


def terminal(figures: ReadingFigures, machine: str) -> Group:
    """For a person."""
    parts: list[RenderableType] = [Text(machine, "grey58")]
    for columns, rows in _tables(figures):
        table = Table(box=None, pad_edge=False, header_style="grey58", padding=(0, 3, 0, 0))
        for number, name in enumerate(columns):
            table.add_column(name, justify="right" if number else "left")
        for row in rows:
            table.add_row(*row)
        parts += [Text(), table]
    return Group(*parts)


def markdown(figures: ReadingFigures, machine: str, measured_at: datetime | None = None) -> str:
    """The page docs/bench-readings.md."""
    at = (measured_at or datetime.now(UTC)).date().isoformat()
    words = OTHER if "the other one" in figures.rates[0].name else NO_OTHER
    lines = [HEADING, words, f"Measured {at} on: {machine}."]
    for columns, rows in _tables(figures):
        lines += ["", f"| {' | '.join(columns)} |", "|---" + "|--:" * (len(columns) - 1) + "|"]
        lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _tables(figures: ReadingFigures) -> list[tuple[Sequence[str], list[tuple[str, ...]]]]:
    return [
        (COLUMNS, _rates(figures)),
        (("a control amid a bulk read", "controls", "median", "slowest"), _urgent(figures)),
        (("memory of the HES", "meters", "resident"), _memory(figures)),
        (
            ("work", "compared with", "times as long"),
            [(one.name, one.other, f"{one.times:.2f}") for one in figures.ratios],
        ),
    ]


def _rates(figures: ReadingFigures) -> list[tuple[str, ...]]:
    base = figures.rates[0].per_second
    return [
        (
            one.name,
            f"{one.meters:,}",
            str(len(one.runs)),
            f"{one.per_second:,.0f}",
            f"{one.per_second / base:.2f}",
            f"{one.hes_ms:.2f}",
            f"{one.simulator_ms:.2f}",
        )
        for one in figures.rates
    ]


def _urgent(figures: ReadingFigures) -> list[tuple[str, ...]]:
    taken = figures.urgent_s
    if not taken:
        return [("the read was over before the first of them", "0", "", "")]
    return [("one meter, answered after", str(len(taken)), _ms(statistics.median(taken)), _ms(max(taken)))]


def _memory(figures: ReadingFigures) -> list[tuple[str, ...]]:
    return [(one.name, f"{one.meters:,}", f"{one.octets / MEGA:,.0f} MB") for one in figures.memory]


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:,.0f} ms"

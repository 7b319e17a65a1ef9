"""The figures of populations as tables: on a terminal, as Markdown for docs/bench-fleet.md, as JSON for machines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ami_cli.bench_fleet.figures import FleetFigures

HEADING = """\
# What a population of simulated meters costs

Written by `make bench WRITE=docs`; run `make bench` to see your own machine's figures.

One process serves each population: an address each, HLS-GMAC, authenticated encryption, model `residential`. **Ready**: from the start of the
process until it listens, with a new population and with a store that has a changed row of every meter; importing its modules is most of
the first. **Memory**: resident, after such a start. **Dialogue**: connect, ask the invocation counter as public client, associate with
HLS, read the energy, release: seven exchanges with a meter that is drawn by lot, most of them for the first time; the asking end shares
the machine. **A core**: dialogues by the CPU time of the simulator alone, 32 at once. **Open sessions**: each with a ciphered
association, and what one of them adds to the memory. **Last gasps**: ciphered notifications over UDP, each of another meter from its own
address, made from the rows of meters that were made and let go before, from the wish until the last one has left (10,000, where there are as many meters).
**Longest turn**: for how long the event loop serves nothing else while 100,000 meters, or all, have something to do at one instant. **Year by range**: 35,040
quarter hours of clock, status and two registers, read from one meter, as octets (the median of five meters, behind one that warms up); and rows per second.

Where the simulator's CPU time of a dialogue went, by 1,650 samples of its main thread at 32 dialogues at once (model `residential`,
meters that are made for the first time; taken on 2026-11-28, of a version that carried its connections itself): sockets, half of that in the system's calls, 19 %; making the live meter, its row, keys and
counters 16 %; values of Python's own kinds (enum, dataclass, named tuple, weak reference) 11 %, spread over all the others; associations,
protection and framing of DLMS 11 %; the household behind the meter 9 %; register and interruptions 8 %; ciphers and key derivation 7 %;
lines and the write of the turn 6 %; coding of APDUs 5 %; events 4 %; session 4 %. Threads that write the lines of events and bring the journal
into SQLite come on top, with 6 % and 3 %. What was cut last, in turns with
the version before on a machine at work (medians): a dialogue takes 0.86 times its CPU time over sockets and 0.80 times in memory, over HDLC 0.85; four registers
0.83; a switching 0.85; a day of quarters 0.74.
"""
COLUMNS = (
    "meters",
    "ready, new",
    "ready, full store",
    "memory",
    "dialogue p50",
    "p99",
    "a core",
    "open sessions",
    "memory of one",
    "last gasps",
    "longest turn",
    "year by range",
    "rows",
)
MEGA, KILO = 1e6, 1e3


def document(figures: Sequence[FleetFigures], machine: str, measured_at: datetime | None = None) -> dict[str, Any]:
    """The figures as plain values; seconds and octets."""
    return {
        "machine": machine,
        "measured_on": (measured_at or datetime.now(UTC)).date().isoformat(),
        "populations": [
            {
                "meters": one.meters,
                "new_ready_s": one.new_ready_s,
                "full_ready_s": one.full_ready_s,
                "memory": one.memory,
                "dialogue_p50_s": one.alone.percentile(50),
                "dialogue_p99_s": one.alone.percentile(99),
                "dialogues_per_core_second": one.together.per_core_second,
                "open_sessions": one.open_sessions,
                "open_memory": one.open_memory,
                "last_gasps": one.inside.gasps,
                "last_gasps_s": one.inside.gasps_s,
                "longest_turn_s": one.inside.longest_turn_s,
                "profile_rows": one.inside.profile_rows,
                "profile_s": one.inside.profile_s,
            }
            for one in figures
        ],
    }


def markdown(figures: Sequence[FleetFigures], machine: str, measured_at: datetime | None = None) -> str:
    """The page."""
    day = (measured_at or datetime.now(UTC)).date().isoformat()
    rows = "".join(f"| {' | '.join(_cells(one))} |\n" for one in figures)
    head = f"| {' | '.join(COLUMNS)} |\n|{'---:|' * len(COLUMNS)}\n"
    return f"{HEADING}\nMeasured on {day}: {machine}.\n\n{head}{rows}"


def terminal(figures: Sequence[FleetFigures], machine: str) -> RenderableType:
    """The same table."""
    table = Table(*COLUMNS, title="populations")
    for one in figures:
        table.add_row(*_cells(one))
    return Group(table, Text(machine, style="dim"))


def _cells(one: FleetFigures) -> tuple[str, ...]:
    return (
        f"{one.meters:,}",
        f"{one.new_ready_s:.1f} s",
        f"{one.full_ready_s:.1f} s",
        f"{one.memory / MEGA:.0f} MB",
        f"{one.alone.percentile(50) * KILO:.1f} ms",
        f"{one.alone.percentile(99) * KILO:.1f} ms",
        f"{one.together.per_core_second:,.0f}/s",
        f"{one.open_sessions:,}",
        f"{one.open_memory / max(one.open_sessions, 1) / KILO:.1f} kB",
        f"{one.inside.gasps:,} in {one.inside.gasps_s:.2f} s",
        f"{one.inside.longest_turn_s * KILO:.1f} ms",
        f"{one.inside.profile_s * KILO:.0f} ms",
        f"{one.inside.profile_rows / one.inside.profile_s:,.0f}/s",
    )

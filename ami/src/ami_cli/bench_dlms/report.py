"""The figures as tables: on a terminal, as Markdown for docs/bench-dlms.md, as JSON for machines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ami_cli.bench_dlms.figures import Figures, Ratio
from ami_cli.bench_dlms.in_memory import SIZES
from ami_cli.bench_dlms.round_trips import RoundTrips

MICRO = 1e6
HEADING = """\
# How fast the DLMS core is

Written by `make bench WRITE=docs`; run `make bench` to see your own machine's figures.

**Round trips**: a ciphered GET of one value (HLS-GMAC, general-glo, authenticated encryption) over loopback TCP, two
processes with a core each, every connection asking again as soon as it has its answer; the value is decoded. The echo sends as many
octets each way and does nothing with them. `asyncio` is an asyncio.Protocol at both ends, `selectors` a bare loop over
the same sockets. dlms-cosem's core is a client and asks our server over the same socket code; gurux-dlms brings its own
blocking client and asks our server over one connection. All alternate in one run; the figures are medians. Where the asking end is
quick the server, always ours, is what limits the round trips; the CPU time of the asking end compares the clients alone.
**Decoding**: a load profile of 96 rows and 4 columns (clock, status, two registers). **Protecting**: against the bare
calls of `AESGCM` on the same octets. Its `decrypt` insists on the whole tag of 16 octets; DLMS sends 12, so the stream
has to be run twice (once for the plaintext, once for the tag that ought to have come): "bare decrypt, tag of 12 octets" is
just that, two calls and a comparison, and no checking of a DLMS frame can be faster. **Sessions**: AARQ, HLS-GMAC, RLRQ
and all answers in memory, each end's own time. "missed" in the table of ratios: what is to be reached was not reached in
this run.
"""
Rows = list[tuple[str, ...]]


def document(figures: Figures, machine: str, measured_at: datetime | None = None) -> dict[str, Any]:
    """The figures as plain values."""
    return {
        "machine": machine,
        "measured_on": (measured_at or datetime.now(UTC)).date().isoformat(),
        "ratios": [asdict(one) | {"reached": one.reached} for one in figures.ratios()],
        "round_trips": [
            {
                "contender": one.contender.name,
                "driver": one.contender.driver,
                "connections": one.contender.connections,
                "per_second": one.per_second,
                "runs": [run.per_second for run in one.counted],
                "asking_cpu_us": one.asking_us,
            }
            for one in figures.round_trips
        ],
        "decoding_s": figures.decoding_s,
        "protecting_s": figures.protecting_s,
        "sessions": asdict(figures.sessions),
        "allocations": asdict(figures.allocations),
    }


def terminal(figures: Figures, machine: str) -> Group:
    """Tables for a person, ratios first."""
    parts: list[RenderableType] = [Text(machine, "grey58")]
    for title, header, rows in _tables(figures):
        table = Table(box=None, pad_edge=False, header_style="grey58", padding=(0, 3, 0, 0))
        for number, name in enumerate(header):
            table.add_column(name, justify="right" if number else "left")
        for row in rows:
            table.add_row(*row)
        parts += [Text(), Text(title, "bold"), table]
    return Group(*parts)


def markdown(figures: Figures, machine: str, measured_at: datetime | None = None) -> str:
    """The page docs/bench-dlms.md."""
    at = (measured_at or datetime.now(UTC)).date().isoformat()
    lines = [HEADING, f"Measured {at} on: {machine}."]
    for title, header, rows in _tables(figures):
        lines += ["", f"## {title}", "", "| " + " | ".join(header) + " |", "|---" + "|--:" * (len(header) - 1) + "|"]
        lines += ["| " + " | ".join(row) + " |" for row in rows]
    lines += ["", "Ratios travel from machine to machine; round trips and microseconds do not."]
    return "\n".join(lines) + "\n"


def _tables(figures: Figures) -> Iterator[tuple[str, tuple[str, ...], Rows]]:
    yield "Ratios", ("ratio", "", "to reach", ""), [_ratio(one) for one in figures.ratios()]
    header = ("round trips", "carried by", "connections", "per second", "slowest", "fastest", "CPU of the asking end")
    yield "Round trips", header, [_round_trips(one) for one in figures.round_trips]
    yield "Decoding 96 rows of 4 columns", ("decoder", "time"), _decoding(figures)
    yield "Protecting", ("what", *(f"{size:,} octets" for size in SIZES)), _protecting(figures)
    yield "One session, one round trip", ("what", ""), _others(figures)


def _decoding(figures: Figures) -> Rows:
    return [(name, f"{MICRO * seconds:,.1f} µs") for name, seconds in figures.decoding_s.items()]


def _protecting(figures: Figures) -> Rows:
    return [
        (name, *(f"{MICRO * by_size[size]:,.2f} µs" for size in SIZES))
        for name, by_size in figures.protecting_s.items()
    ]


def _ratio(one: Ratio) -> tuple[str, ...]:
    value = f"{one.value:,.0f}" if one.value >= 100 else f"{one.value:,.2f}"
    wanted = f"{'≥' if one.at_least else '≤'} {one.target:,g}"
    return one.name, value, wanted, "yes" if one.reached else "missed"


def _round_trips(one: RoundTrips) -> tuple[str, ...]:
    rates = [run.per_second for run in one.counted]
    figures = (f"{rate:,.0f}" for rate in (one.per_second, min(rates), max(rates)))
    contender = one.contender
    return contender.name, contender.driver, str(contender.connections), *figures, f"{one.asking_us:,.1f} µs"


def _others(figures: Figures) -> Rows:
    return [
        ("one session, the client's time", f"{MICRO * figures.sessions.client_s:,.0f} µs"),
        ("one session, the server's time", f"{MICRO * figures.sessions.server_s:,.0f} µs"),
        ("one round trip, memory in use at its height", f"{figures.allocations.peak_octets:,.0f} octets"),
        ("one round trip, blocks of memory left behind", f"{figures.allocations.blocks_left:.3f}"),
    ]

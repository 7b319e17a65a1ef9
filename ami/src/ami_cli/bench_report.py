"""The bench's figures as tables: on a terminal, as Markdown for docs/bench.md, as JSON for machines."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ami_cli.bench import Figures
from ami_cli.bench_cpu import HesCpu

BAR = 24
HEADING = """\
# How fast it is

Written by `make bench WRITE=docs`; run `make bench` to see your own machine's figures.

One `create EndDeviceControls` for N meters, one SOAP message in, one reply out, over real sockets: the time from the
first octet of the request to the last octet of the reply. Every meter gets a connection and a secured association
(HLS-GMAC, authenticated encryption), the identity check, its state read before, the ACTION and the state read after, and a
public association before all that in the first session only, which is in the warm-up. A run counts only if the reply is
OK. Meters and HES are two processes on the same machine; median of the counted runs after the warm-up. Here the HES runs in the
benchmark's own process and on asyncio's event loop, whose Python frames the sampler can see; `hes serve` runs on uvloop's.
"""


CPU_WORDS = """\
CPU time of the HES's process per meter, in one request for {meters:,} meters, each HES with meters of its own, taking turns: in the
first request of the process, when it knows no meter yet and asks the public client for the invocation counter, and in the
requests after it (median of {runs}). *Cold*: no association is open before the request, and each is opened and released in it
(`hes.keep_open_s = 0`). *Warm*: the associations of the request before are still open.{other}
"""
OTHER_WORDS = """ *The other one*: the HES of another
checkout before the same simulated meters, given as `make bench AGAINST='../other/.venv/bin/python -m ami_hes serve'`. CPU time
goes up when others use the machine; the ratio is what counts."""


def document(
    figures: Sequence[Figures], machine: str, measured_at: datetime | None = None, cpu: Sequence[HesCpu] = ()
) -> dict[str, Any]:
    """The figures as plain values."""
    at = (measured_at or datetime.now(UTC)).date().isoformat()
    rows = [
        asdict(one) | {"median_s": one.median_s, "meters_per_second": round(one.meters_per_second, 1)}
        for one in figures
    ]
    used = [asdict(one) | {"median_ms": one.median_ms} for one in cpu]
    return {"machine": machine, "measured_on": at, "requests": rows, "hes_cpu": used}


def terminal(figures: Sequence[Figures], machine: str, cpu: Sequence[HesCpu] = ()) -> Group:
    """Tables for a person: speed, the CPU of the HES, and the layers of the greatest request."""
    speed = Table(box=None, pad_edge=False, header_style="grey58", padding=(0, 3, 0, 0))
    for name in ("meters in the request", "median", "fastest", "slowest", "meters/s"):
        speed.add_column(name, justify="right")
    for one in figures:
        times = (_time(value) for value in (one.median_s, min(one.seconds), max(one.seconds)))
        speed.add_row(f"{one.meters:,}", *times, f"{one.meters_per_second:,.0f}")
    layers = Table.grid(padding=(0, 2))
    for layer, share in figures[-1].shares:
        layers.add_row(layer, Text("━" * max(1, round(BAR * share)), "dodger_blue2"), f"{share:.0%}")
    title = f"Where the HES's CPU time goes, {figures[-1].meters:,} meters"
    used = Table(box=None, pad_edge=False, header_style="grey58", padding=(0, 3, 0, 0))
    for name in ("HES", "first, ms per meter", "then", "ratio"):
        used.add_column(name, justify="left" if name == "HES" else "right")
    for row in _cpu_rows(cpu):
        used.add_row(*row)
    parts: list[RenderableType] = [used, Text()] if cpu else []
    return Group(Text(machine, "grey58"), Text(), speed, Text(), *parts, Text(title, "bold"), layers)


def _cpu_rows(cpu: Sequence[HesCpu]) -> list[tuple[str, str, str, str]]:
    """Name, first, median after it, and that as a ratio to the first of the list."""
    return [
        (one.name, f"{one.first_ms:.2f}", f"{one.median_ms:.2f}", f"{one.median_ms / cpu[0].median_ms:.2f}")
        for one in cpu
    ]


def _cpu_section(cpu: Sequence[HesCpu]) -> list[str]:
    if not cpu:
        return []
    other = OTHER_WORDS if len(cpu) > 2 else ""
    words = CPU_WORDS.format(meters=cpu[0].meters, runs=len(cpu[0].known_ms), other=other)
    lines = ["", "## CPU of the HES per meter", "", words]
    lines += ["| HES | first request, ms | then, ms | ratio |", "|---|--:|--:|--:|"]
    return lines + [f"| {' | '.join(row)} |" for row in _cpu_rows(cpu)]


def markdown(
    figures: Sequence[Figures], machine: str, measured_at: datetime | None = None, cpu: Sequence[HesCpu] = ()
) -> str:
    """The page docs/bench.md."""
    at = (measured_at or datetime.now(UTC)).date().isoformat()
    lines = [HEADING, f"Measured {at} on: {machine}.", ""]
    lines += ["| meters in the request | runs | median | fastest | slowest | meters/s |", "|--:|--:|--:|--:|--:|--:|"]
    for one in figures:
        times = " | ".join(_time(value) for value in (one.median_s, min(one.seconds), max(one.seconds)))
        lines.append(f"| {one.meters:,} | {len(one.seconds)} | {times} | {one.meters_per_second:,.0f} |")
    lines += _cpu_section(cpu)
    lines += [
        "",
        f"Where the HES's CPU time goes with {figures[-1].meters:,} meters (sampled every 2 ms of CPU time):",
        "",
    ]
    lines += ["| layer | share |", "|---|--:|"]
    lines += [f"| {layer} | {share:.0%} |" for layer, share in figures[-1].shares]
    lines += [
        "",
        "The same samples by what was being done for a meter; associations are opened and released for each request:",
        "",
    ]
    lines += ["| step | share |", "|---|--:|"]
    lines += [f"| {step} | {share:.0%} |" for step, share in figures[-1].steps]
    lines += ["", "Ratios between layers travel from machine to machine; milliseconds do not."]
    return "\n".join(lines) + "\n"


def _time(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms" if seconds < 1 else f"{seconds:,.2f} s"

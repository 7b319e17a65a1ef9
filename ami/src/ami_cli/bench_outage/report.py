"""The figures of a burst as a table: on a terminal, as Markdown for docs/bench-outage.md, as JSON for machines."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ami_cli.bench_outage.figures import Burst

HEADING = """\
# What becomes of a burst of last gasps

Written by `make bench WRITE=docs`; run `ami bench-outage` to see your own machine's figures.

Simulated meters lose their power, each at a moment of its own within the time that is said, and each sends one last gasp: a ciphered datagram of its own address that nobody confirms. The head-end checks its tag and its counter, keeps the event and
posts it to a subscriber, up to 100 events in one message. Simulator and HES are a process each, the subscriber is in the benchmark's own. **Sent** have left the simulator; **taken** were handed to the head-end by the kernel; **lost in the kernel** found the receive
buffer full (`drops` of the socket in `/proc/net/udp`); **delivered** have come to the subscriber as an event, each counted once. **First**, **median** and **last** are the times from the meter's own time of its last gasp to the arrival of the event. CPU is user and
system time of the HES per meter.
"""
COLUMNS = (
    *("receive buffer", "octets", "meters", "within", "sent", "taken", "lost in the kernel", "delivered", "doubled"),
    *("first", "median", "last", "until the last", "CPU of the HES"),
)


def document(bursts: Sequence[Burst], machine: str, measured_at: datetime | None = None) -> dict[str, Any]:
    """The figures as plain values; the times of single events are left out."""
    at = (measured_at or datetime.now(UTC)).date().isoformat()
    return {"machine": machine, "measured_on": at, "bursts": [_plain(one) for one in bursts]}


def terminal(bursts: Sequence[Burst], machine: str) -> Group:
    """For a person: a line for each figure, a column for each burst."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 3, 0, 0))
    for name, *cells in zip(COLUMNS, *map(_cells, bursts), strict=True):
        table.add_row(name, *cells)
    return Group(Text(machine, "grey58"), Text(), table)


def markdown(bursts: Sequence[Burst], machine: str, measured_at: datetime | None = None) -> str:
    """The page docs/bench-outage.md."""
    at = (measured_at or datetime.now(UTC)).date().isoformat()
    lines = [HEADING, f"Measured {at} on: {machine}.", "", f"| {' | '.join(COLUMNS)} |"]
    lines.append("|---" + "|--:" * (len(COLUMNS) - 1) + "|")
    lines += [f"| {' | '.join(_cells(one))} |" for one in bursts]
    return "\n".join(lines) + "\n"


def _plain(one: Burst) -> dict[str, Any]:
    values = asdict(one)
    del values["delays_s"]
    derived = ("delivered", "lost", "first_s", "median_s", "last_s")
    return values | {name: getattr(one, name) for name in derived}


def _cells(one: Burst) -> tuple[str, ...]:
    numbers = (one.sent, one.taken, one.lost_in_kernel, one.delivered, one.doubled)
    times = (one.first_s, one.median_s, one.last_s, one.took_s)
    return (
        one.buffer,
        f"{one.granted_octets:,}",
        f"{one.meters:,}",
        f"{one.over_s:g} s",
        *(f"{number:,}" for number in numbers),
        *(f"{seconds:.2f} s" for seconds in times),
        f"{1000 * one.hes_cpu_s / one.meters:.2f} ms",
    )

"""`ami metrics`: every metric of the HES as a page, from their declarations (docs/metrics.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ami_hes.api.metric_families import ALL, COUNTER, HISTOGRAM, Family

app = typer.Typer(name="metrics", add_completion=False)

INTRODUCTION = """# Metrics

What `/metrics` of the head-end says to Prometheus. This page is written by `ami metrics --write docs/metrics.md` from the declarations in
`ami_hes/api/metric_families.py`, and a test compares it with them and with what processes expose.

A front end serves `/metrics` where it serves its API, a worker or a listener where `hes.status_port` says ([settings](settings.md#hes)); all let in who may read the
API ([secure-it](howto/secure-it.md)). What a process counts is its own, and begins with 0 at its start: Prometheus adds a label for each process that it asks, so a sum over them is that of the
system. The depth of a lane and what is in the store are those of the whole system, whichever process is asked: take their maximum, not their sum.

Labels have few values: nouns, operations, reply codes, lanes (`control`, `read`, `campaign`), and at most a hundred groups of meters, then `other`.
No label has a meter or a MessageID in it. Beside these there are the `process_...` metrics of every Prometheus client: memory, processor time, open files, start.

More workers are needed when `hes_lane_depth` stays above what all processes work at once (the sum of `hes_lane_places`) for longer than is good:
`max(hes_lane_depth{lane="read"}) / sum(hes_lane_places{lane="read"})` is how many times over the places are wanted.

"""


@app.callback(invoke_without_command=True)
def metrics(
    write: Annotated[Path | None, typer.Option(help="Write the page here, not to the screen.")] = None,
) -> None:
    """List every metric of the head-end, with its labels and what it counts."""
    if write is None:
        typer.echo(page(), nl=False)
    else:
        write.write_text(page(), "utf-8")


def page() -> str:
    """The page in Markdown."""
    rows = "".join(map(_row, ALL))
    return f"{INTRODUCTION}| metric | kind | labels | of | meaning |\n|---|---|---|---|---|\n{rows}"


def exposed(family: Family) -> str:
    """Its name as a query has it; that of a histogram is followed by `_bucket`, `_sum` or `_count`."""
    return f"{family.name}_total" if family.kind == COUNTER else family.name


def _row(family: Family) -> str:
    name = exposed(family) + ("_..." if family.kind == HISTOGRAM else "")
    labels = ", ".join(f"`{one}`" for one in family.labels)
    of = "every process" if family.everywhere else "front end, listener" if family.listening else "front end"
    return f"| `{name}` | {family.kind} | {labels} | {of} | {family.about} |\n"

"""`hes readings`: what a running head-end keeps of meters, as a file."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO
from urllib.parse import urlencode

import typer
from rich.console import Console

from ami_cim.reading_type_names import help_of_types
from ami_hes.api import paths
from ami_hes.client.asking import DEFAULT_URL, TokenFile, Url, head_end
from ami_process import rest_client

STANDARD_OUTPUT = "-"


def _octets_of(part: bytes) -> int:
    return len(part)


def _lines_of(part: bytes) -> int:
    return part.count(b"\n")


readings = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="What a running HES keeps of meters."
)


@readings.callback()
def of_a_running_process() -> None:
    """What a running HES keeps of meters."""


@readings.command("export")
def export_readings(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="The new file; - is standard output.")],
    meter: Annotated[
        list[str] | None, typer.Option(metavar="METER", help="A name or mRID; may be repeated. None: all.")
    ] = None,
    reading_type: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="TYPE", help=help_of_types("May be repeated. None: all.")),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="2026-11-28T12:00, with an offset or in hes.time_zone.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Likewise; none: up to now.")] = None,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Parquet instead of CSV; the HES needs the extra ami-hes[parquet].")
    ] = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Write the readings that the HES keeps to a new file, CSV or Parquet, while it works.

    Values after --from and up to --to, in units without a multiplier (Wh, V ...). Exit code 0: all of them are in the file. 1: the answer broke
    off, and there is no file. 2: refused as it was asked. 3: the HES cannot be reached.
    """
    hes = head_end(url, token_file)
    query = [("meter", one) for one in meter or []] + [("type", one) for one in reading_type or []]
    query += [("format", "parquet")] if parquet else []
    query += [(name, text) for name, text in (("from", since), ("to", until)) if text is not None]
    try:
        with (
            hes.ending(if_lost="what has come is not all, and is not kept"),
            rest_client.streamed(url, f"{paths.READINGS}?{urlencode(query)}", token_file) as parts,
            _new(file) as opened,
        ):
            number = _written(parts, opened, _octets_of if parquet else _lines_of)
    except OSError as problem:
        raise hes.refused(f"{file} can't be written: {problem.strerror or problem}") from None
    what = f"{number:,} octets of readings" if parquet else f"{number - 1} readings"
    sys.stderr.write(f"{what} are in {'standard output' if file == STANDARD_OUTPUT else file}\n")


def _written(parts: Iterator[bytes], opened: BinaryIO, counted: Callable[[bytes], int]) -> int:
    """How many of what is counted."""
    number = 0
    with Console(stderr=True).status("asking") as status:
        for part in parts:
            opened.write(part)
            number += counted(part)
            status.update(f"{number:,} {'octets' if counted is _octets_of else 'lines'}")
    return number


@contextmanager
def _new(file: str) -> Iterator[BinaryIO]:
    """A file that was not there, and that is not there afterwards if it did not become whole. Raises OSError."""
    if file == STANDARD_OUTPUT:
        yield sys.stdout.buffer
        return
    path = Path(file)
    with path.open("xb") as opened:
        try:
            yield opened
        except BaseException:
            path.unlink(missing_ok=True)
            raise

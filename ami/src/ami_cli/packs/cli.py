"""Companion standards as data: list, show, check and compare packs (docs/packs.md)."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from ami_cli.packs import pics as pages
from ami_cli.packs.differences import differences
from ami_cli.packs.from_scan import write_pack
from ami_cli.packs.page import page, summary
from ami_meter_sim.objects.model_files import VOCABULARY, load_model
from ami_packs.document import ModelError
from ami_packs.pack import Pack
from ami_packs.pack_folders import HEADER, Packs, packs_with, shipped_folder
from ami_packs.pack_keys import is_name
from ami_process.terminal_tables import Rows

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)

Folder = Annotated[
    Path | None,
    typer.Option("--packs", metavar="DIR", help="A folder with packs that lie over those that come with the project."),
]


class Part(StrEnum):
    """What `show` lists."""

    OBJECTS = "objects"
    EVENTS = "events"
    ALARMS = "alarms"
    PUSHES = "pushes"
    VALUES = "values"
    NOTES = "notes"


@app.command("list")
def list_packs(
    packs: Folder = None,
    write: Annotated[Path | None, typer.Option(help="Write the page docs/packs.md here.")] = None,
) -> None:
    """List the packs, with the level of each and how many rows it has."""
    known = opened(packs)
    if write is not None:
        write.write_text(_or_exit(lambda: page(known)), "utf-8")
        return
    table = Rows("pack", "level", "rows", "no source", "models", "what it is", numbers=(2, 3))
    for name in known.names:
        pack = _or_exit(lambda name=name: known.pack(name))  # type: ignore[misc]
        rows, sourceless = str(sum(pack.rows.values())), str(len(list(pack.sourceless())))
        table.add_row(name, pack.level, rows, sourceless, " ".join(pack.models), pack.title)
    _print(table)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="PACK")],
    part: Annotated[Part | None, typer.Option("--rows", help="List the rows of this kind.")] = None,
    packs: Folder = None,
) -> None:
    """Say what a pack is, what is known that is no row, and its rows."""
    pack = _or_exit(lambda: opened(packs).pack(name))
    if part is None:
        typer.echo(summary(pack))
    else:
        _print(_rows(pack, part))


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A pack, or a folder with packs.")],
) -> None:
    """Check packs with their models, and say everything that is wrong, with file and line."""
    own = folder.resolve()
    is_pack = (own / HEADER).is_file()
    known = _or_exit(lambda: Packs([shipped_folder(), own.parent if is_pack else own]))
    names = [own.name] if is_pack else [one.name for one in sorted(own.iterdir()) if (one / HEADER).is_file()]
    if not names:
        typer.echo(f"{folder}: there is no {HEADER} in it, and no folder with one", err=True)
        raise typer.Exit(1)
    for name in names:
        pack = _or_exit(lambda name=name: known.pack(name))  # type: ignore[misc]
        for model in pack.models:
            _or_exit(lambda name=name, model=model: known.model(f"{name}/{model}", VOCABULARY))  # type: ignore[misc]
        counts = ", ".join(f"{number} {kind}" for kind, number in pack.rows.items() if number)
        typer.echo(f"{name}: {pack.level}: {counts or 'no rows'}; models: {', '.join(pack.models) or 'none'}")
        for one in pack.sourceless():
            typer.echo(f"  no source: {one}")


@app.command()
def diff(
    first: Annotated[str, typer.Argument(metavar="A")],
    second: Annotated[str, typer.Argument(metavar="B")],
    packs: Folder = None,
) -> None:
    """Say which rows B has and A has not, which it has not, and which differ."""
    known = opened(packs)
    old, new = _or_exit(lambda: known.pack(first)), _or_exit(lambda: known.pack(second))
    lines = list(differences(old, new))
    typer.echo("\n".join(lines) if lines else f"{first} and {second} have the same rows")


@app.command()
def pics(
    meter: Annotated[
        Path, typer.Argument(metavar="METER.toml", help="A scan that `ami meter scan --save-model` saved, or a model.")
    ],
    pack: Annotated[str, typer.Option(help="The pack beside which it is laid.")],
    packs: Folder = None,
    html: Annotated[Path | None, typer.Option(help="Write the page as one HTML file here.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write it as Markdown here, not to the screen.")] = None,
) -> None:
    """Say what a meter has of a pack, row by row: a PICS page, in Markdown or HTML."""
    known = opened(packs)
    model = _or_exit(lambda: load_model(str(meter)))
    found = _or_exit(lambda: pages.sections(known, known.pack(pack), model, meter.stem))
    if html is not None:
        html.write_text(pages.html(found), "utf-8")
    if markdown is not None:
        markdown.write_text(pages.markdown(found), "utf-8")
    if html is None and markdown is None:
        typer.echo(pages.markdown(found), nl=False)


@app.command("from-scan")
def from_scan(
    scan: Annotated[Path, typer.Argument(metavar="SCAN.toml", help="What `ami meter scan --save-model` saved.")],
    name: Annotated[str, typer.Argument(metavar="PACK", help="What the pack is to be called.")],
    into: Annotated[Path, typer.Option(metavar="DIR", help="The folder with packs in which it is made.")],
) -> None:
    """Make a pack of the scan of a meter: its model, its objects, and a draft of the rest."""
    model = _or_exit(lambda: load_model(str(scan)))
    if not is_name(name):
        typer.echo(f"{name}: a name of small letters, digits, dots and hyphens was expected", err=True)
        raise typer.Exit(1)
    try:
        written = write_pack(into, name, scan.read_text("utf-8"), model)
    except OSError as error:
        typer.echo(f"{into / name}: {error.strerror}", err=True)
        raise typer.Exit(1) from None
    typer.echo("\n".join(map(str, written)))


def opened(folder: Path | None) -> Packs:
    """The packs of the project, and of this folder over them; ends with what is wrong."""
    return _or_exit(lambda: packs_with(folder))


def _or_exit(make: Callable[[], T]) -> T:
    try:
        return make()
    except ModelError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _rows(pack: Pack, part: Part) -> Rows:
    match part:
        case Part.OBJECTS:
            return _table(
                ("object", "class", "version", "what it is", "source"),
                (
                    (one.obis, one.class_id, "" if one.version is None else one.version, one.name, one.source)
                    for one in pack.objects.values()
                ),
            )
        case Part.EVENTS:
            return _table(
                ("log", "number", "meaning", "code", "source"),
                ((one.log, one.number, one.meaning, one.code or "", one.source) for one in pack.events.values()),
            )
        case Part.ALARMS:
            return _table(
                ("register", "bit", "meaning", "code", "source"),
                ((one.register, one.bit, one.meaning, one.code or "", one.source) for one in pack.alarms.values()),
            )
        case Part.PUSHES:
            return _table(
                ("push setup", "kind", "meaning", "source"),
                ((one.setup, one.kind, one.meaning, one.source) for one in pack.pushes.values()),
            )
        case Part.VALUES:
            return _table(
                ("list", "position", "object", "meaning", "source"),
                ((one.list_name, one.position, one.obis, one.meaning, one.source) for one in pack.values.values()),
            )
        case Part.NOTES:
            return _table(("about", "what is known", "source"), ((n.subject, n.text, n.source) for n in pack.notes))


def _table(headings: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> Rows:
    table = Rows(*headings, whole=(0,))
    for row in rows:
        table.add_row(*(str(cell).removesuffix("*255") for cell in row))
    return table


def _print(table: Rows) -> None:
    for line in table.lines(shutil.get_terminal_size().columns):
        typer.echo(line)

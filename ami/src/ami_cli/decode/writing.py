"""What `ami decode` writes: trees for people, one line per frame, JSON or XML; as it comes, so that nothing is kept.

Colours and the width of the terminal count only where there is one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import typer
from rich.console import Console
from rich.text import Text

from ami_cli.decode import documents
from ami_cli.decode.reading import Shown
from ami_cli.decode.summary import moment, summary_line
from ami_cli.decode.tree_view import Line, View
from ami_cli.view import THEME
from ami_dlms.explain import Document, document

MEGA = 1 << 20
PERIOD = 0.5


def write_trees(shown: Iterable[Shown], view: View, *, no_color: bool, several: bool) -> None:
    """Each message with a heading that says where it comes from, if there is something to say."""
    write = _writer(no_color=no_color, crop=False)
    file = None
    for place, one in enumerate(shown):
        if place:
            write([("", "")])
        if several and one.file != file:
            file = one.file
            write([(file, "bold")])
        if one.is_captured:
            ends = f"{one.source} → {one.destination}"
            write([(f"{one.number}  {moment(one.at)}  {ends}", "quiet")])
        for line in view.lines(one.tree):
            write(line)


def write_summary(shown: Iterable[Shown], *, no_color: bool, several: bool) -> None:
    """One line per frame, cut at the edge of a terminal; the file in front when there are several."""
    write = _writer(no_color=no_color, crop=True)
    for one in shown:
        write(summary_line(one, Path(one.file).name if several else ""))


def write_documents(shown: Iterable[Shown], *, as_xml: bool) -> None:
    """One document of all messages."""
    for line in (documents.xml_lines if as_xml else documents.json_lines)(_documents(shown)):
        typer.echo(line)


def _documents(shown: Iterable[Shown]) -> Iterator[Document]:
    for one in shown:
        found = document(one.tree)
        if one.is_captured:
            at = {} if one.at is None else {"at": one.at.isoformat()}
            found = {
                "name": found["name"],
                "frame": one.number,
                **at,
                "from": one.source,
                "to": one.destination,
            } | found
        yield found


def _writer(*, no_color: bool, crop: bool) -> Callable[[Line], None]:
    console = Console(theme=THEME, highlight=False, no_color=no_color or None)
    if not console.is_terminal:
        return lambda line: typer.echo("".join(text for text, _ in line).rstrip())

    def write(line: Line) -> None:
        text = Text.assemble(*line)
        text.rstrip()
        console.print(text, soft_wrap=not crop, no_wrap=crop, overflow="ellipsis" if crop else None)

    return write


class Progress:
    """How far a capture has been read, on standard error, if that is a terminal and the answer goes elsewhere."""

    def __init__(self, name: str, size: int, *, into_file: bool = False) -> None:
        self._name, self._size = Path(name).name, size
        self._shown = sys.stderr.isatty() and (into_file or not sys.stdout.isatty())
        self._next = time.monotonic() + PERIOD

    def __call__(self, capture: BinaryIO) -> None:
        """Say it again if half a second has gone by."""
        if self._shown and (now := time.monotonic()) >= self._next:
            self._next = now + PERIOD
            sys.stderr.write(f"\r{self._name}: {capture.tell() // MEGA:,} of {self._size // MEGA:,} MB read")
            sys.stderr.flush()

    def end(self) -> None:
        """Wipe it out."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")

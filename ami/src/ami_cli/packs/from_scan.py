"""A pack from the scan of a meter: its model as it was saved, its objects as rows, and a draft of the rest for a person to go on with.

What a scan can't know is said so in the rows themselves: what a number means that was seen in a log, what a push setup sends.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ami_dlms import data
from ami_dlms.cosem.classes import class_name
from ami_dlms.errors import DlmsError
from ami_dlms.obis import Obis
from ami_packs.model import Model, ObjectDescription
from ami_packs.pack_folders import HEADER, MODELS

SOURCE = "scan"
EVENT_CODES, LOGS = bytes((96, 11)), bytes((99, 98))
PUSH_SETUP = 40
DRAFT = """\
# A draft, made of the scan of one meter. Say what it is, what it rests on, and what the numbers mean; then raise the level.

[pack]
title = "Meters like {name}"
level = "read"
basis = "the scan of one meter"

[[notes]]
subject = "gap"
text = "Rights are those of the client that scanned; meanings of events, alarms and push setups are not in a scan."
source = "scan"
"""


def write_pack(folder: Path, name: str, scan: str, model: Model) -> list[Path]:
    """The files of the pack in this folder, which must not be there; OSError as of any file."""
    own = folder / name
    (own / MODELS).mkdir(parents=True)
    texts = {
        own / HEADER: DRAFT.format(name=name),
        own / MODELS / f"{name}.toml": scan,
        own / "objects.csv": _table(("class_id", "version", "obis", "name", "source"), _objects(model)),
        own / "events.csv": _table(
            ("log", "number", "meaning", "occurrences", "alarm", "code", "basis", "source"), _events(model)
        ),
        own / "pushes.csv": _table(("setup", "kind", "meaning", "registers", "code", "source"), _pushes(model)),
    }
    for path, text in texts.items():
        path.write_text(text, "utf-8")
    return list(texts)


def _table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(headings)
    writer.writerows(rows)
    return out.getvalue()


def _objects(model: Model) -> Iterator[Sequence[object]]:
    for one in model.objects.values():
        yield one.class_id, one.version, _short(one.obis), class_name(one.class_id) or one.name, SOURCE


def _events(model: Model) -> Iterator[Sequence[object]]:
    for one in model.profiles:
        if one.obis[2:4] == LOGS:
            for number in sorted(set(_numbers(one))):
                yield _short(one.obis), number, "seen in the log, meaning not known", "", "", "", "", SOURCE


def _numbers(log: ObjectDescription) -> Iterator[int]:
    place = next((at for at, column in enumerate(log.columns) if column.logical_name[2:4] == EVENT_CODES), None)
    if place is None:
        return
    for row in log.rows:
        try:
            cells = data.decode(row).value
        except DlmsError:
            continue
        if isinstance(cells, tuple) and len(cells) > place and isinstance(cells[place].value, int):
            yield cells[place].value


def _pushes(model: Model) -> Iterator[Sequence[object]]:
    for one in model.objects.values():
        if one.class_id == PUSH_SETUP:
            yield _short(one.obis), "readings", "what it sends is not known", "", "", SOURCE


def _short(obis: Obis) -> str:
    return str(obis).removesuffix("*255")

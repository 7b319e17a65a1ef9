"""docs/packs.md: the packs as they are, and the schema that reads them; and what a pack says of itself, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ami_packs import pack_keys
from ami_packs.document import Key
from ami_packs.pack import Level, Pack
from ami_packs.pack_folders import Packs

TABLES: tuple[tuple[str, Mapping[str, Key]], ...] = (
    ("`[pack]` of pack.toml", pack_keys.PACK_KEYS),
    ("`[[notes]]` of pack.toml", pack_keys.NOTE_KEYS),
    ("objects.csv", pack_keys.OBJECT_COLUMNS),
    ("events.csv", pack_keys.EVENT_COLUMNS),
    ("alarms.csv", pack_keys.ALARM_COLUMNS),
    ("pushes.csv", pack_keys.PUSH_COLUMNS),
    ("values.csv", pack_keys.VALUE_COLUMNS),
)
INTRODUCTION = """\
# Packs: companion standards as data

A pack is a folder: what a companion standard says of meters, as rows that each say where that is written, and models of meters that follow
it. Simulator, head-end and tools read the same packs. How to write one: [write-a-pack](howto/write-a-pack.md). This page is written by
`ami pack list --write docs/packs.md`.

Our packs are "-like": they rest on public documents and public code, which each names. None was made from the text of its standard where
that is not public, and none says that a meter, or this project, is certified by anybody. A pack's level says how far it goes:

| level | what is shown by a test |
|---|---|
| meter | the simulator serves its meters; a head-end commissions them, reads registers and profiles, and gives their events and alarms their codes |
| read | the simulator serves its meters, and a head-end commissions and reads them; nothing is claimed of events |
| list | rows to look things up in: nothing is served |

An entry of the registry names its pack (`pack = "idis-like"`): by it the head-end numbers the meter's events and alarms, and says at
commissioning which of the objects of the pack's nearest model the meter lacks. A meter of a pack has its events named by that pack alone; an
entry without one is named by the general rows of [mapping](mapping.md).
"""


def page(packs: Packs) -> str:
    """The page in Markdown."""
    known = [packs.pack(name) for name in packs.names]
    rows = "".join(map(_row, known))
    head = (
        "| pack | level | objects | events | alarms | pushes | values | without a source | models |\n"
        + "|---" * 9
        + "|\n"
    )
    sections = "".join(_section(one, packs.pack(one.extends) if one.extends else None) for one in known)
    keys = "".join(_keys(title, table) for title, table in TABLES)
    return f"{INTRODUCTION}\n{head}{rows}{sections}\n## What the files of a pack may say\n{keys}"


def summary(pack: Pack) -> str:
    """What a pack says of itself, in lines."""
    lines = [f"{pack.name}: {pack.title}", f"level: {pack.level}", f"rests on: {pack.basis}"]
    if pack.extends:
        lines.append(f"extends: {pack.extends}")
    lines.append("rows: " + ", ".join(f"{number} {kind}" for kind, number in pack.rows.items() if number))
    lines.append(f"models: {', '.join(pack.models) or 'none'}")
    lines += [f"{one.subject}: {one.text}" for one in pack.notes]
    lines += [f"no source: {one}" for one in pack.sourceless()]
    return "\n".join(lines)


def _row(pack: Pack) -> str:
    counts = [str(pack.rows[name] or "") for name in ("objects", "events", "alarms", "pushes", "values")]
    cells = [f"[{pack.name}](#{_anchor(pack.name)})", pack.level, *counts, str(len(list(pack.sourceless())))]
    return f"| {' | '.join([*cells, ', '.join(pack.models)])} |\n"


def _anchor(name: str) -> str:
    return name.replace(".", "")


def _section(pack: Pack, base: Pack | None) -> str:
    extends = f" It is [{pack.extends}](#{_anchor(pack.extends)}) with what follows here." if pack.extends else ""
    lines = [
        f"\n## {pack.name}\n\n{_cell(pack.title)}. Level: {pack.level}.{extends} It rests on: {_cell(pack.basis)}.\n"
    ]
    notes = [one for one in pack.notes if base is None or one not in base.notes]
    if notes:
        lines.append("\n| about | what is known | source |\n|---|---|---|\n")
        lines += [f"| {one.subject} | {_cell(one.text)} | {_cell(one.source)} |\n" for one in notes]
    if pack.level is not Level.LIST and pack.models:
        names = ", ".join(f'`"{pack.name}/{name}"`' for name in pack.models)
        lines.append(f"\nModels, as `model` of a simulated meter: {names}.\n")
    lines += _sourceless(pack)
    return "".join(lines)


def _sourceless(pack: Pack) -> Iterator[str]:
    without = list(pack.sourceless())
    if without:
        yield "\nRows without a source: " + "; ".join(without) + ".\n"


def _keys(title: str, table: Mapping[str, Key]) -> str:
    rows = "".join(
        f"| `{name}`{' (needed)' if key.needed else ''} | {key.value} | {_cell(key.meaning)} |\n"
        for name, key in table.items()
    )
    return f"\n### {title}\n\n| key | value | meaning |\n|---|---|---|\n{rows}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

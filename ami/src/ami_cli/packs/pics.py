"""A PICS page: what a meter has of a pack, row by row, from its scan; in Markdown or as one HTML file.

It says what was seen in the meter's object list and what the pack says, with the pack's level and the rows that name no source. It tests
nothing: that an object is there does not mean that it works.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from ami_dlms.cosem.classes import class_name
from ami_dlms.obis import Obis
from ami_packs.comparison import nearest
from ami_packs.document import Wrong
from ami_packs.model import Model, ObjectAccess
from ami_packs.pack import ObjectKey, Pack
from ami_packs.pack_folders import Packs
from ami_packs.pack_keys import OBJECT_COLUMNS
from ami_packs.rows import rights

LOG, ALARM_OBJECT, PUSH_SETUP = 7, 1, 40
STYLE = (
    "body{font:14px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem;color:#1c1c1c;background:#fff}"
    "table{border-collapse:collapse;margin:.6rem 0 1.6rem}th,td{border:1px solid #c8c8c8;padding:.2rem .5rem;text-align:left;vertical-align:top}"
    "th{background:#f0f0f0}"
)


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, what is said below it, and a table."""

    title: str
    said: tuple[str, ...]
    headings: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def sections(packs: Packs, pack: Pack, model: Model, meter: str) -> list[Section]:
    """The page of a meter, as its scan or model has it, beside a pack."""
    return [
        _summary(packs, pack, model, meter),
        _objects(pack, model),
        _more(pack, model),
        _logs(pack, model),
        _alarms(pack, model),
        _pushes(pack, model),
        _known(pack),
    ]


def markdown(page: Sequence[Section]) -> str:
    """The page as Markdown; the first section has the heading of the page."""
    parts = []
    for place, one in enumerate(page):
        parts.append(f"{'#' if not place else '##'} {one.title}\n")
        parts += [f"\n{text}\n" for text in one.said]
        if one.rows:
            parts.append(f"\n| {' | '.join(one.headings)} |\n|{'---|' * len(one.headings)}\n")
            parts += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in one.rows]
        parts.append("\n")
    return "".join(parts).rstrip("\n") + "\n"


def html(page: Sequence[Section]) -> str:
    """The page as one file, which asks for nothing else."""
    parts = []
    for place, one in enumerate(page):
        parts.append(f"<h{1 if not place else 2}>{escape(one.title)}</h{1 if not place else 2}>")
        parts += [f"<p>{escape(text)}</p>" for text in one.said]
        if one.rows:
            head = "".join(f"<th>{escape(cell)}</th>" for cell in one.headings)
            rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in one.rows)
            parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")
    title = escape(page[0].title)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style></head>\n'
        f"<body>\n{chr(10).join(parts)}\n</body></html>\n"
    )


def _summary(packs: Packs, pack: Pack, model: Model, meter: str) -> Section:
    has = sum(key in model.objects for key in pack.objects)
    found = nearest(packs.object_keys(pack.name), model.objects)
    said = [
        f"Meter: {meter}, {model.title}. Pack: {pack.name}, {pack.title}, level {pack.level}. The pack rests on: {pack.basis}.",
        f"Of the {len(pack.objects)} objects that the pack lists the meter has {has}; {len(set(model.objects) - set(pack.objects))} more are its own.",
    ]
    if found.model:
        lacks = (
            f"it lacks {len(found.missing)} of its {found.number} objects"
            if found.missing
            else "it has all of its objects"
        )
        said.append(f"The nearest model is {pack.name}/{found.model}: {lacks}.")
    said.append("This page says what was listed. It is no test, and no certificate.")
    return Section(f"What {meter} has of {pack.name}", tuple(said))


def _objects(pack: Pack, model: Model) -> Section:
    rows = []
    for key, one in pack.objects.items():
        there = model.objects.get(key)
        version = "" if one.version is None else str(one.version)
        state = "no"
        if there is not None:
            state = "yes" if version in ("", str(there.version)) else f"version {there.version}"
        differs = "" if there is None else "; ".join(_rights_that_differ(pack, key, there.access))
        rows.append(
            (_short(key[1]), f"{key[0]} {class_name(key[0])}", version, one.name, state, differs, one.source or "none")
        )
    headings = ("object", "class", "version", "what it is", "there", "rights that differ", "source")
    return Section("Objects of the pack", (), headings, tuple(rows))


def _rights_that_differ(pack: Pack, key: ObjectKey, known: Mapping[str, ObjectAccess]) -> Iterator[str]:
    """Of associations that both know by the same name: more of the meter with +, less with -."""
    cells = pack.object_rows[key].table() if key in pack.object_rows else {}
    for name, cell in cells.items():
        if name in OBJECT_COLUMNS or name not in known:
            continue
        try:
            wanted = rights(cell).value
        except Wrong:
            continue
        has = known[name]
        for word, numbers in (("read", has.read), ("write", has.write), ("methods", has.methods)):
            more, less = sorted(numbers - set(wanted.get(word, ()))), sorted(set(wanted.get(word, ())) - numbers)
            signs = [f"+{one}" for one in more] + [f"-{one}" for one in less]
            if signs:
                yield f"{name} {word} {' '.join(signs)}"


def _more(pack: Pack, model: Model) -> Section:
    rows = [
        (_short(obis), f"{class_id} {class_name(class_id)}", one.name)
        for (class_id, obis), one in model.objects.items()
        if (class_id, obis) not in pack.objects
    ]
    said = () if rows else ("None.",)
    return Section("Objects that the pack does not list", said, ("object", "class", "what it is"), tuple(rows))


def _logs(pack: Pack, model: Model) -> Section:
    logs: dict[str, list[int]] = {}
    there = {str(obis) for class_id, obis in model.objects if class_id == LOG}
    for log, number in pack.events:
        logs.setdefault(str(log), []).append(number)
    rows = [
        (log.removesuffix("*255"), str(len(numbers)), "yes" if log in there else "no")
        for log, numbers in sorted(logs.items())
    ]
    return Section(
        "Event logs", () if rows else ("The pack has no events.",), ("log", "events of the pack", "there"), tuple(rows)
    )


def _alarms(pack: Pack, model: Model) -> Section:
    registers: dict[Obis, int] = {}
    for register, _ in pack.alarms:
        registers[register] = registers.get(register, 0) + 1
    rows = [
        (_short(register), str(bits), "yes" if (ALARM_OBJECT, register) in model.objects else "no")
        for register, bits in registers.items()
    ]
    return Section(
        "Alarm registers",
        () if rows else ("The pack has none.",),
        ("register", "bits of the pack", "there"),
        tuple(rows),
    )


def _pushes(pack: Pack, model: Model) -> Section:
    rows = [
        (_short(setup), one.kind, one.meaning, "yes" if (PUSH_SETUP, setup) in model.objects else "no")
        for setup, one in pack.pushes.items()
    ]
    return Section(
        "Push setups",
        () if rows else ("The pack has none.",),
        ("push setup", "kind", "what it says", "there"),
        tuple(rows),
    )


def _known(pack: Pack) -> Section:
    sourceless = list(pack.sourceless())
    said = (f"Rows without a source: {'; '.join(sourceless) or 'none'}.",)
    rows = tuple((str(one.subject), one.text, one.source or "none") for one in pack.notes)
    return Section("What else the pack knows", said, ("about", "what is known", "source"), rows)


def _short(obis: Obis) -> str:
    return str(obis).removesuffix("*255")

"""`ami models`: the meter models as a page, from their files and the schema that reads them (docs/models.md); and a file checked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from ami_dlms.association.vocabulary import format_mechanism
from ami_dlms.cosem.classes import class_name
from ami_dlms.cosem.quantity import unit_of
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.obis import Obis
from ami_meter_sim.objects.data_and_register import NAMED
from ami_meter_sim.objects.families import FAMILIES, family_of
from ami_meter_sim.objects.model_files import load_model
from ami_meter_sim.objects.quantities import QUANTITIES
from ami_packs import event_keys, model_files, object_keys
from ami_packs.document import Key, ModelError
from ami_packs.event_list import LoggedEvent
from ami_packs.model import Model, ObjectAccess, ObjectDescription, Offered

app = typer.Typer(name="models", add_completion=False)

TABLES: tuple[tuple[str, Mapping[str, Key]], ...] = (
    ("the file", model_files.SECTIONS),
    ("`[model]`", model_files.MODEL_KEYS),
    ("`[[associations]]`", model_files.ASSOCIATION_KEYS),
    ("`[[objects]]`, and what the objects of `[[groups]]` share", object_keys.KEYS),
    ("`[[events]]`", event_keys.EVENT_KEYS),
    ("`[load]`", model_files.LOAD_KEYS),
)
INTRODUCTION = """\
# Models of meters

A simulated meter has a model (`[meters.simulated] model = "..."`): which objects it has, what implements them, who may do what with
them. A model is data, a TOML file; these come with [services/packs](../services/packs/src/ami_packs/models). How to make another one:
[build-a-model](howto/build-a-model.md). This page is written by `ami models --write docs/models.md`.

Rights are numbers of attributes and methods: r read, w written, m methods. *Live*: there is code for the class, or a value with a
name behind the object. *Plain*: its attributes are served as the model has them, and keep what a client writes.
"""


@app.command("models")
def models(
    file: Annotated[
        Path | None, typer.Argument(help="Check this file, and say everything that is wrong with it.")
    ] = None,
    write: Annotated[Path | None, typer.Option(help="Write the page here, not to the screen.")] = None,
) -> None:
    """List the models of meters, what each has, and what a model file may say; or check a file."""
    if file is not None:
        typer.echo(_checked(file))
    elif write is None:
        typer.echo(page(), nl=False)
    else:
        write.write_text(page(), "utf-8")


def _checked(file: Path) -> str:
    try:
        model = load_model(str(file))
    except ModelError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    return f"{file}: {model.title}: {len(model.objects)} objects, {len(model.associations)} associations"


def page() -> str:
    """The page in Markdown."""
    names = model_files.model_names()
    overview = "".join(
        f"| [{name}](#{name}) | {load_model(name).title} | {len(load_model(name).objects)} |\n" for name in names
    )
    sections = "".join(_section(name) for name in names)
    keys = "".join(_keys(title, table) for title, table in TABLES)
    overview = f"\n| model | what it is | objects |\n|---|---|---|\n{overview}"
    return f"{INTRODUCTION}{overview}{sections}{_values()}{_options()}\n## What a model file may say\n{keys}"


def _values() -> str:
    rows = [(name, what, "") for name, (what, _) in NAMED.items()]
    rows += [(name, one.what, unit_of(one.unit).symbol) for name, one in QUANTITIES.items()]
    cells = "".join(f"| `{name}` | {_cell(what)} | {unit} |\n" for name, what, unit in rows)
    return f"\n## Live values\n\nWhat `value` may name.\n\n| value | what it is | unit |\n|---|---|---|\n{cells}"


def _options() -> str:
    cells = "".join(
        f"| {class_id} v{version} {class_name(class_id).replace('_', ' ')} | `{name}` | `{json.dumps(usual)}` |\n"
        for (class_id, version), family in sorted(FAMILIES.items())
        for name, usual in family.options.items()
    )
    return f"\n## Options\n\nWhat `options` may say of a class.\n\n| class | option | unset |\n|---|---|---|\n{cells}"


def _keys(title: str, table: Mapping[str, Key]) -> str:
    rows = (
        f"| `{name}`{' (needed)' if key.needed else ''} | {key.value} | {_cell(key.meaning)} |\n"
        for name, key in table.items()
    )
    return f"\n### Keys of {title}\n\n| key | value | meaning |\n|---|---|---|\n{''.join(rows)}"


def _section(name: str) -> str:
    model = load_model(name)
    base = load_model(model.base) if model.base else None
    own = [one for key, one in model.objects.items() if base is None or base.objects.get(key) != one]
    parts = [f"\n## {name}\n\n{model.title}.{_differences(model, base)}\n"]
    if base is None or base.associations != model.associations:
        parts.append(_associations(model.associations))
    parts.append(_objects(own, model))
    profiles = [one for one in own if one.columns]
    if profiles:
        parts.append(_profiles(profiles))
    events = [] if base is not None and base.events == model.events else list(_events(model))
    if events:
        parts.append(
            f"\n| log | number | what happened | occurrence | alarm | source |\n|---|---|---|---|---|---|\n{''.join(events)}"
        )
    return "".join(parts)


def _differences(model: Model, base: Model | None) -> str:
    if base is None:
        return ""
    gone = sorted({str(obis).removesuffix("*255") for _, obis in base.objects.keys() - model.objects.keys()})
    without = f" without {', '.join(gone)}" if gone else ""
    return f" It is [{model.base}](#{model.base}){without}, and what follows here."


def _associations(offered: Iterable[Offered]) -> str:
    rows = "".join(map(_association, offered))
    return f"\n| association | client | authentication | protection | security setup |\n|---|---|---|---|---|\n{rows}"


def _association(one: Offered) -> str:
    if one.client_wport is None:
        return f"| {one.name} | as the settings say | as the settings say | as the settings say | 1 |\n"
    policy = {(False, False): "none", (True, False): "authenticated", (False, True): "encrypted", (True, True): "both"}
    opened = "pre-established" if one.pre_established else format_mechanism(one.mechanism)
    setup = one.security_setup if one.keyed else ""
    return f"| {one.name} | {one.client_wport} | {opened} | {policy[one.authenticated, one.encrypted]} | {setup} |\n"


def _objects(objects: list[ObjectDescription], model: Model) -> str:
    names = [one.name for one in model.associations]
    head = f"\n| object | class | what it is | {' | '.join(names)} | source |\n|---|---|---|{'---|' * len(names)}---|\n"
    return head + "".join(_object(one, names) for one in objects)


def _object(one: ObjectDescription, names: list[str]) -> str:
    rights = " | ".join(_rights(one.access.get(name)) for name in names)
    kind = "plain" if family_of(one) is None else f"`{one.value}`" if one.value else "live"
    known = f"{one.class_id} v{one.version} {class_name(one.class_id).replace('_', ' ')}"
    return f"| {_short(one.obis)} | {known} | {_cell(one.name)} ({kind}) | {rights} | {_cell(one.source)} |\n"


def _rights(access: ObjectAccess | None) -> str:
    if access is None:
        return ""
    kinds = (("r", access.read), ("w", access.write), ("m", access.methods))
    return " ".join(f"{letter}{_ranges(sorted(numbers))}" for letter, numbers in kinds if numbers)


def _ranges(numbers: list[int]) -> str:
    """1, 2, 3, 5 as 1-3,5."""
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][-1] == number - 1:
            found[-1].append(number)
        else:
            found.append([number])
    return ",".join(f"{one[0]}-{one[-1]}" if len(one) > 1 else str(one[0]) for one in found)


def _profiles(profiles: Iterable[ObjectDescription]) -> str:
    rows = (
        f"| {_short(one.obis)} | {one.name} | {one.capture_period or ''} | {one.profile_entries or ''} | {_columns(one.columns)} |\n"
        for one in profiles
    )
    return f"\n| profile | what it is | capture period, s | entries | columns (object/attribute) |\n|---|---|---|---|---|\n{''.join(rows)}"


def _columns(columns: Iterable[CaptureObject]) -> str:
    return ", ".join(f"{_short(one.logical_name)}/{one.attribute_index}" for one in columns)


def _events(model: Model) -> Iterator[str]:
    rows = ((event, occurrence) for occurrence, events in model.events.events.items() for event in events)
    for event, occurrence in sorted(rows, key=lambda row: (str(row[0].log), row[0].number, row[1])):
        meaning, source = _cell(event.meaning), _cell(event.source)
        yield f"| {_short(event.log)} | {event.number} | {meaning} | `{occurrence}` | {_alarm(event)} | {source} |\n"


def _alarm(event: LoggedEvent) -> str:
    return "" if event.alarm is None else f"{_short(event.alarm.register)} bit {event.alarm.bit}"


def _short(obis: Obis) -> str:
    return str(obis).removesuffix("*255")


def _cell(text: str) -> str:
    text = " ".join(text.split()).replace("|", "\\|")
    return text[:1].upper() + text[1:]

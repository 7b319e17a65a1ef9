"""Folders of packs: which there are, what is in each, and a pack read whole with what it extends.

A pack is a folder with pack.toml, tables in CSV and a folder of models. A deployment has folders of its own; a pack there of a name that is
there already lies over that one, and says only what is different. Nothing but such folders is read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, TypeVar

from ami_packs.document import MAX_CHARACTERS, ModelError, Node, Problem, Problems, parse_document, suggestion
from ami_packs.model import Model
from ami_packs.model_files import SUFFIX, parse_model
from ami_packs.object_keys import ANY, Vocabulary
from ami_packs.pack import Level, ModelText, Note, ObjectKey, Pack
from ami_packs.pack_keys import (
    ALARM_COLUMNS,
    EVENT_COLUMNS,
    OBJECT_COLUMNS,
    PACK_KEYS,
    PUSH_COLUMNS,
    SECTIONS,
    VALUE_COLUMNS,
    is_name,
    read_alarm,
    read_event,
    read_note,
    read_object,
    read_push,
    read_value,
)
from ami_packs.pack_model import PackRows
from ami_packs.rows import read_rows

Row = TypeVar("Row")

HEADER, MODELS = "pack.toml", "models"
TABLES = ("objects.csv", "events.csv", "alarms.csv", "pushes.csv", "values.csv")
OTHER_FILES = ("NOTICE", "README.md")
MAX_PACKS, MAX_MODELS, MAX_EXTENDED = 500, 50, 8


@dataclass(slots=True)
class _Draft:
    """A pack as far as it has been read, what it extends first."""

    header: dict[str, Any] = field(default_factory=dict)
    extends: str = ""
    objects: dict[ObjectKey, Any] = field(default_factory=dict)
    object_rows: dict[ObjectKey, Node] = field(default_factory=dict)
    events: dict[Any, Any] = field(default_factory=dict)
    alarms: dict[Any, Any] = field(default_factory=dict)
    pushes: dict[Any, Any] = field(default_factory=dict)
    values: dict[Any, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    models: dict[str, ModelText] = field(default_factory=dict)


class Packs:
    """The packs of these folders, a later one over an earlier one. Raises ModelError for what can't be used, with file and line."""

    def __init__(self, folders: Sequence[Traversable]) -> None:
        self._layers: dict[str, list[Traversable]] = {}
        for folder in folders:
            for one in _folders_in(folder):
                self._layers.setdefault(one.name, []).append(one)
        self._read: dict[str, Pack] = {}
        self._keys: dict[str, Mapping[str, frozenset[ObjectKey]]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Of all packs."""
        return tuple(sorted(self._layers))

    def pack(self, name: str) -> Pack:
        """A pack with what it extends; a ModelError names those that there are."""
        if name not in self._read:
            self._read[name] = self._whole(name)
        return self._read[name]

    def model(self, name: str, vocabulary: Vocabulary = ANY) -> Model:
        """The model "pack/model"; a ModelError says what is wrong with it."""
        pack_name, _, model_name = name.partition("/")
        pack = self.pack(pack_name)
        if model_name not in pack.models:
            raise ModelError(f"model {name}: pack {pack_name} has {', '.join(pack.models) or 'no models'}")
        own = pack.models[model_name]
        return parse_model(own.text, own.file, vocabulary, PackRows(pack, model_name))

    def object_keys(self, name: str) -> Mapping[str, frozenset[ObjectKey]]:
        """Which objects each model of a pack has."""
        if name not in self._keys:
            models = self.pack(name).models
            self._keys[name] = {one: frozenset(self.model(f"{name}/{one}").objects) for one in models}
        return self._keys[name]

    def _whole(self, name: str) -> Pack:
        draft, problems = _Draft(), Problems()
        self._lay(name, draft, problems, ())
        problems.raise_any()
        header = draft.header
        return Pack(
            name=name,
            title=header["title"],
            level=header["level"],
            basis=header["basis"],
            extends=draft.extends,
            objects=draft.objects,
            events=draft.events,
            alarms=draft.alarms,
            pushes=draft.pushes,
            values=draft.values,
            notes=tuple(dict.fromkeys(draft.notes)),
            models=draft.models,
            object_rows=draft.object_rows,
        )

    def _lay(self, name: str, draft: _Draft, problems: Problems, below: tuple[str, ...]) -> None:
        """Read all folders of a name over what the draft has from the pack that they extend."""
        if name not in self._layers:
            raise ModelError(f"pack {name}: there is none of this name; {suggestion(name, self.names)}")
        for place, folder in enumerate(self._layers[name]):
            file = _file(folder, HEADER)
            sections = problems.read_keys(file.table(), SECTIONS, file, "a pack")
            node = sections.get("pack")
            header = {} if node is None else problems.read_keys(problems.table(node), PACK_KEYS, node, "[pack]")
            if node is None or not {"title", "level", "basis"} <= set(header):
                problems.raise_any()
            if "extends" in header and not place:
                self._lay_extended(header["extends"], node or file, draft, problems, (*below, name))
            elif "extends" in header:
                problems.add(node or file, f"{name} is there already, and lies over it; it can't extend another pack")
            draft.header, draft.extends = header, header.get("extends", draft.extends) if not place else draft.extends
            _leave_out(header, node or file, draft, problems)
            draft.notes += [
                one for each in problems.elements(sections.get("notes")) if (one := read_note(each, problems))
            ]
            _read_tables(folder, draft, problems)
            for model, own in _models_in(folder, problems).items():
                draft.models[model] = replace(own, below=draft.models.get(model))

    def _lay_extended(self, name: str, node: Node, draft: _Draft, problems: Problems, below: tuple[str, ...]) -> None:
        if name in below or len(below) > MAX_EXTENDED:
            raise ModelError(node.problem(f"{' -> '.join((*below, name))}: packs can't extend one another so"))
        if name not in self._layers:
            raise ModelError(node.problem(f"there is no pack `{name}`; {suggestion(name, self.names)}"))
        self._lay(name, draft, problems, below)


def _leave_out(header: Mapping[str, Any], node: Node, draft: _Draft, problems: Problems) -> None:
    for key in header.get("without", ()):
        if draft.objects.pop(key, None) is None:
            problems.add(node, f"the pack that it extends has no object {key[0]}/{key[1]}")
        draft.object_rows.pop(key, None)
    for name in header.get("without_models", ()):
        if draft.models.pop(name, None) is None:
            problems.add(node, f"the pack that it extends has no model {name}")


def _read_tables(folder: Traversable, draft: _Draft, problems: Problems) -> None:
    objects = _rows_in(folder, "objects.csv", OBJECT_COLUMNS, read_object, problems, more=True)
    _put(draft.objects, [(node, (one.class_id, one.obis), one) for node, one in objects], problems)
    draft.object_rows |= {(one.class_id, one.obis): node for node, one in objects}
    events = _rows_in(folder, "events.csv", EVENT_COLUMNS, read_event, problems)
    _put(draft.events, [(node, (one.log, one.number), one) for node, one in events], problems)
    alarms = _rows_in(folder, "alarms.csv", ALARM_COLUMNS, read_alarm, problems)
    _put(draft.alarms, [(node, (one.register, one.bit), one) for node, one in alarms], problems)
    pushes = _rows_in(folder, "pushes.csv", PUSH_COLUMNS, read_push, problems)
    _put(draft.pushes, [(node, one.setup, one) for node, one in pushes], problems)
    values = _rows_in(folder, "values.csv", VALUE_COLUMNS, read_value, problems)
    _put(draft.values, [(node, (one.list_name, one.position), one) for node, one in values], problems)


def _put(rows: dict[Any, Any], found: Sequence[tuple[Node, Any, Any]], problems: Problems) -> None:
    """Each over what is there from below; the same key twice in one file is a problem."""
    lines: dict[Any, int] = {}
    for node, key, one in found:
        if key in lines:
            problems.add(node, f"this row is there already, in line {lines[key]}")
            continue
        lines[key] = node.line
        rows[key] = one


def _rows_in(
    folder: Traversable,
    name: str,
    columns: Mapping[str, Any],
    read: Callable[[Node, Problems], Row | None],
    problems: Problems,
    *,
    more: bool = False,
) -> list[tuple[Node, Row]]:
    table = folder / name
    if not table.is_file():
        return []
    needed = [one for one, key in columns.items() if key.needed] if more else list(columns)
    nodes = read_rows(_text(table), _shown(folder, name), needed, problems, more=more)
    return [(node, one) for node in nodes if (one := read(node, problems)) is not None]


def _models_in(folder: Traversable, problems: Problems) -> dict[str, ModelText]:
    there = folder / MODELS
    if not there.is_dir():
        return {}
    found: dict[str, ModelText] = {}
    for one in sorted(there.iterdir(), key=lambda one: one.name):
        name = one.name.removesuffix(SUFFIX)
        if not one.name.endswith(SUFFIX) or not is_name(name):
            continue
        if len(found) >= MAX_MODELS:
            raise ModelError(f"{_shown(folder, MODELS)}: has more than {MAX_MODELS} models")
        found[name] = ModelText(_text(one), _shown(folder, f"{MODELS}/{one.name}"))
    return found


def _folders_in(folder: Traversable) -> list[Traversable]:
    try:
        there = [one for one in folder.iterdir() if one.is_dir() and (one / HEADER).is_file()]
    except OSError as error:
        raise ModelError(f"packs {folder}: {error.strerror}") from None
    if len(there) > MAX_PACKS:
        raise ModelError(f"packs {folder}: has more than {MAX_PACKS} packs")
    for one in there:
        if not is_name(one.name):
            raise ModelError(
                f"packs {folder}: {one.name[:40]!r}: small letters, digits, dots and hyphens were expected"
            )
        _refuse_strange(one)
    return there


def _refuse_strange(folder: Traversable) -> None:
    """A file of a name that is not known would be left out without a word."""
    known = (HEADER, *TABLES, *OTHER_FILES, MODELS)
    for one in folder.iterdir():
        if one.name not in known and not one.name.startswith("."):
            raise ModelError(
                Problem(_shown(folder, one.name), 1, f"is no file of a pack; {suggestion(one.name, known)}")
            )


def _file(folder: Traversable, name: str) -> Node:
    return parse_document(_text(folder / name), _shown(folder, name))


def _text(file: Traversable) -> str:
    try:
        with file.open("rb") as stream:
            octets = stream.read(4 * MAX_CHARACTERS + 1)
        return octets.decode("utf-8")
    except OSError as error:
        raise ModelError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ModelError(f"{file}: is not UTF-8: {error.reason} at octet {error.start}") from None


def _shown(folder: Traversable, name: str) -> str:
    return f"{folder.name}/{name}"


def shipped_folder() -> Traversable:
    """Where the packs are that come with this package."""
    return files("ami_packs") / "packs"


@cache
def shipped_packs() -> Packs:
    """The packs that come with this package."""
    return Packs([shipped_folder()])


@lru_cache(maxsize=8)
def packs_with(folder: Traversable | None) -> Packs:
    """Those that come with this package, and over them those of a deployment's folder."""
    return shipped_packs() if folder is None else Packs([shipped_folder(), folder])


def serves(pack: Pack) -> bool:
    """Whether there are meters of it."""
    return pack.level is not Level.LIST

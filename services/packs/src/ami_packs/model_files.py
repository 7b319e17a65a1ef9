"""Models of meters, read from TOML and checked as a whole before any meter is made of them.

Strategy: a model may begin with another one (`base`, one of those that come with this package) and then says only what is different: an object
of the same class and OBIS code replaces the base's, `without` takes some away. What refers to something is checked when all is there.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

from ami_dlms.association.vocabulary import MECHANISMS
from ami_dlms.enums import Mechanism
from ami_dlms.errors import LocalError
from ami_dlms.obis import Obis
from ami_packs.base_names import CURRENT_ASSOCIATION, base_names
from ami_packs.document import (
    Key,
    ModelError,
    Node,
    Problems,
    Wrong,
    as_it_is,
    list_of,
    obis,
    one_of,
    parse_document,
    suggestion,
    text,
    true_or_false,
    whole_number,
)
from ami_packs.event_keys import LIST_KEYS, Logged, read_events
from ami_packs.event_list import EventList, event_list
from ami_packs.model import HOURS, OFFERED, PROFILE_GENERIC, LoadTable, Model, Offered
from ami_packs.object_keys import (
    ANY,
    KEYS,
    Known,
    ObjectKey,
    Parsed,
    Vocabulary,
    check_references,
    parse_object,
    with_rights,
)

SUFFIX = ".toml"
MAX_BASES = 4
MAX_OBJECTS = 5_000
DATA = 1
ASSOCIATION_LN = 15


_POLICIES = {"none": (False, False), "authenticated": (True, False), "encrypted": (False, True), "both": (True, True)}
_WATTS = list_of(whole_number(0, 1_000_000), HOURS)

SECTIONS: Mapping[str, Key] = {
    "model": Key(as_it_is, "table", "what the model is", needed=True),
    "load": Key(as_it_is, "table", "a day's power by the hour (UTC) in watts"),
    "associations": Key(as_it_is, "tables", "which associations a meter offers; without any: public and management"),
    "rights": Key(as_it_is, "tables", "named sets of rights, for objects to refer to"),
    "objects": Key(as_it_is, "tables", "one object each"),
    "groups": Key(as_it_is, "tables", "objects that have some keys in common"),
    "events": Key(as_it_is, "tables", "what happens, and under which number it is logged where"),
}
MODEL_KEYS: Mapping[str, Key] = {
    "title": Key(text, "text", "what it is, for people", needed=True),
    "base": Key(text, "text", "a model of this package that this one begins with"),
    "short_names": Key(true_or_false, "true or false", "clients name its objects by short names"),
    "event_list": Key(
        text, "text", "a list of events of this package; of logs that the model does not have, none count"
    ),
    "without": Key(
        list_of(obis, MAX_OBJECTS), "list", "OBIS codes of the base's objects that this model does not have"
    ),
}
LOAD_KEYS: Mapping[str, Key] = {
    "consumption_w": Key(_WATTS, "list", f"{HOURS} powers in watts", needed=True),
    "generation_w": Key(_WATTS, "list", f"{HOURS} powers in watts", needed=True),
}
ASSOCIATION_KEYS: Mapping[str, Key] = {
    "name": Key(text, "text", "by which objects give it rights", needed=True),
    "client_wport": Key(whole_number(1, 0xFFFF), "whole number", "its client; unset: the one of the meter's settings"),
    "authentication": Key(one_of(MECHANISMS), "text", "mechanism: " + ", ".join(MECHANISMS)),
    "policy": Key(one_of(_POLICIES), "text", "protection of APDUs: " + ", ".join(_POLICIES)),
    "security_setup": Key(whole_number(1, 2), "whole number", "whose keys and invocation counters it has"),
    "pre_established": Key(true_or_false, "true or false", "open without AARQ"),
}
GROUP_KEYS: Mapping[str, Key] = {"objects": Key(as_it_is, "list", "the objects, each with the keys it does not share")}


class BaseText(Protocol):
    """A model file that another one begins with."""

    @property
    def text(self) -> str: ...
    @property
    def file(self) -> str: ...


class ObjectRow(Protocol):
    """A row of a table of objects: an object by itself (`makes`), or what counts for one that is there."""

    @property
    def key(self) -> ObjectKey: ...
    @property
    def node(self) -> Node: ...
    @property
    def makes(self) -> bool: ...
    @property
    def access(self) -> Mapping[str, Node]: ...


class Surroundings(Protocol):
    """What a model of a pack has beside its own file (`pack_model.PackRows`)."""

    def base(self, name: str, file: str) -> BaseText | None:
        """Another model of the pack; `file` is the one that begins with it."""

    def events(self) -> tuple[Logged, ...]:
        """What happens, and under which number the pack logs it where."""

    def objects(self, problems: Problems) -> Iterable[ObjectRow]:
        """The rows of the pack's table of objects that count for the model."""


@dataclass(slots=True)
class _Draft:
    """A model as far as it has been read, its base first."""

    title: str = ""
    base: str = ""
    short_names: bool = False
    header: Node | None = None
    load: LoadTable | None = None
    associations: dict[str, Offered] = field(default_factory=dict)
    rights: dict[str, Node] = field(default_factory=dict)
    objects: dict[ObjectKey, Parsed] = field(default_factory=dict)
    listed: tuple[Logged, ...] = ()
    events: dict[Logged, Node] = field(default_factory=dict)
    surroundings: Surroundings | None = None


def _names(folder: str) -> tuple[str, ...]:
    there = files("ami_packs").joinpath(folder).iterdir()
    return tuple(sorted(one.name.removesuffix(SUFFIX) for one in there if one.name.endswith(SUFFIX)))


def _packaged(folder: str, name: str) -> str:
    return files("ami_packs").joinpath(folder, f"{name}{SUFFIX}").read_text("utf-8")


def model_names() -> tuple[str, ...]:
    """The models that come with this package."""
    return _names("models")


def model_text(name: str) -> str:
    """The text of a model that comes with this package; ModelError names those that do."""
    if name not in model_names():
        raise ModelError(f"model {name}: there is none of this name; there are: {', '.join(model_names())}")
    return _packaged("models", name)


@cache
def shipped_model(name: str, vocabulary: Vocabulary = ANY) -> Model:
    """A model that comes with this package; ModelError names those that do."""
    return parse_model(model_text(name), f"{name}{SUFFIX}", vocabulary)


@cache
def event_list_named(name: str) -> EventList:
    """An event list that comes with this package; ModelError for a name that none has."""
    if name not in _names("event_lists"):
        raise ModelError(f"there is no event list {name}; there are: {', '.join(_names('event_lists'))}")
    problems = Problems()
    found = _listed_events(name, problems)
    problems.raise_any()
    return event_list((str(one.occurrence), one.event) for one in found)


def parse_model(
    content: str, file: str, vocabulary: Vocabulary = ANY, surroundings: Surroundings | None = None
) -> Model:
    """The model that a text describes; ModelError with every problem, its file and line, when it can't be used.

    `file` is what messages call it; the vocabulary are the words of who brings the objects to life; `surroundings` are those of a model of a
    pack.
    """
    problems = Problems()
    draft = _Draft(surroundings=surroundings)
    _read(parse_document(content, file), draft, problems, vocabulary)
    check_references(draft.objects, problems)
    _check_events(draft, problems)
    _check_names(draft, problems)
    problems.raise_any()
    return Model(
        tuple([one.described for one in draft.objects.values()]),
        tuple(draft.associations.values()),
        draft.load,
        _event_list(draft),
        draft.title,
        draft.base,
        draft.short_names,
    )


def _read(root: Node, draft: _Draft, problems: Problems, vocabulary: Vocabulary, depth: int = 0) -> None:
    """Read a file over what the draft has from its base."""
    sections = problems.read_keys(root.table(), SECTIONS, root, "a model")
    header = _table(sections.get("model"), MODEL_KEYS, "[model]", problems)
    is_of_pack = draft.surroundings is not None
    if "base" in header:
        is_of_pack = _read_base(sections["model"].table()["base"], draft, problems, vocabulary, depth)
    draft.title, draft.base = header.get("title", draft.title), header.get("base", "")
    draft.short_names = header.get("short_names", draft.short_names)
    draft.header = sections.get("model")
    _leave_out(sections.get("model"), header.get("without", ()), draft, problems)
    if "load" in sections:
        draft.load = _load(sections["load"], problems) or draft.load
    _read_associations(sections.get("associations"), draft, problems)
    draft.rights |= problems.table(sections.get("rights"))
    _check_rights(draft, problems)
    known = Known(problems, tuple(draft.associations), draft.rights, vocabulary)
    if is_of_pack:
        _read_rows(draft, known)
    _read_objects(sections, draft, known)
    _read_events(sections, header, draft, problems)


def _table(node: Node | None, keys: Mapping[str, Key], what: str, problems: Problems) -> dict[str, Any]:
    return {} if node is None else problems.read_keys(problems.table(node), keys, node, what)


def _each(node: Node | None, read: Callable[[Node], None], problems: Problems) -> None:
    for one in problems.elements(node):
        try:
            read(one)
        except Wrong as wrong:
            problems.found.append(wrong.problem)


def _read_base(node: Node, draft: _Draft, problems: Problems, vocabulary: Vocabulary, depth: int) -> bool:
    """Whether the rows of a pack come behind it: it is none of the pack, whose own models have them already."""
    name = str(node.value)
    own = None if draft.surroundings is None else draft.surroundings.base(name, node.file)
    if depth >= MAX_BASES:
        problems.add(node, f"more than {MAX_BASES} models would begin with one another")
    elif own is not None:
        _read(parse_document(own.text, own.file), draft, problems, vocabulary, depth + 1)
        return False
    elif name not in model_names():
        problems.add(node, f"there is no model `{name}`; {suggestion(name, model_names())}")
    else:
        surroundings, draft.surroundings = draft.surroundings, None
        _read(parse_document(model_text(name), f"{name}{SUFFIX}"), draft, problems, vocabulary, depth + 1)
        draft.surroundings = surroundings
        if surroundings is not None:
            draft.listed, draft.events = (), {}
    return draft.surroundings is not None


def _leave_out(header: Node | None, codes: tuple[Obis, ...], draft: _Draft, problems: Problems) -> None:
    if header is None:
        return
    there = {code for _, code in draft.objects}
    for code in codes:
        if code not in there:
            problems.add(header.table()["without"], f"the base has no object {code}")
    draft.objects = {key: one for key, one in draft.objects.items() if key[1] not in codes}
    draft.events = {key: node for key, node in draft.events.items() if key.event.log not in codes}


def _load(node: Node, problems: Problems) -> LoadTable | None:
    found = _table(node, LOAD_KEYS, "[load]", problems)
    if set(found) != set(LOAD_KEYS):
        return None
    for name, watts in found.items():
        if len(watts) != HOURS:
            problems.add(node.table()[name], f"{HOURS} powers were expected, one for each hour, not {len(watts)}")
            return None
    return LoadTable(**found)


def _read_associations(node: Node | None, draft: _Draft, problems: Problems) -> None:
    of_this_file: dict[str, Node] = {}

    def read(one: Node) -> None:
        found = _table(one, ASSOCIATION_KEYS, "an association", problems)
        if "name" not in found:
            return
        name = found["name"]
        if name in of_this_file:
            raise Wrong(one, f"the association `{name}` is there already, in line {of_this_file[name].line}")
        if name in KEYS or name in GROUP_KEYS:
            raise Wrong(one, f"an association can't be called `{name}`, which is a key of objects")
        of_this_file[name] = one
        draft.associations[name] = _offered(one, found, draft.associations)

    _each(node, read, problems)
    if not draft.associations:
        draft.associations = {one.name: one for one in OFFERED}


def _offered(node: Node, found: dict[str, Any], others: Mapping[str, Offered]) -> Offered:
    client = found.get("client_wport")
    for one in others.values():
        if one.name != found["name"] and one.client_wport == client:
            what = f"client {client} has" if client is not None else "the client of the meter's settings has"
            raise Wrong(node, f"{what} the association `{one.name}` already")
    if client is None and set(found) - {"name"}:
        raise Wrong(node, "without `client_wport` it is the association of the meter's settings, which say the rest")
    authenticated, encrypted = found.get("policy", _POLICIES["none"])
    pre_established = found.get("pre_established", False)
    mechanism = found.get("authentication", Mechanism.LOWEST)
    if pre_established and mechanism is not Mechanism.LOWEST:
        raise Wrong(node, "a pre-established association has no authentication: it opens without AARQ")
    return Offered(
        found["name"], client, mechanism, authenticated, encrypted, found.get("security_setup", 1), pre_established
    )


def _check_rights(draft: _Draft, problems: Problems) -> None:
    """Every named set of rights is of associations that exist; what they say is checked with each object."""
    for name, node in draft.rights.items():
        for association, inner in problems.table(node).items():
            if association not in draft.associations:
                there = suggestion(association, tuple(draft.associations))
                problems.add(inner, f"`{name}` gives a right to `{association}`, which is no association; {there}")
    draft.rights = {name: node for name, node in draft.rights.items() if isinstance(node.value, dict)}


def _read_rows(draft: _Draft, known: Known) -> None:
    """Those of the pack: an object of its own, or rights over those of an object that the base has."""
    rows = () if draft.surroundings is None else draft.surroundings.objects(known.problems)
    for row in rows:
        if row.makes:
            parsed = parse_object(row.node.table(), row.node, known, {})
        else:
            there = draft.objects.get(row.key)
            parsed = None if there is None or not row.access else with_rights(there, row.access, row.node, known)
        if parsed is not None:
            draft.objects[row.key] = parsed


def _read_objects(sections: Mapping[str, Any], draft: _Draft, known: Known) -> None:
    of_this_file: dict[ObjectKey, Node] = {}

    def read(one: Node, shared: Mapping[str, Node] | None = None) -> None:
        parsed = parse_object(one.table(), one, known, shared or {})
        if parsed is None:
            return
        key = (parsed.described.class_id, parsed.described.obis)
        if key in of_this_file:
            raise Wrong(one, f"{key[1]} of class {key[0]} is there already, in line {of_this_file[key].line}")
        if len(draft.objects) >= MAX_OBJECTS:
            raise ModelError(one.problem(f"has more than {MAX_OBJECTS} objects"))
        of_this_file[key] = one
        draft.objects[key] = parsed

    def read_group(group: Node) -> None:
        shared = group.table()
        members = shared.pop("objects", None)
        if members is None:
            raise Wrong(group, "a group needs the key `objects`, a list of its objects")
        _each(members, lambda one: read(one, shared), known.problems)

    _each(sections.get("objects"), read, known.problems)
    _each(sections.get("groups"), read_group, known.problems)


def _read_events(sections: Mapping[str, Any], header: Mapping[str, Any], draft: _Draft, problems: Problems) -> None:
    """Those of the list that the model names, or of its pack, as far as it has their logs, and its own."""
    name = header.get("event_list")
    if draft.surroundings is not None:
        draft.listed = draft.surroundings.events()
    if name in _names("event_lists"):
        draft.listed = _listed_events(str(name), problems)
    elif name is not None:
        node = sections["model"].table()["event_list"]
        problems.add(node, f"there is no event list `{name}`; {suggestion(name, _names('event_lists'))}")
    for node, logged in read_events(sections.get("events"), "", problems):
        draft.events[logged] = node


def _listed_events(name: str, problems: Problems) -> tuple[Logged, ...]:
    root = parse_document(_packaged("event_lists", name), f"{name}{SUFFIX}")
    found = _table(root, LIST_KEYS, "an event list", problems)
    return tuple([logged for _, logged in read_events(found.get("events"), found.get("source", ""), problems)])


def _check_events(draft: _Draft, problems: Problems) -> None:
    """An event of a model's own is of a log, and its alarm of a register, that the model has."""
    for logged, node in draft.events.items():
        alarm = logged.event.alarm
        if (PROFILE_GENERIC, logged.event.log) not in draft.objects:
            problems.add(node, f"the model has no log {logged.event.log} (class {PROFILE_GENERIC})")
        if alarm is not None and (DATA, alarm.register) not in draft.objects:
            problems.add(node, f"the model has no alarm register {alarm.register} (class {DATA})")


def _check_names(draft: _Draft, problems: Problems) -> None:
    """An association with short names is one of class 12, which lists base names; all of them fit into 16 bits."""
    if not draft.short_names or draft.header is None:
        return
    for class_id, name in draft.objects:
        if class_id == ASSOCIATION_LN:
            problems.add(
                draft.objects[class_id, name].node, f"{name} of class 15 has no place in a model with short names"
            )
    if CURRENT_ASSOCIATION not in draft.objects:
        problems.add(draft.header, "a model with short names needs the object 0-0:40.0.0 of class 12")
    try:
        base_names(one.described for one in draft.objects.values())
    except LocalError as error:
        problems.add(draft.header, str(error))


def _event_list(draft: _Draft) -> EventList:
    """Of the list that the model names, what it has logs for, and the alarms that it has registers for; and its own."""
    rows = []
    for occurrence, event in (*draft.listed, *draft.events):
        if (PROFILE_GENERIC, event.log) in draft.objects:
            has_register = event.alarm is not None and (DATA, event.alarm.register) in draft.objects
            rows.append((str(occurrence), event if has_register else replace(event, alarm=None)))
    return event_list(rows)

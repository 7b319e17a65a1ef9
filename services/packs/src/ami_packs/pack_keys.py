"""The schema of a pack's files: which keys and columns each has, and how a row is read."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ami_dlms.cosem.classes import class_versions
from ami_dlms.obis import Obis
from ami_packs.document import Key, Node, Problems, Wrong, as_it_is, list_of, obis, one_of, text, whole_number
from ami_packs.event_list import AlarmBit, Occurrence
from ami_packs.pack import (
    ALARM_BITS,
    Level,
    ListedValue,
    Note,
    ObjectKey,
    PackAlarm,
    PackEvent,
    PackObject,
    PackPush,
    Subject,
)
from ami_packs.rows import of_digits, only, words_of

T = TypeVar("T")

MAX_TEXT = 2_000
_CODE = re.compile(r"0(?:\.\d{1,4}){3}", re.ASCII)
_WORD = re.compile(r"[a-z][a-z0-9-]{0,39}", re.ASCII)


def name_of_pack(node: Node) -> str:
    """The name of a folder: letters, digits, dots and hyphens."""
    if not is_name(str(node.value)):
        raise Wrong(node, "a name of small letters, digits, dots and hyphens was expected")
    return str(node.value)


def is_name(text: str) -> bool:
    """Whether this can be the name of a pack or of a model."""
    return re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,39}", text, re.ASCII) is not None


def event_type(node: Node) -> str:
    """An EndDeviceEventType of device type 0."""
    if _CODE.fullmatch(str(node.value)) is None:
        raise Wrong(node, "a code of four numbers with 0 for the device type was expected, as 0.26.38.85")
    return str(node.value)


def log_name(node: Node) -> Obis | str:
    """The OBIS code of a log, or a word where that is not known."""
    if _WORD.fullmatch(str(node.value)):
        return str(node.value)
    return obis(node)


def alarm_bit(node: Node) -> AlarmBit:
    """ "register/bit"."""
    register, slash, bit = str(node.value).partition("/")
    if not slash:
        raise Wrong(node, "an alarm is register/bit, as 0-0:97.98.0/3")
    number = of_digits(whole_number(0, ALARM_BITS - 1))(_at(node, bit))
    return AlarmBit(obis(_at(node, register)), number)


def object_key(node: Node) -> ObjectKey:
    """ "class/obis"."""
    class_id, slash, name = str(node.value).partition("/")
    if not slash:
        raise Wrong(node, "an object is class/obis, as 3/1-0:1.8.0")
    return of_digits(whole_number(1, 0xFFFF))(_at(node, class_id)), obis(_at(node, name))


def _at(node: Node, value: str) -> Node:
    return Node(value, node.file, node.path, node.lines)


def sentence(node: Node) -> str:
    """A text of a note, which may be longer than a name."""
    if not isinstance(node.value, str) or not node.value.strip() or len(node.value) > MAX_TEXT:
        raise Wrong(node, f"a text of at most {MAX_TEXT} characters was expected")
    return node.value


SECTIONS: Mapping[str, Key] = {
    "pack": Key(as_it_is, "table", "what the pack is", needed=True),
    "notes": Key(as_it_is, "tables", "what is known of the standard and is no row of a table, gaps among it"),
}
PACK_KEYS: Mapping[str, Key] = {
    "title": Key(text, "text", "what it is, for people", needed=True),
    "level": Key(one_of({str(one): one for one in Level}), "text", "meter, read or list", needed=True),
    "basis": Key(sentence, "text", "what its rows rest on", needed=True),
    "extends": Key(name_of_pack, "text", "a pack whose rows and models it has below its own"),
    "without": Key(list_of(object_key), "list", 'objects of that pack that it does not have, as "3/1-0:1.8.0"'),
    "without_models": Key(list_of(name_of_pack), "list", "models of that pack that it does not have"),
}
NOTE_KEYS: Mapping[str, Key] = {
    "subject": Key(
        one_of({str(one): one for one in Subject}), "text", "about what: " + ", ".join(Subject), needed=True
    ),
    "text": Key(sentence, "text", "what is known", needed=True),
    "source": Key(text, "text", "where that is written"),
}
_SOURCE = Key(text, "text", "where that is written")
OBJECT_COLUMNS: Mapping[str, Key] = {
    "class_id": Key(of_digits(whole_number(1, 0xFFFF)), "whole number", "interface class", needed=True),
    "version": Key(of_digits(whole_number(0, 255)), "whole number", "of the class; empty where it is not known"),
    "obis": Key(obis, "OBIS code", "logical name", needed=True),
    "name": Key(text, "text", "what it is, for people", needed=True),
    "models": Key(words_of(name_of_pack), "words", "the models that the row counts for; empty: all"),
    "value": Key(text, "text", "name of the live value behind a class 1, 3, 4 or 5 of a served object"),
    "constant": Key(as_it_is, "TOML", "the value of a served object that never changes, as { long_unsigned = 5 }"),
    "scaler": Key(as_it_is, "whole number", "power of ten of scaler_unit"),
    "unit": Key(as_it_is, "text", "symbol or code of the unit of scaler_unit"),
    "rights": Key(as_it_is, "text", "a set of rights of the model"),
    "options": Key(as_it_is, "TOML", "how the class behaves, as in a model"),
    "source": _SOURCE,
}
"""Any other column is an association, whose cells are rights, as `r1-3 w2 m1`."""
EVENT_COLUMNS: Mapping[str, Key] = {
    "log": Key(log_name, "OBIS code", "the log; a word where its OBIS code is not known", needed=True),
    "number": Key(of_digits(whole_number(0, 0xFFFF)), "whole number", "under which it is logged", needed=True),
    "meaning": Key(text, "text", "what the number means", needed=True),
    "occurrences": Key(
        words_of(one_of({str(one): one for one in Occurrence})), "words", "what happens in a simulated meter"
    ),
    "alarm": Key(alarm_bit, "text", "the alarm that it raises, as 0-0:97.98.0/3"),
    "code": Key(event_type, "text", "EndDeviceEventType with type 0; empty: it has none"),
    "basis": Key(text, "text", "what the code rests on"),
    "source": _SOURCE,
}
ALARM_COLUMNS: Mapping[str, Key] = {
    "register": Key(obis, "OBIS code", "the alarm register, or the status word", needed=True),
    "bit": Key(of_digits(whole_number(0, ALARM_BITS - 1)), "whole number", "the lowest is 0", needed=True),
    "meaning": Key(text, "text", "what the bit means", needed=True),
    "numbers": Key(
        words_of(of_digits(whole_number(0, 0xFFFF))), "words", "numbers of the log entries that it stands for"
    ),
    "code": Key(event_type, "text", "EndDeviceEventType with type 0; empty: it has none"),
    "source": _SOURCE,
}
PUSH_COLUMNS: Mapping[str, Key] = {
    "setup": Key(obis, "OBIS code", "the push setup", needed=True),
    "kind": Key(only(("alarms", "event", "readings")), "text", "alarms, event or readings", needed=True),
    "meaning": Key(text, "text", "what it says", needed=True),
    "registers": Key(words_of(obis), "words", "the alarm registers in it, in order"),
    "code": Key(event_type, "text", "EndDeviceEventType of one that is an event"),
    "source": _SOURCE,
}
VALUE_COLUMNS: Mapping[str, Key] = {
    "list": Key(text, "text", "the list", needed=True),
    "position": Key(of_digits(whole_number(1, 1_000)), "whole number", "from 1", needed=True),
    "obis": Key(obis, "OBIS code", "what is there", needed=True),
    "meaning": Key(text, "text", "for people"),
    "source": _SOURCE,
}
ObjectRow = Callable[[Mapping[str, Any]], T]


def read_note(node: Node, problems: Problems) -> Note | None:
    """A note of pack.toml."""
    found = problems.read_keys(problems.table(node), NOTE_KEYS, node, "a note")
    return Note(**found) if {"subject", "text"} <= set(found) else None


def read_object(node: Node, problems: Problems) -> PackObject | None:
    """A row of objects.csv; its columns of rights are left to the models."""
    given = {name: one for name, one in node.table().items() if name in OBJECT_COLUMNS}
    found = _row(given, OBJECT_COLUMNS, node, "an object", problems)
    if found is None:
        return None
    version = found.get("version")
    if (
        version is not None
        and (found["class_id"], version) not in class_versions()
        and {"value", "constant"} & set(given)
    ):
        problems.add(node, f"class {found['class_id']} version {version} is not known here, and can't be served")
    fields = {name: found[name] for name in ("class_id", "obis", "name")}
    return PackObject(**fields, version=version, models=found.get("models", ()), source=found.get("source", ""))


def read_event(node: Node, problems: Problems) -> PackEvent | None:
    """A row of events.csv."""
    found = _row(node.table(), EVENT_COLUMNS, node, "an event", problems)
    return None if found is None else PackEvent(**found)


def read_alarm(node: Node, problems: Problems) -> PackAlarm | None:
    """A row of alarms.csv."""
    found = _row(node.table(), ALARM_COLUMNS, node, "an alarm", problems)
    return None if found is None else PackAlarm(**found)


def read_push(node: Node, problems: Problems) -> PackPush | None:
    """A row of pushes.csv."""
    found = _row(node.table(), PUSH_COLUMNS, node, "a push setup", problems)
    return None if found is None else PackPush(**found)


def read_value(node: Node, problems: Problems) -> ListedValue | None:
    """A row of values.csv."""
    found = _row(node.table(), VALUE_COLUMNS, node, "a value", problems)
    if found is None:
        return None
    return ListedValue(
        found["list"], found["position"], found["obis"], found.get("meaning", ""), found.get("source", "")
    )


def _row(
    given: Mapping[str, Node], columns: Mapping[str, Key], node: Node, what: str, problems: Problems
) -> dict[str, Any] | None:
    found = problems.read_keys(given, columns, node, what)
    return found if {name for name, key in columns.items() if key.needed} <= set(found) else None

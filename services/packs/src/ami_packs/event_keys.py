"""The events of a model file, and of the lists that several models share: what happens, and under which number it is logged where."""

from collections.abc import Mapping
from typing import NamedTuple

from ami_dlms.obis import Obis
from ami_packs.document import Key, Node, Problems, Wrong, as_it_is, obis, one_of, text, whole_number
from ami_packs.event_list import AlarmBit, LoggedEvent, Occurrence

ALARM_BITS = 32
MAX_EVENTS = 2_000


def _alarm(node: Node) -> AlarmBit:
    entries = node.table()
    if set(entries) != {"register", "bit"}:
        raise Wrong(node, "an alarm has `register` and `bit`")
    return AlarmBit(obis(entries["register"]), whole_number(0, ALARM_BITS - 1)(entries["bit"]))


EVENT_KEYS: Mapping[str, Key] = {
    "occurrence": Key(one_of({str(one): one for one in Occurrence}), "text", "what happens in the meter", needed=True),
    "log": Key(obis, "text", "the log, an object of class 7", needed=True),
    "number": Key(whole_number(0, 0xFFFF), "whole number", "under which it is logged", needed=True),
    "meaning": Key(text, "text", "what the number means, for people", needed=True),
    "source": Key(text, "text", "where that is written"),
    "alarm": Key(_alarm, "table", "`register` and `bit` (0 to 31) of the alarm that it raises"),
}
LIST_KEYS: Mapping[str, Key] = {
    "source": Key(text, "text", "where the numbers are written", needed=True),
    "events": Key(as_it_is, "tables", "the events", needed=True),
}


class Logged(NamedTuple):
    """An event of a model, and what brings it about."""

    occurrence: Occurrence
    event: LoggedEvent


def read_events(rows: Node | None, source: str, problems: Problems) -> list[tuple[Node, Logged]]:
    """The events of these rows, each with where it is; `source` is that of rows without one."""
    found: dict[tuple[Occurrence, Obis, int], tuple[Node, Logged]] = {}
    nodes = problems.elements(rows)
    if len(nodes) > MAX_EVENTS:
        problems.add(nodes[MAX_EVENTS], f"there are more than {MAX_EVENTS} events")
    for node in nodes[:MAX_EVENTS]:
        row = problems.read_keys(problems.table(node), EVENT_KEYS, node, "an event")
        if not {"occurrence", "log", "number", "meaning"} <= set(row):
            continue
        key = (row["occurrence"], row["log"], row["number"])
        if key in found:
            problems.add(node, f"event {row['number']} of {row['log']} is there already, in line {found[key][0].line}")
            continue
        event = LoggedEvent(row["log"], row["number"], row.get("alarm"), row["meaning"], row.get("source", source))
        found[key] = (node, Logged(row["occurrence"], event))
    return list(found.values())

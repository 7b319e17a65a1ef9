"""What a pack lays over and below a model of its own: the objects of its table, its events, and its other models as bases.

Strategy: a row of a served object is made into the same node that an object of a model file is, so it is read and checked by the same
code, with the file and line of its row. A row without a value lays its name and rights over the object that the base has; where the base has
none, it is not served.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ami_dlms.obis import Obis
from ami_packs.document import Node, Problems
from ami_packs.event_keys import Logged
from ami_packs.event_list import LoggedEvent
from ami_packs.object_keys import ObjectKey
from ami_packs.pack import ModelText, Pack
from ami_packs.pack_keys import OBJECT_COLUMNS
from ami_packs.rows import as_whole, rights, toml_value, with_value

OF_PACK = "./"
"""In front of the name of another model of the same pack, as a base; any other base is one of the fleet's models."""


@dataclass(frozen=True, slots=True)
class RowOfObject:
    """A row of the pack's table of objects as an object of a model file."""

    key: ObjectKey
    node: Node
    makes: bool
    """Whether it is an object by itself; else it counts for one that is there."""
    access: Mapping[str, Node]


@dataclass(frozen=True, slots=True)
class PackRows:
    """The pack of a model, as the reader of models wants it (`model_files.Surroundings`)."""

    pack: Pack
    model_name: str

    def base(self, name: str, file: str) -> ModelText | None:
        """Another model of the pack; of the model of this file itself the one that it lies over."""
        top = self.pack.models.get(name.removeprefix(OF_PACK)) if name.startswith(OF_PACK) else None
        found = top
        while found is not None and found.file != file:
            found = found.below
        return top if found is None else found.below

    def events(self) -> tuple[Logged, ...]:
        """Those that a simulated meter can have."""
        return tuple(
            [
                Logged(occurrence, LoggedEvent(one.log, one.number, one.alarm, one.meaning, one.source))
                for one in self.pack.events.values()
                for occurrence in one.occurrences
                if isinstance(one.log, Obis)
            ]
        )

    def objects(self, problems: Problems) -> Iterator[RowOfObject]:
        """The rows that count for the model."""
        for key, one in self.pack.objects.items():
            if not one.models or self.model_name in one.models:
                yield self._row(key, self.pack.object_rows[key], problems)

    def _row(self, key: ObjectKey, node: Node, problems: Problems) -> RowOfObject:
        cells = node.table()
        access = {
            name: problems.attempt(rights, cell, cell) for name, cell in cells.items() if name not in OBJECT_COLUMNS
        }
        makes = bool({"value", "constant"} & set(cells))
        if not makes:
            return RowOfObject(key, node, False, access)
        own: dict[str, Node] = {
            name: cells[name] for name in ("obis", "name", "source", "value", "unit", "rights") if name in cells
        }
        for name in ("class_id", "version", "scaler"):
            if name in cells:
                own[name] = problems.attempt(as_whole, cells[name], cells[name])
        if str(cells["unit"].value if "unit" in cells else "").isdecimal():
            own["unit"] = problems.attempt(as_whole, cells["unit"], cells["unit"])
        if "constant" in cells:
            constant = problems.attempt(toml_value, cells["constant"], cells["constant"])
            own["attributes"] = with_value(node, {"value": constant.value})
        if "options" in cells:
            own["options"] = problems.attempt(toml_value, cells["options"], cells["options"])
        values = {name: one.value for name, one in {**own, **access}.items()}
        return RowOfObject(key, with_value(node, values), True, access)

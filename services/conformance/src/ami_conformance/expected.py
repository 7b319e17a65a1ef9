"""What a pack expects of a meter: plain values that whoever knows the pack's models hands in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ami_dlms.obis import Obis

ObjectKey = tuple[int, Obis]


@dataclass(frozen=True, slots=True)
class ExpectedObject:
    """An object of a model. The rights are those of the management client; `public` are the readable attributes of the public one, None:
    it does not see the object. `own_choice`: no source says so, and a difference is no finding."""

    class_id: int
    version: int
    obis: Obis
    name: str
    read: frozenset[int]
    write: frozenset[int]
    public: frozenset[int] | None
    public_write: frozenset[int]
    source: str
    own_choice: bool = False
    listed: bool = True
    """In the object list of the management client."""
    unit: int | None = None
    scaler: int | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """A pack, the model of it that fits best, and what is known of events (log, number -> meaning)."""

    pack: str
    objects: Mapping[ObjectKey, ExpectedObject] = field(default_factory=dict)
    model: str = ""
    events: Mapping[tuple[Obis | str, int], str] = field(default_factory=dict)


NOTHING = Expected("")

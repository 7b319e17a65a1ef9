"""Two packs beside each other: rows that one of them has alone, and rows that say something else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from ami_packs.pack import Pack

KINDS = {"objects": "object", "events": "event", "alarms": "alarm", "pushes": "push setup", "values": "value"}
NO_DIFFERENCE = ("source", "basis")
"""Where something is written may differ without a difference in what is written."""


def differences(old: Pack, new: Pack) -> Iterator[str]:
    """A line for each: "+" only in the new one, "-" only in the old one, "~" in both and not the same."""
    for kind, word in KINDS.items():
        yield from _of_kind(word, getattr(old, kind), getattr(new, kind))
    yield from (f"- model {name}" for name in old.models if name not in new.models)
    yield from (f"+ model {name}" for name in new.models if name not in old.models)


def _of_kind(word: str, old: Mapping[Any, Any], new: Mapping[Any, Any]) -> Iterator[str]:
    for key in sorted({*old, *new}, key=str):
        name = (
            f"{word} {'/'.join(str(part).removesuffix('*255') for part in (key if isinstance(key, tuple) else (key,)))}"
        )
        if key not in new:
            yield f"- {name}: {_said(old[key])}"
        elif key not in old:
            yield f"+ {name}: {_said(new[key])}"
        else:
            yield from _changed(name, old[key], new[key])


def _changed(name: str, old: Any, new: Any) -> Iterator[str]:
    for field in fields(old):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if field.name not in NO_DIFFERENCE and before != after:
            yield f"~ {name}: {field.name} {before!s} -> {after!s}"


def _said(one: Any) -> str:
    return str(getattr(one, "name", None) or one.meaning)

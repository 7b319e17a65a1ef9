"""How a scenario goes, as tables for a terminal, from what the API gives."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ami_process.terminal_text import in_columns

PLACES = ("METER", "TRACK", "STEP", "STATE", "WAITS FOR", "UNTIL")
HISTORY = ("AT", "METER", "TRACK", "STEP", "WHAT")


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """What it is and how far, its meters, the newest of its history, and what was expected as soon as that is known."""
    if "name" not in found:
        yield "no scenario has run"
        return
    yield f"{found['name']}: {found['status']}, since {found['began_at']}"
    states = ", ".join(f"{number} {state}" for state, number in found["meters"].items())
    yield f"meters: {states or 'none on a track'}"
    for one in found["expected"]:
        yield f"{'held' if one['held'] else 'NOT HELD'}: {one['what']}"
    yield from _table(PLACES, [_place(one) for one in found["places"]])
    yield from _table(HISTORY, [_entry(one) for one in found["history"]])


def _place(one: Mapping[str, Any]) -> Sequence[str]:
    step = f"{one['step']} of {one['of']}"
    return one["meter"], one["track"], step, one["state"], one["waits_for"] or "", one["until"] or ""


def _entry(one: Mapping[str, Any]) -> Sequence[str]:
    return one["at"], one["meter"], one["track"], str(one["step"]), one["what"]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        return
    yield ""
    yield from in_columns((heads, *rows)).splitlines()

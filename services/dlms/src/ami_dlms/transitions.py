"""State machines as data: a mapping of (state, event) to the next state, and what it means when a pair is not in it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

from ami_dlms.errors import LocalError, ProtocolError


class IdentityEnum(Enum):
    """An enumeration for keys of tables: a member equals itself alone, so it is hashed by identity, in C."""

    __hash__ = object.__hash__


StateT = TypeVar("StateT", bound=Enum)
EventT = TypeVar("EventT", bound=Enum)


def next_state(table: Mapping[tuple[StateT, EventT], StateT], state: StateT, event: EventT) -> StateT:
    """Where an event leads; LocalError or ProtocolError when it has no place in this state."""
    following = table.get((state, event))
    if following is None:
        raise misplaced(state, event)
    return following


def misplaced(state: Enum, event: Enum) -> LocalError | ProtocolError:
    """The error for an event that has no place: ours when we were about to send, otherwise the peer's."""
    text = f"{event.value!r} has no place in state {state.value!r}"
    return LocalError(text) if event.name.startswith("SEND_") else ProtocolError(text)


def diagram(table: Mapping[tuple[StateT, EventT], StateT]) -> str:
    """A table as a Mermaid state diagram; events that lead to the same place share an arrow."""
    arrows: dict[tuple[StateT, StateT], list[str]] = {}
    for (state, event), following in table.items():
        arrows.setdefault((state, following), []).append(event.value)
    lines = [
        f"    {state.name} --> {following.name}: {', '.join(events)}" for (state, following), events in arrows.items()
    ]
    return "\n".join(["stateDiagram-v2", *lines])

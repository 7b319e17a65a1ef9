"""From what was given to trees, one at a time, each with where it comes from: a capture may be larger than memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from ami_cli.decode.captures.seen import Seen
from ami_cli.decode.captures.streams import Message, messages
from ami_cli.decode.inputs import Input
from ami_cli.decode.keyrings import Keyrings
from ami_dlms.explain import DecodingSession, Node, explain, explain_data

MOST_SESSIONS = 4096
Report = Callable[[BinaryIO], None]
"""Called now and then with how far a capture has been read."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A tree, and of what it is: the number of the frame, and of a captured one its time and its two ends."""

    tree: Node
    number: int
    file: str = ""
    at: datetime | None = None
    source: str = ""
    destination: str = ""

    @property
    def is_captured(self) -> bool:
        """Whether it travelled over a network that somebody captured."""
        return bool(self.source)


def trees(given: Input, keyrings: Keyrings, seen: Seen, report: Report, *, data: bool = False) -> Iterator[Shown]:
    """All trees of one input in order."""
    if given.capture is not None:
        yield from _captured(given, keyrings, seen, report)
        return
    session = keyrings.session(given.messages)
    number = 0
    for message in given.messages:
        for tree in explain_data(message) if data else explain(message, session):
            number += 1
            yield Shown(tree, number, given.name)


def _captured(given: Input, keyrings: Keyrings, seen: Seen, report: Report) -> Iterator[Shown]:
    """Each frame under its two ends."""
    assert given.capture is not None
    with given.capture as file:
        sessions = Sessions(file, keyrings)
        for message in messages(file, seen):
            report(file)
            for tree in sessions.explain(message):
                yield Shown(tree, message.number, given.name, message.at, message.source, message.destination)


class Sessions:
    """What each connection of a capture has said (titles, blocks), which holds for that connection alone; bounded."""

    def __init__(self, capture: BinaryIO, keyrings: Keyrings) -> None:
        """Reads all of it when there are keys of a registry: a meter's title may come after what its keys are needed for."""
        self._titles, self._keyrings = _titles(capture, keyrings), keyrings
        self._sessions: OrderedDict[frozenset[str], DecodingSession] = OrderedDict()

    def explain(self, message: Message) -> list[Node]:
        """The trees of a frame."""
        ends = frozenset((message.source, message.destination))
        if ends not in self._sessions:
            self._sessions[ends] = self._keyrings.session_of(self._titles.get(ends))
            if len(self._sessions) > MOST_SESSIONS:
                self._sessions.popitem(last=False)
        self._sessions.move_to_end(ends)
        return explain(message.octets, self._sessions[ends])


def _titles(capture: BinaryIO, keyrings: Keyrings) -> dict[frozenset[str], bytes]:
    """Which registered meter each connection is with: its title may come after what its keys are needed for."""
    found: dict[frozenset[str], bytes] = {}
    if keyrings.by_title:
        for message in messages(capture):
            ends = frozenset((message.source, message.destination))
            if ends not in found and (title := keyrings.title_in(message.octets)) is not None:
                found[ends] = title
        capture.seek(0)
    return found

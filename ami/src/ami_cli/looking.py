"""What a person looks at in a view: which request is selected, whether it is opened, how far its page is moved. Keys change it; nothing else does."""

from collections.abc import Sequence
from dataclasses import dataclass

from ami_cli.observations import Request
from ami_cli.observed import Observed

PAGE = 10
"""Lines that Page Up and Page Down move."""
OVERVIEW_KEYS = (("Ctrl-C", "stop"), ("j k", "select"), ("Enter", "why"))
OPENED_KEYS = (("Ctrl-C", "stop"), ("Esc", "back"), ("j k", "move"), ("n p", "next, previous request"))
NO_KEYS = (("Ctrl-C", "stop"),)
_MOVES = {"j": 1, "down": 1, "k": -1, "up": -1, "page down": PAGE, "page up": -PAGE}
_NEIGHBOURS = {"n": 1, "p": -1}


@dataclass(slots=True)
class Looking:
    """Nothing is selected at first: then what is opened is the newest that did not go well, or the newest of all."""

    selected: str | None = None
    opened: bool = False
    moved: int = 0
    """Lines that the page of a request is moved."""
    most: int = 0
    """Lines that it can be moved; who draws it says so."""
    has_keys: bool = False

    @property
    def keys(self) -> Sequence[tuple[str, str]]:
        """Which keys there are now, with what they do."""
        if not self.has_keys:
            return NO_KEYS
        return OPENED_KEYS if self.opened else OVERVIEW_KEYS

    def selected_in(self, model: Observed) -> Request | None:
        """The selected request, if it is still kept."""
        return None if self.selected is None else model.requests.get(self.selected)

    def opened_in(self, model: Observed) -> Request | None:
        """The request that is opened."""
        return self.selected_in(model) if self.opened else None

    def first_shown(self, newest: Sequence[Request], room: int) -> int:
        """The index of the first request in a list with room for that many lines, so that the selected one is visible."""
        place = next((place for place, one in enumerate(newest) if one.message_id == self.selected), 0)
        return max(place - room + 1, 0)

    def press(self, key: str, model: Observed) -> None:
        """A key by its name: a letter, or `enter`, `escape`, `up`, `down`, `page up`, `page down`, `home`."""
        if self.opened:
            self._press_opened(key, model)
        elif key == "enter":
            self._open(model)
        elif key == "escape":
            self.selected = None
        elif key == "home":
            self._select(0, model)
        elif key in _MOVES:
            self._step(_MOVES[key], model)

    def _press_opened(self, key: str, model: Observed) -> None:
        if key in ("escape", "enter", "q"):
            self.opened = False
        elif key == "home":
            self.moved = 0
        elif key in _MOVES:
            self.moved = min(max(self.moved + _MOVES[key], 0), self.most)
        elif key in _NEIGHBOURS:
            self._step(_NEIGHBOURS[key], model)
            self.moved = 0

    def _open(self, model: Observed) -> None:
        newest = model.newest_first
        if self.selected_in(model) is None and newest:
            wrong = (one for one in newest if one.result in ("FAILED", "PARTIAL"))
            self.selected = next(wrong, newest[0]).message_id
        self.opened, self.moved = self.selected is not None, 0

    def _step(self, by: int, model: Observed) -> None:
        newest = [one.message_id for one in model.newest_first]
        self._select(newest.index(self.selected) + by if self.selected in newest else 0, model)

    def _select(self, place: int, model: Observed) -> None:
        newest = model.newest_first
        if newest:
            self.selected = newest[min(max(place, 0), len(newest) - 1)].message_id

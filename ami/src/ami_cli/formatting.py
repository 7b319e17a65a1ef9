"""Durations, times, states and counts as text, with the shapes of states: shared by the live view, the plain lines and `ami decode`."""

from datetime import datetime

GLYPHS = {
    "OK": "●",
    "PARTIAL": "◐",
    "FAILED": "▲",
    "RUNNING": "◌",
    "connected": "●",
    "disconnected": "○",
    "ready for reconnection": "◐",
    "no answer": "▲",
}
NOTHING = "–"


def took(ms: float | None) -> str:
    """A duration for people: 8.4 ms, 23 ms, 1.2 s."""
    if ms is None:
        return ""
    if ms < 10:
        return f"{ms:.1f} ms"
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.1f} s"


def clock(at: datetime) -> str:
    """HH:MM:SS in UTC."""
    return at.strftime("%H:%M:%S")


def state(word: str) -> str:
    """A state with its shape; a dash where nothing is known."""
    return f"{GLYPHS[word]} {word}" if word in GLYPHS else word or NOTHING


def change(before: str, after: str) -> str:
    """State before and after, in words."""
    return f"{before or NOTHING} → {after or NOTHING}" if before or after else ""


def count(number: int, one: str, many: str = "") -> str:
    """1 cycle, 2 cycles."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"

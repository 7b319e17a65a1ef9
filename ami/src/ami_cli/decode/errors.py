"""What was given is no octets: where it stops being so, and what is there."""


class NotOctets(Exception):
    """The text says the line and the column where there is one."""


def at(line: int, column: int, what: str, said: str) -> NotOctets:
    """About a piece of text at a place; both are counted from 1."""
    shown = what if len(what) <= 40 else what[:37] + "..."
    return NotOctets(f"{shown!r} in line {line}, column {column}, {said}")

"""Values of Python as literals of Lua, for the tables of the plug-in. Text is escaped octet by octet, so any version reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

LuaValue: TypeAlias = "bool | int | str | Sequence[LuaValue] | Mapping[int, LuaValue] | Mapping[str, LuaValue] | None"


def lua(value: LuaValue) -> str:
    """A literal on one line; lists count from 1, as Lua does."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return f'"{"".join(_letter(octet) for octet in value.encode())}"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"[{lua(key)}] = {lua(item)}" for key, item in value.items()) + "}"
    return "{" + ", ".join(map(lua, value)) + "}"


def table(name: str, rows: Mapping[int, LuaValue] | Mapping[str, LuaValue]) -> str:
    """An assignment with one row a line."""
    lines = "".join(f"  [{lua(key)}] = {lua(item)},\n" for key, item in rows.items())
    return f"{name} = {{\n{lines}}}\n"


def _letter(octet: int) -> str:
    letter = chr(octet)
    return letter if octet < 0x7F and letter.isprintable() and letter not in '"\\' else f"\\{octet:03d}"

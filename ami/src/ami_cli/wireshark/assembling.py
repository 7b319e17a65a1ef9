"""The plug-in as one file: its parts in their order, with the version and the generated tables in their places."""

from __future__ import annotations

from importlib.metadata import version
from importlib.resources import files

from ami_cli.wireshark.tables import tables

NAME = "amidlms.lua"
HEAD = "1_head.lua"
VERSION_PLACE = "@VERSION@"


def plugin() -> str:
    """The whole of it."""
    folder = files("ami_cli.wireshark").joinpath("plugin")
    parts = {part.name: part.read_text("utf-8") for part in folder.iterdir() if part.name.endswith(".lua")}
    head = parts.pop(HEAD).replace(VERSION_PLACE, version("ami-reference"))
    return "\n".join((head, tables(), *(parts[name] for name in sorted(parts))))

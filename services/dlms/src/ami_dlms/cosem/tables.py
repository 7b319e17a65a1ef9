"""The tables beside this file: TOML, each read once, when the first question needs it, and with it what reads TOML."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any


@cache
def table(name: str) -> Mapping[str, Any]:
    """What `name`.toml holds."""
    import tomllib
    from importlib.resources import files

    return tomllib.loads(files("ami_dlms.cosem").joinpath(f"{name}.toml").read_text(encoding="utf-8"))

"""The key file of the plug-in: a line for each meter of a configuration or shipment file, readable by its owner alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from ami_cli.meter.registry import MeterKeys, read_keys
from ami_process.toml_texts import parse_toml

HEADING = """\
# Keys of meters for the Wireshark plug-in amidlms: whoever has this file reads what they say. Written by `ami wireshark keys`.
# title: the meter's system title; ek, ak: encryption and authentication key; client: system title of the head-end;
# address: where the meter is called. dk=HEX would be a dedicated key, title=* any meter.
"""


def write_keys(source: Path, path: Path, *, environ: Mapping[str, str]) -> int:
    """How many meters are in the file now; MeterError when the source has to be mended, OSError when it can't be written."""
    meters = list(read_keys(source, environ=environ))
    client = _head_end_title(source)
    lines = [_line(one, client) for one in meters]
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii", errors="replace") as file:
        path.chmod(0o600)  # it may have been there
        file.write(HEADING)
        file.writelines(lines)
    return len(lines)


def _line(one: MeterKeys, client: str) -> str:
    return " ".join(f"{name}={value}" for name, value in _fields(one, client)) + "\n"


def _fields(one: MeterKeys, client: str) -> Iterator[tuple[str, str]]:
    yield "title", one.system_title.hex().upper()
    yield "ek", one.encryption_key.hex().upper()
    if one.authentication_key is not None:
        yield "ak", one.authentication_key.hex().upper()
    if client:
        yield "client", client
    if isinstance(one.address, tuple):
        with suppress(ValueError):  # a name is resolved where the head-end runs, which may be elsewhere
            yield "address", f"{ip_address(one.address[0])}:{one.address[1]}"
    if one.name:
        yield "name", "_".join(one.name.split())


def _head_end_title(source: Path) -> str:
    """Of a configuration file that has it: sessions whose opening is not in the capture need it."""
    if source.suffix.lower() != ".toml":
        return ""
    hes = parse_toml(source.read_text("utf-8")).get("hes")
    title = hes.get("system_title") if isinstance(hes, dict) else None
    return title if isinstance(title, str) and len(title) == 16 else ""

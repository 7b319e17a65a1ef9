"""A [[meters]] entry of a configuration file as a target: the same names, the same meaning as for the head-end.

Read here once more and on its own, because one entry is wanted and nothing of the head-end. The head-end's system title
is not taken over: see `counters`.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ami_cli.meter.errors import ExitCode, MeterError
from ami_cli.meter.options import Identity, Reach, Wrapping
from ami_cli.meter.secrets_given import octets
from ami_dlms.errors import LocalError
from ami_dlms.obis import Obis


@dataclass(frozen=True, slots=True)
class Entry:
    """What one entry says."""

    name: str
    reach: Reach
    identity: Identity
    device_name: str
    device_id: str


def read_entry(path: Path, name: str | None, *, environ: Mapping[str, str]) -> Entry:
    """The entry of this name, or the only one; MeterError with what to mend."""
    rows = _rows(path)
    names = [str(row.get("name")) for row in rows]
    chosen = [row for row in rows if name is None or row.get("name") == name]
    if len(chosen) != 1:
        what = "has more than one meter" if name is None else f"has no meter {name}"
        raise MeterError(ExitCode.USAGE, what, where=str(path), hint=f"give --meter with one of {', '.join(names)}")
    row = chosen[0]
    where = f"{path}, meter {row.get('name')}"
    try:
        return _entry(row, where, environ)
    except (KeyError, TypeError, ValueError, LocalError) as error:
        field = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise MeterError(ExitCode.USAGE, field, where=where, hint="docs/howto/real-meter.md shows an entry") from None


def read_keys(path: Path, *, environ: Mapping[str, str]) -> Iterator[tuple[bytes, bytes, bytes | None]]:
    """System title, encryption key and authentication key of every entry that has them; MeterError with what to mend."""
    for row in _rows(path):
        where = f"{path}, meter {row.get('name')}"
        names = ("system_title", "encryption_key", "authentication_key")
        texts = [row.get(name) for name in names]
        title, encryption, authentication = (
            None if text is None else octets(f"{where}, {name}", str(text), environ=environ)
            for name, text in zip(names, texts, strict=True)
        )
        if title and encryption:
            yield title, encryption, authentication


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        rows = tomllib.loads(path.read_text("utf-8")).get("meters")
    except OSError as error:
        raise MeterError(ExitCode.USAGE, f"can't be read: {error.strerror}", where=str(path)) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MeterError(ExitCode.USAGE, f"is not TOML: {error}", where=str(path)) from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise MeterError(ExitCode.USAGE, "has no [[meters]]", where=str(path), hint="config/demo.toml shows two")
    return rows


def _entry(row: Mapping[str, Any], where: str, environ: Mapping[str, str]) -> Entry:
    def key(field: str) -> bytes | None:
        text = row.get(field)
        named, password = f"{where}, {field}", field == "secret"
        return None if text is None else octets(named, str(text), environ=environ, password=password)

    authentication = str(row.get("authentication", "hls-gmac"))
    clear = authentication == "none"  # as for the head-end: no authentication, no ciphering
    identity = Identity(
        client=int(row.get("client_wport", 1)),
        server=int(row.get("server_wport", 1)),
        authentication=authentication,
        secret=key("secret"),
        encryption_key=None if clear else key("encryption_key"),
        authentication_key=None if clear else key("authentication_key"),
        suite=int(row.get("suite", 0)),
        wrapping=Wrapping(row.get("ciphering", Wrapping.GENERAL_GLO)),
        meter_title=key("system_title"),
        counter_object=Obis.parse(row.get("invocation_counter", "0-0:43.1.1")),
    )
    return Entry(
        str(row["name"]), _reach(str(row["address"])), identity, str(row["logical_device_name"]), str(row["device_id"])
    )


def _reach(address: str) -> Reach:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"address {address} is no host:port; a meter that dials in can't be called")
    return Reach(host=host.strip("[]"), port=int(port))

"""`meter-sim shipment`: the shipment file of the populations of a configuration, into a file or onto standard output."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import track

from ami_meter_sim.populating import Prepared, prepare
from ami_meter_sim.population.shipment import Form, Receiver, ShipmentRow, for_the_cis, write
from ami_meter_sim.population_settings import PopulationSettings
from ami_process.secret_sources import SecretSources
from ami_process.settings import SettingsError
from ami_registry import parse_secret

KEY_OCTETS = (16, 32)
PROGRESS_FROM = 10_000
"""Fewer meters are written before a person would look for a bar."""


def ship(
    tables: Sequence[PopulationSettings],
    names: Sequence[str],
    receiver: Receiver,
    form: Form,
    *,
    reference: str | None,
    path: Path | None,
) -> int:
    """Write the meters of these populations, all where none is named; returns their number. Raises SettingsError."""
    chosen = _chosen(prepare(tables), names)
    key = None if reference is None else _transport_key(reference)
    rows = (row for one in chosen for row in one.shipment(key).rows())
    shown = _with_progress(rows, sum(one.settings.count for one in chosen), path)
    with _opened(path) as out:
        return write(for_the_cis(shown) if receiver is Receiver.CIS else shown, form, out)


def seen_at(address: str | None, tables: Sequence[PopulationSettings]) -> Sequence[PopulationSettings]:
    """The populations with another first address: of a container, or of a machine behind address translation."""
    return tables if address is None else [one.model_copy(update={"address": address}) for one in tables]


def _chosen(prepared: Sequence[Prepared], names: Sequence[str]) -> list[Prepared]:
    known = {one.settings.name: one for one in prepared}
    if not known:
        raise SettingsError("there is no [[populations]] to ship")
    if unknown := [name for name in names if name not in known]:
        raise SettingsError(f"--population {unknown[0]}: there is none of this name; there are {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names)] if names else list(prepared)


def _transport_key(reference: str) -> bytes:
    try:
        key = parse_secret(reference, SecretSources(os.environ))
    except ValueError as error:
        raise SettingsError(f"--transport-key: {error}") from None
    if len(key) not in KEY_OCTETS:
        raise SettingsError(f"--transport-key: has {len(key)} octets, and a key has 16 or 32")
    return key


def _with_progress(rows: Iterator[ShipmentRow], count: int, path: Path | None) -> Iterator[ShipmentRow]:
    """The same rows, with a bar on a terminal where it takes a while."""
    console = Console(stderr=True)
    if path is None or count < PROGRESS_FROM or not console.is_terminal:
        return rows
    return iter(track(rows, f"writing {path}", total=count, console=console))


@contextmanager
def _opened(path: Path | None) -> Iterator[TextIO]:
    """Standard output, or a new file that is there as a whole or not at all: it may hold keys."""
    if path is None:
        yield sys.stdout
        return
    beside = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(exist_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
            yield out
        beside.replace(path)
    except OSError as error:
        raise SettingsError(f"{path} can't be written: {error.strerror}") from None
    finally:
        beside.unlink(missing_ok=True)

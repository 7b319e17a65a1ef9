"""The files in which earlier versions kept what a meter has to keep: read once, and then put aside.

A JSON file holds everything but the rows of profiles; there is one file for each profile, with a line of hex digits for each row. A
torn last line is dropped.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from ami_meter_sim.load.houses import House
from ami_meter_sim.load.site import seed_of_name, site_of
from ami_meter_sim.meter.memory import Memory, memory_of
from ami_meter_sim.meter.setup import MeterSetup
from ami_meter_sim.objects.memory import Record, RecordKind
from ami_meter_sim.objects.switch import ControlState
from ami_meter_sim.objects.timeline import instant_of
from ami_meter_sim.population.columns import KNOWN
from ami_meter_sim.population.journal import StateUnusable
from ami_meter_sim.population.store import Store
from ami_packs.model import Model

FORMAT = 1
IMPORTED = ".imported"


@dataclass(slots=True, kw_only=True)
class MeterState:
    """Everything but the rows. Times are seconds since the epoch; energies are watt-seconds."""

    control_mode: int
    control_state: int
    configured_control_mode: int
    import_ws: int
    export_ws: int
    offset_s: int
    time_zone_minutes: int
    configured_time_zone_minutes: int
    event_code: int
    profile_status: int
    captured_until_s: int
    send_from: int
    receive_from: int


class StateFiles:
    """The files of one meter in the state directory."""

    __slots__ = ("_directory", "_name")

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._name = name

    @property
    def _path(self) -> Path:
        return self._directory / f"{self._name}.json"

    def load(self) -> MeterState | None:
        """What was kept, None for a new meter; StateUnusable for a file that is not ours."""
        try:
            content = json.loads(self._path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise self._unusable(type(error).__name__) from None
        names = {one.name for one in fields(MeterState)}
        if not isinstance(content, dict) or content.pop("format", None) != FORMAT or set(content) != names:
            raise self._unusable("another format")
        if not all(type(value) is int for value in content.values()):
            raise self._unusable("a value that is no whole number")
        return MeterState(**content)

    def _unusable(self, why: str) -> StateUnusable:
        return StateUnusable(f"{self._path} can't be used ({why}): mend it, or remove it and give the meter new keys")

    def rows(self, profile: str) -> Sequence[bytes]:
        """The rows of one profile, by its logical name; the oldest first. Raises StateUnusable."""
        return _rows_of(self._rows_path(profile))

    def put_aside(self) -> None:
        """They are in the store, and are not to be read again."""
        for path in (self._path, *self._directory.glob(f"{self._name}.*.rows")):
            if path.exists():
                path.replace(path.with_name(path.name + IMPORTED))

    def _rows_path(self, profile: str) -> Path:
        return self._directory / f"{self._name}.{profile.replace(':', '_').replace('*', '_')}.rows"


def take_over_all(directory: Path, setups: Sequence[MeterSetup], store: Store) -> None:
    """What earlier versions left of the first meters of the store, which have these setups, goes into it, once. Raises StateUnusable."""
    all_files = [StateFiles(directory, setup.identity.name) for setup in setups]
    for index, (setup, files) in enumerate(zip(setups, all_files, strict=True)):
        house = site_of(seed_of_name(setup.identity.name)).house
        take_over(files, memory_of(store, index), setup.model, house)
    store.journal.write()
    for files in all_files:
        files.put_aside()


def take_over(files: StateFiles, memory: Memory, model: Model, house: House) -> bool:
    """Let a new meter go on where an earlier version left it; whether there was something. Raises StateUnusable."""
    row = memory.row
    state = None if row.flags & KNOWN else files.load()
    if state is None:
        return False
    until = state.captured_until_s
    row.control_mode, row.control_state = state.control_mode, state.control_state
    row.configured_control_mode = state.configured_control_mode
    row.lost_import_ws = house.import_ws(until) - state.import_ws
    row.lost_export_ws = house.export_ws(until) - state.export_ws
    row.clock_offset_s = state.offset_s
    row.time_zone_min, row.configured_time_zone_min = state.time_zone_minutes, state.configured_time_zone_minutes
    row.event_code = state.event_code
    row.captured_until = until
    row.send_reserved = row.send_next = state.send_from
    row.receive_reserved = row.receive_lowest = state.receive_from
    at = instant_of(until)
    if state.control_state != ControlState.CONNECTED:
        memory.history.happened(Record(at, RecordKind.SWITCH, number=state.control_state))
    if state.offset_s:
        memory.history.happened(Record(at, RecordKind.CLOCK, number=state.offset_s))
    for described in model.profiles:
        rows = files.rows(str(described.obis))[-described.profile_entries :]
        for content in () if described.capture_period else rows:
            memory.history.happened(Record(at, RecordKind.EVENT, described.obis, detail=content))
    row.flags |= KNOWN
    return True


def _rows_of(path: Path) -> list[bytes]:
    """The rows of a file; a last line without its end was torn by a crash and does not count."""
    try:
        complete, _, _ = path.read_text("ascii").rpartition("\n")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise StateUnusable(f"{path} can't be read ({type(error).__name__})") from None
    try:
        return [bytes.fromhex(line) for line in complete.splitlines()]
    except ValueError:
        raise StateUnusable(f"{path} can't be used: mend it or remove it") from None

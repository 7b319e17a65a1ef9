"""The simulator's settings: `[meter_sim]` and `[[meters]]` of the one TOML file that all processes share.

`AMI_METER_SIM__STATE=/tmp/x` overrides `[meter_sim] state`, `AMI_METERS=20` takes the first 20 of `[[meters]]`. A meter
without `[meters.simulated]` is a real one: it may have what no simulated meter has, and it is left alone. Unknown keys of these sections are refused, because a misspelt fault that is silently ignored spoils the test it was meant for.
The entries themselves are read by `ami_registry`. No message of this module ever holds a key.
"""

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, InstanceOf, ValidationError, field_validator, model_validator

from ami_dlms.enums import Mechanism
from ami_meter_sim.clock_names import ClockName
from ami_meter_sim.population_settings import PopulationSettings, Secret, destination, socket_address
from ami_process.http_urls import HttpUrl
from ami_process.secret_sources import SecretSources
from ami_process.settings import ClockMode, ClockSettings, FileSettings, Port, Seconds, Section, SettingsError
from ami_registry import DIALS_IN, EntryError, Meter, Transport, parse_meter

PUBLIC_CLIENT_WPORT = 16
CLIENT_WPORTS = range(1, 128)
DEVICE_ID_LETTERS = 48
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")


def _action_result(value: object) -> object:
    """A name of the standard, however it is written, for comparison with the enumeration."""
    return value.strip().upper().replace("-", "_") if isinstance(value, str) else value


class OtherConsole(Section):
    """The console of another process that plays meters."""

    meters: str = Field(min_length=1, max_length=100, description="which meters are there, in words")
    url: HttpUrl = Field(description="where a browser finds it")


class MeterSimSettings(Section):
    """`[meter_sim]`: what all simulated meters of the process share."""

    host: str = "127.0.0.1"
    """Where the API of the process is served: a name or an address of this machine."""
    port: Port | None = None
    """The same; unset: it is not served."""
    core_dumps: bool = Field(
        default=False,
        description="whether the system may write the memory of the process to a disk when it crashes, and others of the same user may look into it; keys are in it",
    )
    token_file: Path | None = Field(
        default=None,
        description="bearer tokens of the API, one per line, for its owner alone (0600); made if missing; unset: served at loopback only",
    )
    consoles: tuple[OtherConsole, ...] = Field(
        default=(),
        max_length=100,
        description="consoles of all processes that play meters, as `{ meters = ..., url = ... }`; each page links to them",
    )
    state: Path = Path("var/meters")
    """A folder: invocation counters, switch states, profiles."""
    packs: Path | None = None
    """A folder with packs of models (docs/packs.md) that lie over those that come with the project."""
    connections_per_meter: int = Field(
        default=4, ge=1, description="one more takes an idle one's place, or is closed at once"
    )
    idle_timeout_s: Seconds = Field(default=180.0, description="a silent connection is closed after this")
    fast_path: bool = True
    """`false`: every APDU is coded and ciphered by the general path, which is slower; to find a fault, since no octet changes."""
    redial_first_s: Seconds = 1.0
    """A meter that dials in calls again after this; the pause doubles each time."""
    redial_most_s: Seconds = 60.0
    """The longest pause."""


class AssociationSettings(Section):
    """`[[meters.simulated.associations]]`: the keys of one of the model's associations beside the management one."""

    name: str
    """Which of the model's associations."""
    encryption_key: Secret | None = Field(default=None, repr=False)
    """16 octets, 32 in suite 2; unset: the meter's own, as most meters have one for all clients of a security setup."""
    authentication_key: Secret | None = Field(default=None, repr=False)
    """The same."""
    secret: Secret | None = Field(default=None, repr=False)
    """The password of LLS, or the secret of an HLS."""
    client_system_title: Secret | None = None
    """8 octets, of the only client that may ask; an association that is pre-established needs it."""


class SimulatedSettings(Section):
    """`[meters.simulated]`: what only the simulator reads."""

    model: str = Field(
        default="residential",
        pattern=r"^([A-Za-z0-9_-]+|[a-z0-9][a-z0-9.-]*/[a-z0-9][a-z0-9.-]*|.+\.toml)$",
        description="a model that comes with the simulator, `pack/model` for one of a pack, or the path of a file",
    )
    listen: str | None = None
    """`host:port` where it listens, if that is not its address."""
    dial_to: str | None = None
    """`host:port` that it calls, if its address is `dials-in`."""
    control_mode: int = Field(default=4, ge=0, le=6)
    """Of its disconnect control; counts when it differs from that of the last run."""
    time_zone_minutes: int = Field(default=0, ge=-720, le=720, description="minutes from local time to UTC")
    kill_after_action: Literal[False, True, "exit"] = False
    """`true`: between an ACTION on the switch and its answer the connection ends; `"exit"`: the process."""
    lie_about_action: bool = False
    """It answers success and does not switch."""
    refuse_action: int | str | None = None
    """The action-result that it answers instead of switching, by name or number."""
    answer_delay_s: float = Field(default=0.0, ge=0, le=3600)
    """So long before every answer."""
    silent: Literal[False, True, "always"] = False
    """`true`: associations open, requests stay unanswered; `"always"`: nothing is answered."""
    lock_out_after: int | None = Field(
        default=None, ge=1, description="number of successive wrong keys that lock the management client out"
    )
    lock_out_s: Seconds = Field(
        default=60.0, description="for so long the first time; twice as long each further time, up to an hour"
    )
    push_to: str | None = None
    """`tcp://host:port`, `udp://host:port` or `hdlc://host:port` (over TCP): what the push setups (class 40) of its model have as destination."""
    push_on_switch: bool = True
    """One when it has switched."""
    push_every_s: Seconds | None = None
    """One at each end of such a period of UTC, in whole seconds."""
    push_protected: bool = True
    """As the association wants; `false`: unencrypted."""
    signing_key: Secret | None = Field(default=None, repr=False)
    """The meter's private key, for `hls-ecdsa`."""
    client_signing_key: Secret | None = None
    """The head-end's public key, x and y, for `hls-ecdsa`."""
    associations: tuple[AssociationSettings, ...] = ()
    """Further associations of the model that the meter offers, with their keys."""

    @field_validator("listen", "dial_to")
    @classmethod
    def _host_and_port(cls, value: str | None) -> str | None:
        return value if value is None else socket_address(value)

    @field_validator("refuse_action", mode="before")
    @classmethod
    def _standard_name(cls, value: object) -> object:
        return _action_result(value)

    @field_validator("push_to")
    @classmethod
    def _scheme(cls, value: str | None) -> str | None:
        return value if value is None else destination(value)


class Numbered(NamedTuple):
    """A [[meters]] table and its place in the file, from 1."""

    number: int
    table: Mapping[str, Any]


class MeterSettings(BaseModel):
    """One `[[meters]]` table of a simulated meter: the entry that all read, and what only the simulator reads."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    meter: InstanceOf[Meter]
    simulated: SimulatedSettings = SimulatedSettings()

    @model_validator(mode="before")
    @classmethod
    def _parsed(cls, given: object) -> object:
        if not isinstance(given, Numbered):
            return given
        meter = parse_meter(given.number, given.table, SecretSources(os.environ))
        problem = meter.problem() or _problem_for_a_simulation(meter)
        if problem:
            raise EntryError(given.number, meter.name, *problem)
        return {"meter": meter, "simulated": given.table["simulated"]}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.meter.address is None and self.simulated.dial_to is None:
            raise ValueError(f'address = "{DIALS_IN}" needs simulated.dial_to = "host:port"')
        if self.meter.authentication is Mechanism.ECDSA:
            for name in ("signing_key", "client_signing_key"):
                if getattr(self.simulated, name) is None:
                    raise ValueError(f'authentication = "hls-ecdsa" needs simulated.{name}')
        return self

    @property
    def name(self) -> str:
        return self.meter.name

    @property
    def listens_on(self) -> str | None:
        """Host and port it listens on; None for a meter that dials in."""
        address = self.meter.address
        if self.simulated.listen or address is None or isinstance(address, str):
            return self.simulated.listen
        host, port = address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _problem_for_a_simulation(meter: Meter) -> tuple[str, str] | None:
    """What a simulated meter can't be, or needs beyond what any meter needs."""
    if NAME.fullmatch(meter.name) is None:
        return "name", "is the name of state files: up to 64 letters, digits, dots, hyphens and underscores"
    if len(meter.device_id) > DEVICE_ID_LETTERS or not meter.device_id.isascii():
        return "device_id", f"has at most {DEVICE_ID_LETTERS} ASCII characters"
    if meter.transport is Transport.SERIAL:
        return "transport", f"of a simulated meter is {Transport.HDLC} where it speaks HDLC: it has no serial line"
    if meter.client_wport == PUBLIC_CLIENT_WPORT:
        return "client_wport", f"{PUBLIC_CLIENT_WPORT} belongs to the public client"
    if meter.client_wport not in CLIENT_WPORTS:
        return "client_wport", f"of a simulated meter is at most {CLIENT_WPORTS[-1]}"
    if meter.titled and meter.system_title is None:
        return "system_title", "is missing: it goes into proofs and ciphered APDUs"
    return None


NOT_MOVED = 'clock.mode = "stepped" needs meter_sim.port, where the clock is moved'
CLOCK_MODES = {
    ClockName.REAL: ClockMode.REAL,
    ClockName.SCALED: ClockMode.SCALED,
    ClockName.VIRTUAL: ClockMode.STEPPED,
}


class Settings(FileSettings):
    """All that the simulator knows from outside."""

    meter_sim: MeterSimSettings = MeterSimSettings()
    meters: tuple[MeterSettings, ...] = ()
    populations: tuple[PopulationSettings, ...] = ()
    faults: tuple[dict[str, Any], ...] = ()
    """`[[faults]]`: rules as `ami_meter_sim.faults.Rule` reads them."""

    @model_validator(mode="before")
    @classmethod
    def _only_simulated(cls, values: dict[str, Any]) -> dict[str, Any]:
        meters = values.get("meters")
        if not isinstance(meters, list | tuple):
            return values
        numbered = enumerate(meters, 1)
        ours = [
            Numbered(number, one) if isinstance(one, dict) else one
            for number, one in numbered
            if not isinstance(one, dict) or "simulated" in one
        ]
        return values | {"meters": ours}

    @model_validator(mode="after")
    def _can_be_stepped(self) -> Self:
        if not _is_moved_somewhere(self.clock, self.meter_sim):
            raise ValueError(NOT_MOVED)
        return self

    @model_validator(mode="after")
    def _meters_are_distinct(self) -> Self:
        # the state files bear the name, and some file systems do not tell capitals from small letters
        everyone: list[tuple[str, object]] = [("name", meter.name.lower()) for meter in self.meters]
        addresses = ((one.listens_on, one.meter.server_wport) for one in self.meters)
        everyone += [("address and server_wport", one) for one in addresses if one[0] and not one[0].endswith(":0")]
        for (kind, value), count in Counter(everyone).items():
            if count > 1:
                raise ValueError(f"the {kind} {value} is in more than one of [[meters]]")
        for address, ways in _ways(self.meters).items():
            if len(ways) > 1:
                raise ValueError(
                    f"the meters behind {address} differ in transport or physical_address: one socket speaks one way"
                )
        return self


def _ways(meters: Sequence[MeterSettings]) -> Mapping[str, set[tuple[Transport, int | None]]]:
    """How the meters behind each address are spoken to."""
    ways: dict[str, set[tuple[Transport, int | None]]] = {}
    for one in meters:
        if one.listens_on is not None and not one.listens_on.endswith(":0"):
            ways.setdefault(one.listens_on, set()).add((one.meter.transport, one.meter.physical_address))
    return ways


def _is_moved_somewhere(clock: ClockSettings, section: MeterSimSettings) -> bool:
    return clock.mode is not ClockMode.STEPPED or section.port is not None


def by_clock(settings: Settings, name: ClockName | None, start: datetime | None, rate: float | None) -> Settings:
    """The same with another clock than the file's, as far as something is given here. Raises SettingsError."""
    given = {"mode": None if name is None else CLOCK_MODES[name], "start_at": start, "rate": rate}
    changed = {key: value for key, value in given.items() if value is not None}
    if not changed:
        return settings
    try:
        clock = ClockSettings.model_validate(settings.clock.model_dump() | changed)
    except ValidationError as problem:
        reason = problem.errors(include_url=False, include_input=False)[0]["msg"].removeprefix("Value error, ")
        raise SettingsError(f"--clock, --start, --rate: {reason}") from None
    if not _is_moved_somewhere(clock, settings.meter_sim):
        raise SettingsError(f"--clock: {NOT_MOVED}")
    return settings.model_copy(update={"clock": clock})


def choose_meters(settings: Settings, names: Sequence[str]) -> tuple[MeterSettings, ...]:
    """The meters that run in this process: those named, or all that are simulated. Raises SettingsError."""
    if not names:
        return settings.meters
    known = {meter.name: meter for meter in settings.meters}
    if unknown := [name for name in names if name not in known]:
        there = ", ".join(known) or "none"
        raise SettingsError(f"--meter {' '.join(unknown)}: not among the simulated of [[meters]], which are {there}")
    return tuple(known[name] for name in dict.fromkeys(names))


def choose(settings: Settings, meters: Sequence[str], populations: Sequence[str]) -> Settings:
    """The same with these meters and populations alone, with all where none is named. Raises SettingsError."""
    known = {one.name: one for one in settings.populations}
    if unknown := [name for name in populations if name not in known]:
        there = ", ".join(known) or "none"
        raise SettingsError(f"--population {unknown[0]}: not among [[populations]], which are {there}")
    if not meters and not populations:
        return settings
    chosen = choose_meters(settings, meters) if meters else ()
    return settings.model_copy(
        update={"meters": chosen, "populations": tuple(known[name] for name in dict.fromkeys(populations))}
    )

"""What `ami()` may be told, and the configuration of head-end and meters that follows from it.

Meters are M1001, M1002 and so on; keys, titles and households follow from the seed. On Linux each has an address of its own in
127.0.0.0/8 at one port; elsewhere they are logical devices behind one address, since there only 127.0.0.1 is this machine.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ami_cli import generated_meters
from ami_cli.chosen_ports import chosen_ports
from ami_packs.pack_folders import shipped_packs
from ami_testkit.errors import KitError

Document = dict[str, Any]
START = datetime(2026, 1, 15, tzinfo=UTC)
MOST_METERS = 5_000
"""Entries of a configuration; a larger fleet is a population (docs/howto/run-a-fleet.md)."""
NOUNS = (
    "MeterReadings",
    "EndDeviceEvents",
    "MeterConfig",
    "EndDeviceConfig",
    "UsagePointConfig",
    "MasterDataLinkageConfig",
)
SUBSCRIBER = "inbox"
MODEL = "single-phase"
"""It has a log of frauds, and pushes its alarms."""
COUNTER = "invocation_counter"
"""What implements the object in which the management client reads its counter."""
CLIENTS = {"is15959": 48}
"""Management clients other than 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a system shall be; every keyword of `ami()`."""

    meters: int = 10
    """How many meters."""
    pack: str | None = None
    """`"is15959"`, or `"is15959/three-phase"` for one of its models; unset: the general model `single-phase`."""
    model: str | None = None
    """Another general model, or the path of a model file."""
    seed: int | str = 0
    """Decides keys, households and values."""
    faults: Sequence[Mapping[str, Any]] = ()
    """Faults of meters from the start and after each reset, as `[[faults]]` (docs/howto/inject-faults.md)."""
    clock: Literal["virtual", "real"] = "virtual"
    """`virtual`: time stands still until `system.clock` moves it."""
    start: datetime = START
    """Where a virtual clock begins."""
    replies_to: str | None = None
    """URL to which the border takes late replies and events; unset: `system.inbox`."""
    tls: bool = False
    """Whether the border has https, with certificates of an authority of its own (`system.border.authority`)."""
    hes: str | None = None
    """URL of a head-end that is there already: none is started."""
    hes_token: str | None = field(default=None, repr=False)
    """Its bearer token for REST, if it is one of ours."""
    meter_sim: str | None = None
    """URL of a simulator that is there already: none is started."""
    meter_sim_token: str | None = field(default=None, repr=False)
    """Its bearer token."""
    hes_settings: Mapping[str, Any] = field(default_factory=dict)
    """Further settings of `[hes]`, laid over those of the kit."""
    directory: Path | None = None
    """Where state and logs are kept; unset: a directory that goes when all went well."""

    def __post_init__(self) -> None:
        if not 1 <= self.meters <= MOST_METERS:
            raise KitError(f"meters={self.meters}: from 1 to {MOST_METERS:,}; larger fleets: docs/howto/run-a-fleet.md")
        if self.clock not in ("virtual", "real"):
            raise KitError(f"clock={self.clock!r}: virtual or real")
        if self.pack is not None and self.model is not None:
            raise KitError("pack and model both say which model the meters are of: give one of them")
        if self.start.tzinfo is None:
            raise KitError(f"start={self.start.isoformat()} has no offset: datetime(..., tzinfo=UTC)")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the processes of a system listen on this machine."""

    hes: int
    dlms: int
    simulator: int
    meters: int

    @classmethod
    def choose(cls) -> "Ports":
        """Some that are free. Raises KitError."""
        try:
            return cls(*chosen_ports(4))
        except OSError as problem:
            raise KitError(f"no free ports: {problem}") from None


def document(options: Options, ports: Ports, directory: Path, late_url: str, authorities: Path | None) -> Document:
    """The configuration for head-end and meters; late replies and events go to `late_url`."""
    base: Document = {
        "clock": {"mode": "real"} if options.clock == "real" else {"mode": "stepped", "start_at": options.start},
        "hes": _hes(options, ports, directory, late_url, authorities),
        "meter_sim": {
            "host": "127.0.0.1",
            "port": ports.simulator,
            "state": str(directory / "meters"),
            "token_file": str(directory / "meter_sim.tokens"),
        },
        "faults": [dict(one) for one in options.faults],
        "meters": [],
    }
    layout = generated_meters.Layout.ONE_ADDRESS
    made = generated_meters.fleet(
        base, options.meters, seed=str(options.seed), layout=layout, address=f"127.0.0.1:{ports.meters}"
    )
    model, of_pack = _model(options)
    for index, meter in enumerate(made["meters"]):
        meter["simulated"] |= {"model": model, "push_to": f"tcp://127.0.0.1:{ports.dlms}"}
        meter |= of_pack
        if sys.platform == "linux":
            meter["server_wport"] = 1
            meter["address"] = f"127.{1 + index // 62_500}.{index // 250 % 250 + 1}.{index % 250 + 1}:{ports.meters}"
    return made


def _hes(options: Options, ports: Ports, directory: Path, late_url: str, authorities: Path | None) -> Document:
    no_limit = {"per_principal": 1_000_000, "in_all": 1_000_000}
    ours: Document = {
        "host": "127.0.0.1",
        "port": ports.hes,
        "dlms_host": "127.0.0.1",
        "dlms_port": ports.dlms,
        "store": str(directory / "hes.sqlite"),
        "token_file": str(directory / "hes.tokens"),
        "reply_networks": ["127.0.0.0/8"],
        "traces": {"keep": "everything"},
        "guard": {"disconnects": no_limit, "load_limits": no_limit},
        "subscribers": [{"name": SUBSCRIBER, "url": late_url, "nouns": list(NOUNS)}],
    }
    if authorities is not None:
        ours["tls"] = {"authorities": str(authorities)}
    return ours | dict(options.hes_settings)


def _model(options: Options) -> tuple[str, Document]:
    """Of the meters, and what their entries say of the pack that it is of."""
    if options.pack is None:
        return options.model or MODEL, {}
    pack, _, model = options.pack.partition("/")
    folders = shipped_packs()
    if pack not in folders.names:
        raise KitError(f"pack={options.pack!r}: there is no pack {pack!r}; there are {', '.join(folders.names)}")
    there = sorted(folders.pack(pack).models)
    if not there:
        raise KitError(f"pack={options.pack!r}: {pack} is a list, without models of meters")
    if model and model not in there:
        raise KitError(f"pack={options.pack!r}: {pack} has no model {model!r}; there are {', '.join(there)}")
    chosen = f"{pack}/{model or ('single-phase' if 'single-phase' in there else there[0])}"
    counters = [str(one.obis) for one in folders.model(chosen).objects.values() if one.value == COUNTER]
    entry: Document = {"pack": pack, "client_wport": CLIENTS.get(pack, 1)}
    return chosen, entry | ({"invocation_counter": counters[-1].removesuffix("*255")} if counters else {})

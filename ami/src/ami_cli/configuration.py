"""What a demo runs on: the one configuration file, changed by what was asked for on the command line.

Pure functions over the TOML document (a dict): what a person wrote stays as it is unless an option says otherwise. The
result is written into the demo's own directory, readable by its owner alone (it holds keys), and every process reads that.
"""

import copy
import os
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import tomli_w

from ami_cli import generated_meters, populations
from ami_cli.populations import ConfigurationError as ConfigurationError
from ami_process.toml_texts import parse_toml

Document = dict[str, Any]
FIRST_METER_PORT = 4061
DEMO = Path("config/demo.toml")
TOLD = ("EndDeviceEvents", "MeterReadings", "MeterConfig", "UsagePointConfig", "MasterDataLinkageConfig")
"""Events of these nouns go to the CIS of a demo: what happens to meters, what is collected by schedule, and changes of master data."""
KEPT = {("hes", "store"): "hes.sqlite", ("cis", "store"): "cis.sqlite", ("meter_sim", "state"): "meters"}
"""The settings that say where something is kept, and the name it has in a directory."""


LAST_PORT = 65535
MOST_SINGLE = 100
"""Beyond this number of meters those that are added are a population."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What the command line asks for; None leaves the file's word."""

    cycles: int = 0
    security: str = "default"
    mode: str = "dial-out"
    asynchronous: bool = False
    tls: bool = False
    """CIS and HES speak mutual TLS, with certificates of the demo's own."""
    log_apdus: bool = False
    meters: int | None = None
    period_s: float | None = None
    cis_port: int | None = None
    hes_port: int | None = None
    dlms_port: int | None = None
    meter_port: int | None = None
    meter_sim_port: int | None = None
    """Of the simulator's first console (`ami_cli.simulators`); 0: it has none."""
    state: Path | None = None
    """A directory for all that survives, instead of the file's paths: a second demo needs its own."""


@dataclass(frozen=True, slots=True)
class Listener:
    """An address that a process of the demo is going to listen on, and the words to choose another."""

    host: str
    port: int
    setting: str
    what: str
    option: str
    udp: bool = False
    tls: bool = False

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """Of one that speaks HTTP."""
        return f"{'https' if self.tls else 'http'}://{self.address}"


def default() -> Path:
    """The demo's configuration: that of the working directory, where there is one, or the copy in this package."""
    return DEMO if DEMO.exists() else Path(__file__).with_name(DEMO.name)


def load(path: Path) -> Document:
    """Read a configuration file; raises ConfigurationError with a sentence."""
    try:
        document = parse_toml(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    for section in ("cis", "hes"):
        if not isinstance(document.get(section), dict) or "port" not in document[section]:
            raise ConfigurationError(f"{path}: [{section}] with a port is missing")
    if not (document.setdefault("meters", []) or document.get("populations")):
        raise ConfigurationError(f"{path}: there is no [[meters]] and no [[populations]]")
    for number, meter in enumerate(document["meters"], 1):
        if missing := {"name", "address"} - meter.keys():
            raise ConfigurationError(f"{path}: [[meters]] number {number} has no {sorted(missing)[0]}")
    return document


def effective(document: Document, changes: Changes) -> Document:
    """The document that the processes of this demo read."""
    result = copy.deepcopy(document)
    demo = result.setdefault("demo", {})
    if changes.cycles:
        demo["cycles"] = changes.cycles
    if changes.period_s is not None:
        demo["period_s"] = changes.period_s
        demo["connect_after_s"] = min(demo.get("connect_after_s", 2.0), changes.period_s / 2)
    result["cis"]["asynchronous"] = changes.asynchronous or result["cis"].get("asynchronous", False)
    result["hes"]["log_apdus"] = changes.log_apdus or result["hes"].get("log_apdus", False)
    _move_servers(result, changes)
    if changes.state is not None:
        for (section, key), name in KEPT.items():
            result.setdefault(section, {})[key] = str(changes.state / name)
    if changes.meters is not None:
        _set_number(result, changes.meters)
    if changes.meter_port is not None:
        _move_meters(result["meters"], changes.meter_port)
        populations.move(result, changes.meter_port + len(result["meters"]))
    section = result.get("meter_sim", {})
    if changes.meter_sim_port is not None and section.pop("port", None) is not None and changes.meter_sim_port:
        section["port"] = changes.meter_sim_port
    if changes.security == "none":
        for meter in result["meters"]:
            meter["authentication"] = "none"
        populations.unprotect(result)
    if changes.mode == "dial-in":
        _dial_in(result)
    return result


def subscribed(document: Document) -> Document:
    """The document with the CIS told what happens, unless it says itself who is; at another address than loopback who tells it would have to prove who it is."""
    cis, hes = document["cis"], document["hes"]
    host = cis.get("host", "127.0.0.1")
    if "subscribers" in hes or not _is_loopback(host):
        return document
    shown = f"[{host}]" if ":" in host else host
    subscriber = {"name": "cis", "url": f"http://{shown}:{cis['port']}/cim", "nouns": list(TOLD)}
    return document | {"hes": hes | {"subscribers": [subscriber]}}


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def anchored(document: Document, directory: Path) -> Document:
    """The document with every path of a store made absolute, so that it may be read from anywhere."""
    result = copy.deepcopy(document)
    for (section, key), name in KEPT.items():
        values = result.setdefault(section, {})
        place = values.get(key, f"var/{name}")
        values[key] = place if "://" in place else str(directory / place)
    return result


def kept(document: Document) -> tuple[Path, ...]:
    """The files where the processes keep what survives; no two demos may share any. A database keeps a second process away itself."""
    return tuple(Path(place) for section, key in KEPT if "://" not in (place := document[section][key]))


def write(document: Document, path: Path) -> None:
    """Write the document where only this user can read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        tomli_w.dump(document, file)


def listeners(document: Document) -> tuple[Listener, ...]:
    """Every address the demo needs for itself, in the order in which a person would look for them."""
    cis, hes = document["cis"], document["hes"]
    host, dlms_port = hes.get("dlms_host", "127.0.0.1"), hes.get("dlms_port", 4059)
    dlms = ("hes.dlms_port", "where meters dial in and push to the HES", "DLMS_PORT")
    found = [
        _http(cis, "cis.port", "the CIS", "CIS_PORT"),
        _http(hes, "hes.port", "CIM at the HES", "HES_PORT"),
        Listener(host, dlms_port, *dlms),
        Listener(host, dlms_port, *dlms, udp=True),
    ]
    for meter in simulated(document):
        if address := listens_at(meter):
            host, _, port = address.rpartition(":")
            found.append(
                Listener(host, int(port), f"the address of meter {meter['name']}", "a simulated meter", "METER_PORT")
            )
    for population in document.get("populations", ()):
        found.append(
            Listener(
                populations.host_of(population),
                population.get("port", 4059),
                f"the port of population {population['name']}",
                "a population of meters",
                "METER_PORT",
            )
        )
    return tuple(dict.fromkeys(found))


def _http(section: Document, setting: str, what: str, option: str) -> Listener:
    host, secured = section.get("host", "127.0.0.1"), "certificate" in section.get("tls", {})
    return Listener(host, section["port"], setting, what, option, tls=secured)


def simulated(document: Document) -> list[Document]:
    """The meters that this demo has to play; one without [meters.simulated] is a real one."""
    return [meter for meter in document["meters"] if "simulated" in meter]


def listens_at(meter: Document) -> str | None:
    """host:port where the simulated meter listens; None for one that dials in."""
    if meter["address"] == "dials-in":
        return None
    address: str = meter["simulated"].get("listen", meter["address"])
    return address


def _move_servers(document: Document, changes: Changes) -> None:
    cis, hes = document["cis"], document["hes"]
    if changes.cis_port is not None:
        cis["port"] = changes.cis_port
    if changes.dlms_port is not None:
        hes["dlms_port"] = changes.dlms_port
    if changes.hes_port is not None:
        hes["port"] = changes.hes_port
        cis["hes_url"] = f"http://{_reachable(hes.get('host', '127.0.0.1'))}:{changes.hes_port}"


def _set_number(document: Document, count: int) -> None:
    """The first `count` meters of the file, and generated ones after its last; in great number they are a population."""
    meters = document["meters"]
    if document.get("populations"):
        populations.resize(document, count)
    elif count > MOST_SINGLE:
        document["meters"] = _first_meters(meters, min(len(meters), MOST_SINGLE))
        populations.add(document, count - len(document["meters"]), _next_port(meters))
    else:
        document["meters"] = _first_meters(meters, count)


def _next_port(meters: list[Document]) -> int:
    ports = [int(meter["address"].rpartition(":")[2]) for meter in meters if ":" in meter["address"]]
    return max(ports, default=FIRST_METER_PORT - 1) + 1


def _first_meters(meters: list[Document], count: int) -> list[Document]:
    first = _next_port(meters)
    more = [
        generated_meters.meter(number, f"127.0.0.1:{first + index}", seed="demo")
        for index, number in enumerate(range(len(meters) + 1, count + 1))
    ]
    return meters[:count] + more


def _move_meters(meters: list[Document], port: int) -> None:
    if port + len(meters) - 1 > LAST_PORT:
        raise ConfigurationError(f"{len(meters)} meters from port {port} on need ports above {LAST_PORT}")
    for index, meter in enumerate(meters):
        if "simulated" in meter and meter["address"] != "dials-in":
            host = meter["address"].rpartition(":")[0]
            meter["address"] = f"{host}:{port + index}"
            meter["simulated"].pop("listen", None)


def _dial_in(document: Document) -> None:
    if not document["meters"]:
        raise ConfigurationError("the meters of a population are called: only one of [[meters]] can be made to dial in")
    meter, hes = document["meters"][-1], document["hes"]
    if "simulated" not in meter:
        raise ConfigurationError(f"meter {meter['name']} is not simulated, so it cannot be made to dial in")
    meter["address"] = "dials-in"
    meter["simulated"].pop("listen", None)
    meter["simulated"]["dial_to"] = f"{_reachable(hes.get('dlms_host', '127.0.0.1'))}:{hes.get('dlms_port', 4059)}"


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104 - compared with, not bound

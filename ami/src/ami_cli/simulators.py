"""The processes that play the meters of a demo, and the web console of each.

A process for each of the first meters, so that one that ends takes no other along; one for all further meters, and one for each
population. Each serves its API and console at a port of its own, one after the other. Where the configuration says
`[meter_sim] port` itself, one process plays all, so that one console shows all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ami_cli import configuration, populations
from ami_cli.configuration import LAST_PORT, ConfigurationError, Document, Listener
from ami_cli.processes import Program, module

FIRST_CONSOLE_PORT = 8082
METER_PROCESSES = 8
"""The number of meters with a process of their own; all further ones share one."""
ALL = "meters"
"""The process that plays all meters, or all further ones."""
API_PORT = "AMI_METER_SIM__PORT"
CONSOLE = "the console of "
"""What the setting of a listener begins with; which meters are there follows."""


@dataclass(frozen=True, slots=True)
class Simulator:
    """A process of this name, with the options that say which meters it plays, and the port of its console."""

    name: str
    options: tuple[str, ...] = ()
    port: int | None = None
    meters: str = ""
    """Which meters are there, in words; where that is empty, the name says it."""

    @property
    def words(self) -> str:
        """Which meters are there."""
        return self.meters or self.name

    def program(self, path: Path) -> Program:
        """What is started on the configuration that is written there."""
        arguments = module("ami_meter_sim", "serve", "--config", str(path), *self.options)
        variables = () if self.port is None else ((API_PORT, str(self.port)),)
        return Program(self.name, "meter", arguments, rank=2, environment=variables)


def played_by(document: Document, first_port: int | None) -> tuple[Simulator, ...]:
    """Who plays the meters of this configuration. Consoles are at this port and the next ones; None: where they usually are; 0: nowhere."""
    names, populated = [meter["name"] for meter in configuration.simulated(document)], populations.names(document)
    if (together := document.get("meter_sim", {}).get("port")) is not None:
        return (Simulator(ALL, port=together),) if names or populated else ()
    chosen: dict[str, tuple[str, ...]] = {name: ("--meter", name) for name in names[:METER_PROCESSES]}
    words: dict[str, str] = {one["name"]: f"{one['name']} ({one['count']:,} meters)" for one in _populations(document)}
    if rest := names[METER_PROCESSES:]:
        chosen[ALL] = tuple(part for name in rest for part in ("--meter", name))
        words[ALL] = rest[0] if len(rest) == 1 else f"{rest[0]} to {rest[-1]}"
    chosen |= {name: ("--population", name) for name in populated}
    first = FIRST_CONSOLE_PORT if first_port is None else first_port
    if first + len(chosen) - 1 > LAST_PORT:
        raise ConfigurationError(f"{len(chosen)} consoles of meters from port {first} on need ports above {LAST_PORT}")
    return tuple(
        Simulator(name, options, first + index if first else None, words.get(name, ""))
        for index, (name, options) in enumerate(chosen.items())
    )


def _populations(document: Document) -> Sequence[Document]:
    found: Sequence[Document] = document.get("populations", ())
    return found


def linked(document: Document, simulators: Sequence[Simulator]) -> Document:
    """The same configuration, in which each of the consoles knows where the others are; one alone has nobody to lead to."""
    consoles = consoles_of(document, simulators)
    if len(consoles) < 2 or document.get("meter_sim", {}).get("consoles"):
        return document
    known = [{"meters": one.setting.removeprefix(CONSOLE), "url": one.url} for one in consoles]
    return document | {"meter_sim": document.get("meter_sim", {}) | {"consoles": known}}


def consoles_of(document: Document, simulators: Sequence[Simulator]) -> tuple[Listener, ...]:
    """Where those consoles are going to be."""
    host = document.get("meter_sim", {}).get("host", "127.0.0.1")
    return tuple(
        Listener(host, one.port, f"{CONSOLE}{one.words}", "the simulator", "METER_SIM_PORT")
        for one in simulators
        if one.port is not None
    )

"""The system that is worked on: its configuration on free ports, its processes and the relays on its wires."""

from __future__ import annotations

import asyncio
import time
import tomllib
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import tomli_w
from free_ports import free_port
from nats_server import Broker
from patience import PATIENCE_S
from postgresql_server import Cluster

from ami_cli import generated_meters
from ami_process.store.places import Place
from chaos.points.table import CIS, FRONTS, HES, LISTENERS, METERS, WORKERS
from chaos.processes import ROOT, Died, Service
from chaos.wires import Relay, Seen

MANY = {"per_principal": 10_000_000, "in_all": 10_000_000}
LOOK_S = 0.01


def configuration(directory: Path, meters: int) -> dict[str, Any]:
    """The demo's, on free ports, with meters whose keys can be changed and which push; all limits and patience as such a run needs them."""
    config = tomllib.loads((ROOT / "config/demo.toml").read_text())
    config["cis"] |= {
        "port": free_port(),
        "store": str(directory / "cis.sqlite"),
        "ask_again_s": 864_000.0,  # longer than its clock is ever off: a request that is older than this is given up, not asked for again
        "request_timeout_s": 60.0,
    }
    config["hes"] |= {
        "port": free_port(),
        "dlms_port": free_port(),
        "store": str(directory / "hes.sqlite"),
        "deadline_s": 8.0,
        "apdu_timeout_s": 2.0,
        "reply_retry_first_s": 0.1,
        "reply_retry_most_s": 0.5,
        "reply_attempts_max": 1_000,
        "lanes": {"campaign": {"attempts": 1_000, "retry_most_s": 0.5}, "read": {"deadline_s": 8.0}},
        "guard": {"disconnects": MANY},
    }
    config["cis"]["hes_url"] = f"http://127.0.0.1:{config['hes']['port']}"
    nouns = ["EndDeviceEvents", "MeterReadings"]
    subscriber = {"name": "cis", "url": f"http://127.0.0.1:{config['cis']['port']}/cim", "nouns": nouns}
    config["hes"]["subscribers"] = [subscriber]
    config["meter_sim"] = {"state": str(directory / "meters"), "port": free_port()}
    config["meters"] = []
    layout = generated_meters.Layout.PORTS
    config = generated_meters.fleet(config, meters, seed="chaos", layout=layout, address="127.0.0.1:1")
    for number, meter in enumerate(config["meters"]):
        meter |= {"address": f"127.0.0.1:{free_port()}", "master_key": f"{number:032x}".replace("0", "5")}
        meter["simulated"] |= {"model": "single-phase", "listen": f"127.0.0.1:{free_port()}"}
        meter["simulated"]["push_to"] = f"tcp://127.0.0.1:{free_port()}"
    return config


DIAL_IN = 2
"""Meters that dial in, where listeners are processes of their own."""


def share(config: dict[str, Any], engine: str) -> None:
    """The configuration is that of several processes, and some meters dial in; `engine`: where NATS is."""
    config["hes"] |= {"engine": engine, "listen": False}
    for meter in config["meters"][-DIAL_IN:]:
        meter["address"] = "dials-in"
        meter["simulated"]["dial_to"] = f"127.0.0.1:{free_port()}"


@dataclass
class Site:
    """All of it."""

    directory: Path
    config: dict[str, Any]
    seen: Seen = field(init=False)
    services: dict[str, Service] = field(default_factory=dict)
    stores: dict[str, Place] = field(default_factory=dict)
    """Of `hes` and `cis`."""
    server: Cluster | None = None
    """Where they are in PostgreSQL."""
    broker: Broker | None = None
    """Where several processes are the head-end."""
    ports: dict[str, int] = field(default_factory=dict)
    """Of those that the configuration has no section for: of CIM, or of meters."""
    relays: list[Relay] = field(default_factory=list)
    client: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S))

    def __post_init__(self) -> None:
        file = self.directory / "ami.toml"
        file.write_text(tomli_w.dumps(self.config))
        self.seen = Seen({one["name"]: bytes.fromhex(one["encryption_key"]) for one in self.config["meters"]})
        serve = ("serve", "--config", str(file))
        for name, module, more in (("meters", METERS, ()), ("hes", HES, ()), ("cis", CIS, ("--no-loop",))):
            self.services[name] = Service(name, module, self.directory, *serve, *more)
        if "engine" in self.config["hes"]:
            self._add("front", "serve", "port")
            for name in WORKERS:
                self._add(name, "work")
            for name in LISTENERS:
                self._add(name, "listen", "dlms_port")

    def _add(self, name: str, role: str, port: str = "") -> None:
        """One more process of the head-end, with a port of its own."""
        config = self.config
        if port:
            self.ports[name] = free_port()
            config = config | {"hes": config["hes"] | {port: self.ports[name]}}
        file = self.directory / f"{name}.toml"
        file.write_text(tomli_w.dumps(config))
        self.services[name] = Service(name, HES, self.directory, role, "--config", str(file))

    @property
    def files(self) -> list[Path]:
        """Stores that are files of SQLite."""
        own = [one for one in self.stores.values() if isinstance(one, Path)]
        return [*own, self.directory / "meters" / "meters.sqlite"]

    @property
    def secrets(self) -> dict[str, str]:
        """What must not be in any log."""
        names = ("encryption_key", "authentication_key", "master_key")
        return {one[name].lower(): f"the {name} of {one['name']}" for one in self.config["meters"] for name in names}

    @property
    def master_key(self) -> dict[str, str]:
        """Of the head-end, which makes it at its first start."""
        return {one.read_text().strip().lower(): "the master key" for one in self.directory.glob("*.master-key")}

    def url(self, section: str) -> str:
        port = self.ports[section] if section in self.ports else self.config[section]["port"]
        return f"http://127.0.0.1:{port}"

    async def open(self) -> None:
        listening = [self.ports[name] for name in LISTENERS if name in self.ports] or [self.config["hes"]["dlms_port"]]
        for meter in self.config["meters"]:
            simulated, name = meter["simulated"], meter["name"]
            pushes = Relay(self.seen, name, *listening, from_meter=True)
            await pushes.open(port_of(simulated["push_to"]))
            if "dial_to" in simulated:
                other = Relay(self.seen, name, *listening, from_meter=True)
                await other.open(port_of(simulated["dial_to"]))
            else:
                other = Relay(self.seen, name, port_of(simulated["listen"]))
                await other.open(port_of(meter["address"]))
            self.relays += [other, pushes]
        await self.start("meters", "hes")
        await self.start(*(name for name in self.services if name not in ("meters", "hes")))

    async def kill(self, name: str) -> None:
        """As `kill -9`: one of ours, or of the servers."""
        if name in self.services:
            self.services[name].kill()
        else:
            await asyncio.to_thread(self._server(name).stop)

    def _server(self, name: str) -> Broker | Cluster:
        found = {"nats": self.broker, "database": self.server}[name]
        assert found is not None
        return found

    async def start(self, *names: str) -> float:
        """Start these; how long it took until the last of them served."""
        began = time.monotonic()
        for name in names:
            if name not in self.services:
                await asyncio.to_thread(self._server(name).start)
        ours = [name for name in names if name in self.services]
        for name in ours:
            self.services[name].start()
        for name in ours:
            await self.services[name].ready()
        await self.all_healthy(*ours)
        return time.monotonic() - began

    async def all_healthy(self, *names: str) -> None:
        """Wait until those of these, or of all, that serve HTTP say that all is well."""
        for name in names or tuple(self.services):
            if name in (*FRONTS, "cis"):
                await self.healthy(name)

    async def healthy(self, name: str) -> None:
        """Wait until it says that all is well."""
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = await self.client.get(f"{self.url(name)}/healthz")
                if answer.status_code == HTTPStatus.OK:
                    return
                found = answer.text
            except httpx.TransportError as problem:
                found = str(problem)
            if time.monotonic() > end:
                raise Died(f"{name} is not well: {found}; {self.services[name].last_words()}")
            await asyncio.sleep(LOOK_S)

    def check(self) -> None:
        """All are there. Raises Died."""
        for one in self.services.values():
            if not one.alive:
                raise Died(f"{one.name} has ended by itself in its life {one.lives}: {one.last_words()}")

    async def simulator(self, method: str, path: str, body: object = None) -> Any:
        answer = await self.client.request(method, f"{self.url('meter_sim')}/api/v1/{path}", json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    async def close(self) -> None:
        for relay in self.relays:
            relay.close()
        await self.client.aclose()


def port_of(address: str) -> int:
    return int(address.rsplit(":", 1)[1])

"""The composition root: from settings to meters, sockets and tasks, and back to nothing when it has to stop."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import ip_address
from typing import Any

from ami_meter_sim.entries import make_faults, make_meters, place_of, split
from ami_meter_sim.events import FewOpenFiles
from ami_meter_sim.fleet import Fleet, die_at_once
from ami_meter_sim.lines.addresses import OfPopulation, OneAddress
from ami_meter_sim.lines.admission import Admission
from ami_meter_sim.lines.connection import Service
from ami_meter_sim.lines.dialler import BackOff, Called, dial, dial_each
from ami_meter_sim.lines.meter_pushes import OwnHosts, WantedPushes
from ami_meter_sim.lines.opening import Listener, Socket, listen
from ami_meter_sim.lines.push import PushSender
from ami_meter_sim.lines.sockets import leaves_from
from ami_meter_sim.load.tables import make_all
from ami_meter_sim.meter.communication import WRAPPER, CommunicationProfile, HdlcProfile
from ami_meter_sim.meter.planning import plan_ahead
from ami_meter_sim.populating import Prepared, names_of, prepare
from ami_meter_sim.population.addressing import Addressing, AddressPlan
from ami_meter_sim.population.store import Store, WantedMeters
from ami_meter_sim.roster import groups_of, members_of
from ami_meter_sim.settings import (
    MeterSettings,
    MeterSimSettings,
    Settings,
)
from ami_meter_sim.tap import Tap
from ami_process.environment import Environment
from ami_process.events import Ready, cannot_listen
from ami_process.open_files import allow_open_files
from ami_process.settings import SettingsError
from ami_process.sockets import EXIT_CANNOT_LISTEN, AddressInUse, ListenFailed
from ami_registry import Meter as Entry
from ami_registry import Transport

OPEN_FILES_PER_METER = 8
OPEN_FILES_OF_POPULATIONS = 12_000
"""Connections that are wanted at once; what the machine does not give is reported when it is missing."""
LOOPBACK_DEVICE = "lo"


@dataclass(slots=True)
class Running:
    """What has been started and has to be stopped."""

    fleet: Fleet
    admission: Admission
    listening: list[str] = field(default_factory=list)
    listeners: list[Listener] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def stop(self) -> None:
        """Close everything and keep what has to be kept."""
        for listener in self.listeners:
            await listener.stop()
        self.admission.close()
        for task in self.tasks:
            task.cancel()
        try:
            for task in self.tasks:
                with suppress(asyncio.CancelledError):
                    await task
        finally:
            self.fleet.finish()

    async def last_until(self, stop: asyncio.Event) -> None:
        """Wait for `stop`; a task that ends before that has failed, and stopping will raise its error."""
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({stopped, *self.tasks}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()


async def run(
    settings: Settings,
    chosen: Sequence[MeterSettings],
    environment: Environment,
    stop: asyncio.Event,
    die: Callable[[], None] = die_at_once,
) -> int:
    """Run these meters until `stop` is set; the exit code."""
    tap = Tap(environment.emit)
    environment = replace(environment, emit=tap)
    try:
        running = await start(settings, chosen, environment, die)
        try:
            async with _serving_api(settings.meter_sim, running.fleet, tap) as addresses:
                names = [*(meter.name for meter in chosen), *names_of(settings.populations)]
                environment.emit(Ready(role="meter", listen=[*running.listening, *addresses], meters=names))
                await running.last_until(stop)
        finally:
            await running.stop()
    except ListenFailed as problem:
        environment.emit(cannot_listen(problem))
        return EXIT_CANNOT_LISTEN
    return 0


@asynccontextmanager
async def _serving_api(settings: MeterSimSettings, fleet: Fleet, tap: Tap) -> AsyncIterator[list[str]]:
    """The API of the process, if it has a port; gives the address."""
    if settings.port is None:
        yield []
        return
    from ami_meter_sim.admin.serving import serving_api  # here: who serves none needs no HTTP server in its memory

    async with serving_api(settings, settings.port, fleet, tap) as address:
        yield [address]


async def start(
    settings: Settings,
    chosen: Sequence[MeterSettings],
    environment: Environment,
    die: Callable[[], None] = die_at_once,
) -> Running:
    """Make the meters and let them listen, dial and push. SettingsError, StateError or AddressInUse when that is impossible."""
    prepared = prepare(settings.populations, fast_path=settings.meter_sim.fast_path, packs=settings.meter_sim.packs)
    _allow_connections(len(chosen) * OPEN_FILES_PER_METER + OPEN_FILES_OF_POPULATIONS * bool(prepared), environment)
    faults, section = make_faults(settings.faults, chosen), settings.meter_sim
    faults.groups_of = groups_of(prepared, {one.name: one.simulated.model for one in chosen})
    store = Store.open(section.state, [*(WantedMeters(one.name) for one in chosen), *(one.wanted for one in prepared)])
    fleet = Fleet((), environment, die, faults, store)
    try:
        fleet.keep(make_meters(section, chosen, store, environment.now(), fleet.planned))
    except BaseException:
        store.abandon()
        raise
    running = Running(fleet, Admission(section.idle_timeout_s))
    placed: list[tuple[Prepared, int]] = []
    sender = _let_push(fleet, prepared)
    try:
        for address, behind in _by_address(chosen):
            running.listening.append(await _listen(running, section, address, behind))
        for population in prepared:
            placed.append((population, await _place(running, section, store, population)))
    except ListenFailed as problem:
        await running.stop()
        if isinstance(problem, AddressInUse):
            raise
        raise SettingsError(f"{problem.setting}: {problem.address} can't be listened on: {problem.reason}") from None
    if prepared:  # beside the loop, which would hold still for each of them
        asyncio.get_running_loop().run_in_executor(None, make_all)
    fleet.members_of = members_of(placed, [one.simulated.model for one in chosen])
    running.tasks += [asyncio.create_task(one) for one in (fleet.keep_time(), fleet.keep_state(), sender.run())]
    running.tasks += [asyncio.create_task(one) for one in _calls(fleet, section, chosen, placed)]
    return running


async def _place(running: Running, section: MeterSimSettings, store: Store, population: Prepared) -> int:
    """Give a population its meters and its sockets; the index of its first meter in the store."""
    first = store.ranges[population.wanted.name].index
    running.fleet.add(population.population, first)
    plan_ahead(store, population.population, first, running.fleet.environment.now())
    if population.settings.dial_to is None:
        await _listen_for(running, section, population, first)
    return first


def _calls(
    fleet: Fleet, section: MeterSimSettings, chosen: Sequence[MeterSettings], placed: Sequence[tuple[Prepared, int]]
) -> Iterator[Coroutine[Any, Any, None]]:
    """Those of all meters that dial in."""
    service, back_off = Service(fleet), partial(BackOff, section.redial_first_s, section.redial_most_s)
    for one in chosen:
        if one.simulated.dial_to is not None:
            called = Called(*split(one.simulated.dial_to))
            yield dial(service, fleet.meters[one.name], called, back_off())
    for population, first in placed:
        if population.settings.dial_to is not None:
            called_by = partial(_called, population.plan, first, split(population.settings.dial_to))
            yield dial_each(service, range(first, first + population.plan.count), called_by, back_off)


def _called(plan: AddressPlan, first: int, address: tuple[str, int], index: int) -> Called:
    return Called(*address, leaves_from(plan.place(index - first)[0], address[0]))


def _let_push(fleet: Fleet, prepared: Sequence[Prepared]) -> PushSender:
    """From here on the pushes of every meter that is made line up, before any client can make one; `run` sends them."""
    sender = PushSender(fleet)
    firsts = {} if fleet.store is None else fleet.store.ranges
    own_hosts = OwnHosts([(firsts[one.wanted.name].index, one.plan) for one in prepared])
    wanted = WantedPushes(sender, fleet, own_hosts.of)
    fleet.when_live = wanted.watch
    for meter in fleet.meters.values():
        wanted.watch(meter)
    return sender


def _allow_connections(wanted: int, environment: Environment) -> None:
    possible = allow_open_files(wanted)
    if possible < wanted:
        environment.emit(FewOpenFiles(wanted=wanted, possible=possible))


def _by_address(chosen: Sequence[MeterSettings]) -> list[tuple[str, list[MeterSettings]]]:
    places: dict[str, list[MeterSettings]] = defaultdict(list)
    for one in chosen:
        if one.listens_on is not None:
            places[place_of(one)].append(one)
    return [(behind[0].listens_on or "", behind) for behind in places.values()]


async def _listen(running: Running, settings: MeterSimSettings, address: str, behind: list[MeterSettings]) -> str:
    meters = {one.meter.server_wport: running.fleet.meters[one.name] for one in behind}
    first = behind[0].meter
    setting = f"meters[{first.name}]." + ("simulated.listen" if behind[0].simulated.listen else "address")
    where = Socket(*split(address), setting, udp=first.transport is Transport.UDP)
    service = Service(running.fleet, _communication(first))
    most = settings.connections_per_meter * len(meters)
    listener, real = await listen(where, service, running.admission, OneAddress(meters), most)
    running.listeners.append(listener)
    return real


async def _listen_for(running: Running, settings: MeterSimSettings, prepared: Prepared, first: int) -> None:
    """Open the sockets behind which the meters of a population are; `first`: the index of its first one in the store."""
    fleet, plan = running.fleet, prepared.plan
    hdlc = prepared.transport is Transport.HDLC
    service = Service(fleet, HdlcProfile() if hdlc else WRAPPER)
    for door in plan.doors():
        where = Socket(door.host, door.port, prepared.where, prepared.transport is Transport.UDP, _device(plan))
        addresses = OfPopulation(door, lambda index: fleet.live(first + index))
        each = prepared.settings.connections_per_meter or settings.connections_per_meter
        most = each * len(door.wports(plan.host))
        listener, real = await listen(where, service, running.admission, addresses, most)
        running.listening.append(real)
        running.listeners.append(listener)


def _device(plan: AddressPlan) -> str | None:
    """Addresses of this machine alone are not offered to others, though the socket is bound to all."""
    each = plan.addressing is Addressing.ADDRESS_EACH
    return LOOPBACK_DEVICE if each and ip_address(plan.host).is_loopback else None


def _communication(meter: Entry) -> CommunicationProfile:
    return HdlcProfile(meter.physical_address) if meter.transport is Transport.HDLC else WRAPPER

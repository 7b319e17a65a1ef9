"""The composition root: from settings to meters, sockets and tasks, and back to nothing when it is told to stop."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from ipaddress import ip_address
from math import ceil
from typing import Any

from ami_dlms.association import Security
from ami_dlms.association.settings import WITH_SECRET
from ami_dlms.errors import LocalError
from ami_dlms.security import AsymmetricKeys, GlobalKeys, PrivateKey, PublicKey
from ami_meter_sim.events import FewOpenFiles
from ami_meter_sim.faults import FaultError, Faults, Rule
from ami_meter_sim.faults.pushes import POWER_DOWN
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
from ami_meter_sim.meter.filled_pushes import Pushes, parse_destination, with_pushes
from ami_meter_sim.meter.further import Given, further_association
from ami_meter_sim.meter.memory import memory_of, unplanned
from ami_meter_sim.meter.planning import plan_ahead
from ami_meter_sim.meter.pushes import ALARM, INTERVAL, POWER_UP, SWITCH
from ami_meter_sim.meter.setup import FurtherAssociation, LockOutSetup, ManagementAssociation, MeterSetup
from ami_meter_sim.meter.simulated_meter import Meter
from ami_meter_sim.meter.state import take_over_all
from ami_meter_sim.objects.device import Identity
from ami_meter_sim.objects.model_files import load_model
from ami_meter_sim.populating import Prepared, names_of, prepare
from ami_meter_sim.population.addressing import Addressing, Plan
from ami_meter_sim.population.store import Store, Wanted
from ami_meter_sim.roster import groups_of, members_of
from ami_meter_sim.settings import (
    AssociationSettings,
    MeterSettings,
    MeterSimSettings,
    Settings,
    SimulatedSettings,
)
from ami_meter_sim.tap import Tap
from ami_packs.model import Model
from ami_process.environment import Environment
from ami_process.events import Ready, cannot_listen
from ami_process.open_files import allow_open_files
from ami_process.settings import SettingsError
from ami_process.sockets import EXIT_CANNOT_LISTEN, CannotListen, PortTaken
from ami_registry import Meter as Entry
from ami_registry import Transport, security

OPEN_FILES_PER_METER = 8
OPEN_FILES_OF_POPULATIONS = 12_000
"""So many connections are wanted at once; what the machine does not give is said when it is missing."""
LOOPBACK_DEVICE = "lo"
WITHOUT_A_PERIOD_S = 10.0
"""Of the pushes of a [[meters]] table that wants none for any other reason."""
REQUESTS = ["get", "set", "action"]


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
    except CannotListen as problem:
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
    """Make the meters and let them listen, dial and push. SettingsError, StateError or PortTaken when that is impossible."""
    prepared = prepare(settings.populations)
    _allow_connections(len(chosen) * OPEN_FILES_PER_METER + OPEN_FILES_OF_POPULATIONS * bool(prepared), environment)
    faults, section = make_faults(settings.faults, chosen), settings.meter_sim
    faults.groups_of = groups_of(prepared, {one.name: one.simulated.model for one in chosen})
    store = Store.open(section.state, [*(Wanted(one.name) for one in chosen), *(one.wanted for one in prepared)])
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
            first = store.ranges[population.wanted.name].index
            fleet.add(population.population, first)
            placed.append((population, first))
            plan_ahead(store, population.population, first, environment.now())
            if population.settings.dial_to is None:
                await _listen_for(running, section, population, first)
    except CannotListen as problem:
        await running.stop()
        if isinstance(problem, PortTaken):
            raise
        raise SettingsError(f"{problem.setting}: {problem.address} can't be listened on: {problem.reason}") from None
    if prepared:  # beside the loop, which would hold still for each of them
        asyncio.get_running_loop().run_in_executor(None, make_all)
    fleet.members_of = members_of(placed, [one.simulated.model for one in chosen])
    running.tasks += [asyncio.create_task(one) for one in (fleet.keep_time(), fleet.keep_state(), sender.run())]
    running.tasks += [asyncio.create_task(one) for one in _calls(fleet, section, chosen, placed)]
    return running


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


def _called(plan: Plan, first: int, address: tuple[str, int], index: int) -> Called:
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


def make_meters(
    settings: MeterSimSettings,
    chosen: Sequence[MeterSettings],
    store: Store,
    at: datetime,
    planned: Callable[[int], None] = unplanned,
) -> list[Meter]:
    """The meters with what the store has of them; models are shared. Raises StateError."""
    kinds = {(one.simulated.model, _pushes(one.simulated)) for one in chosen}
    models = {kind: _model(*kind) for kind in kinds}
    devices: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
    for one in chosen:
        devices[_place(one)].append((one.meter.server_wport, one.meter.logical_device_name.encode("ascii")))
    setups = [
        make_setup(one, models[one.simulated.model, _pushes(one.simulated)], tuple(devices[_place(one)]))
        for one in chosen
    ]
    take_over_all(settings.state, setups, store)
    return [Meter(setup, memory_of(store, index, planned), at) for index, setup in enumerate(setups)]


def _model(name: str, pushes: Pushes | None) -> Model:
    model = load_model(name)
    return model if pushes is None else with_pushes(model, pushes)


def make_setup(one: MeterSettings, model: Model, logical_devices: tuple[tuple[int, bytes], ...]) -> MeterSetup:
    """What a [[meters]] table means to the meter itself."""
    meter = one.meter
    return MeterSetup(
        identity=Identity(
            meter.name, meter.logical_device_name.encode("ascii"), meter.device_id.encode("ascii"), meter.system_title
        ),
        model=model,
        management=ManagementAssociation(
            client_wport=meter.client_wport,
            mechanism=meter.authentication,
            secret=meter.secret if meter.authentication in WITH_SECRET else None,
            security=_security(one),
        ),
        further={given.name: _further(one, given, model) for given in one.simulated.associations},
        public_client=meter.public_client,
        server_wport=meter.server_wport,
        logical_devices=logical_devices,
        control_mode=one.simulated.control_mode,
        time_zone_minutes=one.simulated.time_zone_minutes,
        lock_out=LockOutSetup(one.simulated.lock_out_after, one.simulated.lock_out_s),
    )


def _further(one: MeterSettings, given: AssociationSettings, model: Model) -> FurtherAssociation:
    """An association beside the management one, as the model has it, with the keys of the settings. Raises SettingsError."""
    where = f"meter {one.name}, simulated.associations {given.name}"
    keyed = {offered.name: offered for offered in model.associations if offered.keyed}
    if given.name not in keyed:
        raise SettingsError(
            f"{where}: the model has no association of this name with keys; it has {', '.join(keyed) or 'none'}"
        )
    own = _security(one)
    try:
        keys = _keys_of(given, None if own is None else own.keys)
        return further_association(
            keyed[given.name], one.meter.system_title, Given(keys, given.secret, given.client_system_title), own
        )
    except LocalError as error:
        raise SettingsError(f"{where}: {error}") from None


def _keys_of(given: AssociationSettings, own: GlobalKeys | None) -> GlobalKeys | None:
    """The association's own keys, and where one is not given the meter's."""
    encryption = given.encryption_key or (own.encryption_key if own else None)
    authentication = given.authentication_key or (own.authentication_key if own else None)
    if encryption is None or authentication is None:
        return None
    return GlobalKeys(encryption, authentication, master_key=own.master_key if own else None)


def _security(one: MeterSettings) -> Security | None:
    """As the meter's end sees it: its own title and private key, and whatever title the client has."""
    private, public = one.simulated.signing_key, one.simulated.client_signing_key
    try:
        asymmetric = AsymmetricKeys(
            None if private is None else PrivateKey(private), None if public is None else PublicKey(public)
        )
        return security(one.meter, one.meter.system_title or b"", None, asymmetric)
    except LocalError as error:
        raise SettingsError(
            f"meter {one.name}, simulated.signing_key or simulated.client_signing_key: {error}"
        ) from None


def make_faults(rules: Sequence[Mapping[str, object]], chosen: Sequence[MeterSettings]) -> Faults:
    """Those of the meters' own switches, then those of [[faults]]. Raises SettingsError."""
    faults = Faults()
    for one in chosen:
        for given in _switched_on(one.simulated):
            _set(faults, {"meters": [one.name], **given}, f"meter {one.name}: simulated")
    for number, rule in enumerate(rules, 1):
        _set(faults, rule, f"[[faults]] number {number}")
    return faults


def _set(faults: Faults, rule: Mapping[str, object], where: str) -> None:
    try:
        faults.set(Rule.parse(rule))
    except FaultError as problem:
        raise SettingsError(f"{where}: {problem}") from None


def _switched_on(simulated: SimulatedSettings) -> Iterator[dict[str, object]]:
    """The faults that the switches of [meters.simulated] stand for."""
    if simulated.refuse_action is not None:
        yield {"fault": "refuses", "result": simulated.refuse_action}
    if simulated.lie_about_action:
        yield {"fault": "accepts-but-does-not-switch"}
    if simulated.kill_after_action:
        yield {"fault": "reset-after-action", "how": "exit" if simulated.kill_after_action == "exit" else "close"}
    if simulated.answer_delay_s:
        yield {"fault": "slow", "seconds": simulated.answer_delay_s}
    if simulated.silent:
        yield (
            {"fault": "silent"} if simulated.silent == "always" else {"fault": "silent", "when": {"service": REQUESTS}}
        )


def _pushes(simulated: SimulatedSettings) -> Pushes | None:
    """What a [[meters]] table says of pushes: of the alarms of its model too, and of a period where it wants nothing else."""
    if simulated.push_to is None:
        return None
    transport, host, port = parse_destination(simulated.push_to)
    every_s = simulated.push_every_s or (None if simulated.push_on_switch else WITHOUT_A_PERIOD_S)
    reasons = {ALARM, POWER_UP, POWER_DOWN}
    reasons |= {SWITCH} if simulated.push_on_switch else set()
    reasons |= {INTERVAL} if every_s else set()
    return Pushes(
        transport=transport,
        host=host,
        port=port,
        reasons=frozenset(reasons),
        every_s=None if every_s is None else ceil(every_s),
        protected=simulated.push_protected,
    )


def split(address: str) -> tuple[str, int]:
    """Host and port of "host:port"; an IPv6 host stands in brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _place(one: MeterSettings) -> str:
    """What tells two devices apart as a client sees them: meters with the same place are logical devices of one."""
    address = one.listens_on
    return one.name if address is None or address.endswith(":0") else address


def _by_address(chosen: Sequence[MeterSettings]) -> list[tuple[str, list[MeterSettings]]]:
    places: dict[str, list[MeterSettings]] = defaultdict(list)
    for one in chosen:
        if one.listens_on is not None:
            places[_place(one)].append(one)
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


def _device(plan: Plan) -> str | None:
    """Addresses of this machine alone are not offered to others, though the socket is bound to all."""
    each = plan.addressing is Addressing.ADDRESS_EACH
    return LOOPBACK_DEVICE if each and ip_address(plan.host).is_loopback else None


def _communication(meter: Entry) -> CommunicationProfile:
    return HdlcProfile(meter.physical_address) if meter.transport is Transport.HDLC else WRAPPER

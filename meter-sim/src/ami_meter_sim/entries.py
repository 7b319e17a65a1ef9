"""From [[meters]] tables to what their meters are made of, and to the faults that the tables switch on. Raises SettingsError with the meter's name.

What populations need of their tables is in `populating`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from math import ceil
from pathlib import Path

from ami_dlms.association import Security
from ami_dlms.association.settings import WITH_SECRET
from ami_dlms.errors import LocalError
from ami_dlms.security import AsymmetricKeys, GlobalKeys, PrivateKey, PublicKey
from ami_meter_sim.faults import FaultError, Faults, Rule
from ami_meter_sim.faults.pushes import POWER_DOWN
from ami_meter_sim.meter.filled_pushes import Pushes, parse_destination, with_pushes
from ami_meter_sim.meter.further import AssociationSecrets, further_association
from ami_meter_sim.meter.memory import memory_of, unplanned
from ami_meter_sim.meter.pushes import ALARM, INTERVAL, POWER_UP, SWITCH
from ami_meter_sim.meter.setup import FurtherAssociation, LockOutSetup, ManagementAssociation, MeterSetup
from ami_meter_sim.meter.simulated_meter import Meter
from ami_meter_sim.meter.state import take_over_all
from ami_meter_sim.objects.device import Identity
from ami_meter_sim.objects.model_files import load_model
from ami_meter_sim.population.store import Store
from ami_meter_sim.settings import (
    AssociationSettings,
    MeterSettings,
    MeterSimSettings,
    SimulatedSettings,
)
from ami_packs.model import MANAGEMENT, Model
from ami_process.settings import SettingsError
from ami_registry import security

REQUESTS = ["get", "set", "action"]
WITHOUT_A_PERIOD_S = 10.0
"""Of the pushes of a [[meters]] table that wants none for any other reason."""


def make_meters(
    settings: MeterSimSettings,
    chosen: Sequence[MeterSettings],
    store: Store,
    at: datetime,
    planned: Callable[[int], None] = unplanned,
) -> list[Meter]:
    """The meters with what the store has of them; models are shared. Raises StateError."""
    kinds = {(one.simulated.model, _pushes(one.simulated)) for one in chosen}
    models = {kind: _model(*kind, settings.packs) for kind in kinds}
    devices: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
    for one in chosen:
        devices[place_of(one)].append((one.meter.server_wport, one.meter.logical_device_name.encode("ascii")))
    setups = [
        replace(
            make_setup(one, models[one.simulated.model, _pushes(one.simulated)], tuple(devices[place_of(one)])),
            fast_path=settings.fast_path,
        )
        for one in chosen
    ]
    take_over_all(settings.state, setups, store)
    return [Meter(setup, memory_of(store, index, planned), at) for index, setup in enumerate(setups)]


def _model(name: str, pushes: Pushes | None, packs: Path | None) -> Model:
    model = load_model(name, packs)
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
        further=_all_further(one, model),
        public_client=meter.public_client,
        server_wport=meter.server_wport,
        logical_devices=logical_devices,
        control_mode=one.simulated.control_mode,
        time_zone_minutes=one.simulated.time_zone_minutes,
        lock_out=LockOutSetup(one.simulated.lock_out_after, one.simulated.lock_out_s),
    )


def _all_further(one: MeterSettings, model: Model) -> Mapping[str, FurtherAssociation]:
    """Those that the table names. A security setup has one set of keys, whichever of its associations is asked. Raises SettingsError."""
    setups = {offered.name: offered.security_setup for offered in model.associations}
    own, found = _security(one), dict[str, FurtherAssociation]()
    first = {} if own is None else {1: (MANAGEMENT, own.keys)}
    for given in one.simulated.associations:
        further = found[given.name] = _further(one, given, model)
        if further.security is None:
            continue
        setup, keys = setups[given.name], further.security.keys
        name, known = first.setdefault(setup, (given.name, keys))
        for key in ("encryption_key", "authentication_key"):
            if getattr(keys, key) != getattr(known, key):
                raise SettingsError(
                    f"meter {one.name}, simulated.associations {given.name}: its {key} is not that of {name}, and both "
                    f"use security setup {setup} of the meter, which has one"
                )
    return found


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
            keyed[given.name],
            one.meter.system_title,
            AssociationSecrets(keys, given.secret, given.client_system_title),
            own,
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
    """Host and port of "host:port"; an IPv6 host is in brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def place_of(one: MeterSettings) -> str:
    """What tells two devices apart as a client sees them: meters with the same place are logical devices of one."""
    address = one.listens_on
    return one.name if address is None or address.endswith(":0") else address

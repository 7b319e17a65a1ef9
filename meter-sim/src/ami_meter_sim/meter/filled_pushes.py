"""What settings say of pushes, written into the push setups (class 40) of a model.

Strategy: the push setups are the only thing that says where, when and how a meter pushes, so a client reads there what the settings have
said, and what it writes counts from then on. Filled in once for a model, whose meters share them; a setup that the model lacks is added.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import time

from ami_dlms import data
from ami_dlms.cosem.classes import class_versions
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.obis import Obis
from ami_meter_sim.faults.pushes import POWER_DOWN
from ami_meter_sim.meter.pushes import ALARM, INTERVAL, SETUPS
from ami_meter_sim.objects.push_setup import PERCENT, PushSetupV0, PushTransport
from ami_packs.model import MANAGEMENT, Model, ObjectAccess, ObjectDescription
from ami_process.sockets import format_address

TRANSPORTS = {"tcp": PushTransport.TCP, "udp": PushTransport.UDP, "hdlc": PushTransport.HDLC}
A_XDR = data.enum(0)
"""message_type."""
SHOWN = ((8, "0-0:1.0.0", 2), (1, "0-0:96.1.0", 2), (70, "0-0:96.3.10", 3))
"""What a setup sends that the model does not have itself: clock, device id, control state."""
WITH_GROWING_DELAYS = 2
"""The version of the class in which repetition_delay has a minimum, an exponent and a maximum."""
READ, WRITE, METHODS = frozenset(range(1, 8)), frozenset(range(2, 8)), frozenset({1})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushes:
    """Where and why meters push. `transport` is `tcp`, `udp` or `hdlc` (over TCP), `reasons` are those of `SETUPS`, `windows` local times of each day.

    What is None is as the model has it. The start is randomised, and windows are kept, by what can wait; a last gasp is never repeated.
    `every_s` is the period of `interval`. `client_wport` None: the client of the setup, else that of the management association.
    """

    transport: str
    host: str
    port: int
    reasons: frozenset[str]
    every_s: int | None = None
    randomised_s: int | None = None
    retries: int | None = None
    retry_delay_s: int | None = None
    windows: tuple[tuple[time, time], ...] | None = None
    client_wport: int | None = None
    protected: bool = True


def parse_destination(text: str) -> tuple[str, str, int]:
    """Transport, host and port of "tcp://host:port", "udp://host:port" or "hdlc://host:port"; an IPv6 host is in brackets."""
    transport, _, address = text.partition("://")
    host, _, port = address.rpartition(":")
    return transport, host.strip("[]"), int(port)


def with_pushes(model: Model, pushes: Pushes) -> Model:
    """The model whose push setups say so."""
    objects = dict(model.objects)
    for reason in sorted(pushes.reasons):
        key = (PushSetupV0.class_id, SETUPS[reason])
        if key in objects or reason != ALARM:  # a model that raises alarms has a setup for them
            objects[key] = _filled(objects.get(key) or _made(model, reason), pushes, reason)
    described = tuple(objects.values())
    return Model(described, model.associations, model.load, model.events, model.title, model.base, model.short_names)


def _filled(described: ObjectDescription, pushes: Pushes, reason: str) -> ObjectDescription:
    standard = class_versions()[described.class_id, described.version]
    values = dict(_values(pushes, reason, described.version))
    attributes = {standard.attribute(name).number: value for name, value in values.items()}
    options = {"protected": pushes.protected} | ({"every_s": pushes.every_s or 0} if reason == INTERVAL else {})
    if pushes.client_wport is not None:
        options["client_wport"] = pushes.client_wport
    return replace(
        described,
        attributes={**described.attributes, **attributes},
        options={**described.options, **options},
    )


def _values(pushes: Pushes, reason: str, version: int) -> Mapping[str, Data]:
    where = format_address(pushes.host, pushes.port).encode("ascii")
    destination = data.structure(data.enum(TRANSPORTS[pushes.transport]), data.octet_string(where), A_XDR)
    values = {"send_destination_and_method": destination}
    if reason == POWER_DOWN:
        return values
    if pushes.retries is not None:
        values["number_of_retries"] = data.unsigned(pushes.retries)
    if pushes.retry_delay_s is not None:
        delay = data.long_unsigned(pushes.retry_delay_s)
        growing = data.structure(delay, data.long_unsigned(PERCENT), delay)
        values["repetition_delay"] = growing if version >= WITH_GROWING_DELAYS else delay
    if reason == ALARM:
        return values
    if pushes.randomised_s is not None:
        values["randomisation_start_interval"] = data.long_unsigned(pushes.randomised_s)
    if pushes.windows is not None:
        values["communication_window"] = data.array(*(_window(*one) for one in pushes.windows))
    return values


def _window(begins: time, ends: time) -> Data:
    moments = (CosemDateTime(hour=one.hour, minute=one.minute, second=one.second) for one in (begins, ends))
    return data.structure(*(data.octet_string(one.encode()) for one in moments))


def _made(model: Model, reason: str) -> ObjectDescription:
    """A setup that the model has not, with what it can show of itself."""
    names = [(class_id, Obis.parse(name), number) for class_id, name, number in SHOWN]
    shown = [CaptureObject(*one, 0).encode() for one in names if one[:2] in model.objects]
    return ObjectDescription(
        obis=SETUPS[reason],
        class_id=PushSetupV0.class_id,
        version=PushSetupV0.version,
        name=f"Push setup: {reason}",
        source="settings",
        access={MANAGEMENT: ObjectAccess(READ, WRITE, METHODS)},
        attributes={2: data.array(*shown)},
    )

"""What is measured of a population in this process, without a client that needs more time than the meters: last gasps, due work, a year of profile."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from operator import itemgetter
from pathlib import Path

from ami_cli.bench_fleet.figures import Inside
from ami_dlms import data
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.selection import CaptureObject, RangeDescriptor
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.obis import Obis
from ami_meter_sim.faults.pushes import POWER_DOWN
from ami_meter_sim.fleet import Fleet, serve_evenly
from ami_meter_sim.lines.meter_pushes import frames_at_rest
from ami_meter_sim.lines.push import Push, PushEndpoint, PushSender
from ami_meter_sim.meter.member import Population
from ami_meter_sim.meter.pushes import SETUPS
from ami_meter_sim.objects.cosem_object import ReadContext
from ami_meter_sim.objects.push_setup import OperationMethod, PushPlan
from ami_meter_sim.populating import Prepared
from ami_meter_sim.population.store import Store
from ami_packs.model import Model
from ami_process.environment import Environment
from ami_process.events import Event

MOST_GASPS, MOST_DUE = 10_000, 100_000
DUE_FOR_S = 1.0
YEARS = 5
RECEIVE_OCTETS = 8_000_000
PROFILE = (7, Obis.parse("1-0:99.1.0"))
CLOCK = CaptureObject(8, Obis.parse("0-0:1.0.0"), 2)
ROWS_OF_A_YEAR = 35_040
GASP = data.structure(data.octet_string(bytes(12)), data.octet_string(bytes(16)))


def measure_inside(prepared: Prepared, directory: Path) -> Inside:
    """All of it, with the state of the population in this folder. Raises StateError."""
    return asyncio.run(_measure(prepared, directory))


async def _measure(prepared: Prepared, directory: Path) -> Inside:
    serve_evenly()
    async with _fleet(prepared.population, prepared, directory) as fleet:
        gasps = min(MOST_GASPS, prepared.settings.count)
        gasps_s = await _gasps(fleet, prepared, gasps)
        longest = await _longest_turn(fleet, min(MOST_DUE, prepared.settings.count))
    of_a_year = replace(prepared.population, model=_with_a_year(prepared.population.model))
    async with _fleet(of_a_year, prepared, directory) as fleet:
        last = prepared.settings.count - 1
        _, *years = (_a_year(fleet, max(last - run, 0)) for run in range(YEARS + 1))  # the first warms up
        rows, seconds = sorted(years, key=itemgetter(1))[YEARS // 2]
    return Inside(gasps, gasps_s, longest, rows, seconds)


@asynccontextmanager
async def _fleet(population: Population, prepared: Prepared, directory: Path) -> AsyncIterator[Fleet]:
    store = Store.open(directory, [prepared.wanted])
    fleet = Fleet((), Environment(emit=_unread), store=store)
    fleet.add(population, 0)
    try:
        yield fleet
    finally:
        store.abandon()


def _unread(_event: Event) -> None:
    """Events are not what is measured."""


async def _gasps(fleet: Fleet, prepared: Prepared, number: int) -> float:
    """Seconds from the wish until all have left, each with its meter's keys, counter and address, and journal."""
    sender = PushSender(fleet)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_OCTETS)
        receiver.bind(("127.0.0.1", 0))
        destination = PushEndpoint("udp", *receiver.getsockname())
        for index in range(number):
            fleet.live(index)  # as the outage does that a last gasp follows from
        fleet.write()
        began = time.perf_counter()
        for index in range(number):
            sender.want(_gasp(fleet, prepared, index, destination), fleet.environment.now())
        sending = asyncio.create_task(sender.run())
        while sender.waiting:  # noqa: ASYNC110 - the sender has no other end
            await asyncio.sleep(0)
        seconds = time.perf_counter() - began
        sending.cancel()
    if sender.failed or sender.sent != number:
        raise OSError(f"{sender.sent} of {number} last gasps have left")
    return seconds


def _gasp(fleet: Fleet, prepared: Prepared, index: int, destination: PushEndpoint) -> Push:
    plan = PushPlan(SETUPS[POWER_DOWN], GASP, None, None, 0, OperationMethod.UNCONFIRMED_RETRY_ON_FAILURE)
    return Push(
        meter=prepared.population.identities.name(index),
        frames=lambda at: frames_at_rest(fleet, index, plan, at),
        destination=destination,
        why=POWER_DOWN,
        own_host=prepared.plan.place(index)[0],
    )


async def _longest_turn(fleet: Fleet, number: int) -> float:
    """The longest time for which others have to wait while this many meters are due, in seconds of a core."""
    if fleet.store is None:
        raise LookupError("a fleet without a store is never due")
    fleet.store.columns["next_due_at"][:number] = int(fleet.environment.now().timestamp())
    working, longest = asyncio.create_task(fleet.keep_time()), 0.0
    before = began = time.thread_time()  # other processes are none of the loop's
    while before - began < DUE_FOR_S:
        await asyncio.sleep(0)
        now = time.thread_time()
        longest, before = max(longest, now - before), now
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working
    return longest


def _with_a_year(model: Model) -> Model:
    """The same model with room for a year in its first load profile."""
    objects = [
        replace(one, profile_entries=ROWS_OF_A_YEAR) if key == PROFILE else one for key, one in model.objects.items()
    ]
    return Model(tuple(objects), model.associations, model.load, model.events)


def _a_year(fleet: Fleet, index: int) -> tuple[int, float]:
    """Rows and seconds of a year by range, encoded, from a meter that was just made."""
    meter, now = fleet.live(index), fleet.environment.now()
    association = meter.association(meter.setup.management.client_wport)
    if association is None:
        raise LookupError("the meters have no management association")
    selection = RangeDescriptor(CLOCK, _shown(now - timedelta(days=365)), _shown(now), ()).encode()
    context = ReadContext(association.name, association.profile, None, selection)
    began = time.perf_counter()
    rows = meter.get(AttributeDescriptor(*PROFILE, 2), context, now)
    if not isinstance(rows, Data):
        raise LookupError(f"the profile of a year is {rows.name}")
    data.encode(rows)
    return len(rows.value), time.perf_counter() - began


def _shown(moment: datetime) -> Data:
    return data.octet_string(CosemDateTime.from_datetime(moment).encode())

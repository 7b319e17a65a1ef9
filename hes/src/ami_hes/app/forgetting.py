"""What is dropped when it is older than it is kept."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial

from ami_hes import events
from ami_hes.app.setup import Setup
from ami_hes.app.southbound import South
from ami_hes.app.storage import Stores
from ami_hes.app.works import Task
from ami_hes.guard import HOUR
from ami_hes.jobs import Context
from ami_hes.store import StoreUnavailable
from ami_hes.traces import TraceKeeper
from ami_process.environment import Environment

FORGET_EVERY_S = 3600.0


def works(setup: Setup, stores: Stores, context: Context, south: South, traces: TraceKeeper) -> list[Task]:
    """Drop traces, answers that can't be asked for again, and readings, events of meters and entries of the audit log, all in their time."""
    hes, readings, now = setup.settings.hes, south.meters.readings, setup.environment.now

    async def answers() -> None:
        too_old = now() - timedelta(days=hes.keep_answers_days)
        forgotten = await context.results.forget(too_old, ids_kept=hes.keep_message_ids)
        if forgotten:
            context.emit(events.Forgotten(requests=forgotten))

    async def values() -> None:
        if readings is not None:
            await readings.forget(int((now() - timedelta(days=hes.keep_readings_days)).timestamp() * 1000))

    async def device_events() -> None:
        await south.taker.store.forget(now() - timedelta(days=hes.keep_device_events_days))

    async def audit() -> None:
        await stores.audit.forget(now() - timedelta(days=hes.keep_audit_days), now())
        await stores.guard.forget(now() - max(timedelta(days=hes.keep_answers_days), HOUR))  # in which is counted

    drops = (traces.forget, answers, values, device_events, audit)
    return [partial(_every_hour, drop, setup.environment) for drop in drops]


async def _every_hour(drop: Callable[[], Awaitable[object]], environment: Environment) -> None:
    while True:
        with suppress(StoreUnavailable):  # the store says so itself, and the next time will do
            await drop()
        await environment.sleep(FORGET_EVERY_S)

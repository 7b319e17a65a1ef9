"""The role of `hes listen`: meters dial into it and push to it; it carries out what is asked of those that have dialled in, and of those on serial lines of its machine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from ami_hes import events
from ami_hes.app import beside, dispatching, heeding, southbound, status
from ami_hes.app.telling import EVENTS_OF_METERS
from ami_hes.app.works import Task, at_work
from ami_hes.engine import Hints
from ami_hes.settings import Settings
from ami_process.environment import Environment
from ami_process.sockets import format_address


@asynccontextmanager
async def opened(settings: Settings, environment: Environment) -> AsyncIterator[events.Ready]:
    """At work as long as this is entered. Raises ListenFailed and what `beside.opened` does."""
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(
            beside.opened(settings, environment, dispatching.engine_of_listener, what="a listener", callers=True)
        )
        setup, south, context = one.setup, one.south, one.context
        south.meters.note_pushes(one.keeper)
        await dispatching.hear_of_meters(one.link, south)
        hints = Hints(context.engine.events, setup.environment.new_uuid, setup.environment.emit)
        heeding.heed_meters(hints, south)
        await context.engine.open()
        await stack.enter_async_context(at_work(*one.works, hints.work, _telling_of_pushes(one)))
        await southbound.listen(setup, south, context.engine.claims)
        meters = south.meters
        said = replace(
            status.measured(setup, one.stores, south, context, "listener"), datagrams=lambda: meters.datagrams
        )
        addresses = await stack.enter_async_context(status.opened(setup, one.stores, context, said))
        yield events.Ready(
            role="listener",
            listen=([format_address(*meters.listening)] if meters.listening else []) + addresses,
            datagram_buffer_octets=meters.datagrams.granted_octets,
            datagram_buffer_limited_by=meters.buffer_limited_by,
        )


def _telling_of_pushes(one: beside.Beside) -> Task:
    """Until cancelled: front ends are told that there are events of meters to hand on."""
    one.south.taker.followers.add(pushed := asyncio.Event())

    async def tell() -> None:
        while True:
            await pushed.wait()
            pushed.clear()
            await one.link.say(EVENTS_OF_METERS, b"")

    return tell

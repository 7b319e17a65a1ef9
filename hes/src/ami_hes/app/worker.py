"""The role of `hes work`: it carries commands out at the meters that are its share, makes the answers that are complete with them, and is asked by nobody but those who want to know how it is."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from ami_hes import events
from ami_hes.app import beside, dispatching, status
from ami_hes.app.works import at_work
from ami_hes.settings import Settings
from ami_process.environment import Environment


@asynccontextmanager
async def opened(settings: Settings, environment: Environment) -> AsyncIterator[events.Ready]:
    """At work as long as this is entered. Raises ListenFailed and what `beside.opened` does."""
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(
            beside.opened(settings, environment, dispatching.engine_of_worker, what="a worker")
        )
        await one.context.engine.open()
        await stack.enter_async_context(at_work(*one.works))
        said = status.measured(one.setup, one.stores, one.south, one.context, "worker")
        listen = await stack.enter_async_context(status.opened(one.setup, one.stores, one.context, said))
        yield events.Ready(role="worker", listen=listen, datagram_buffer_octets=0, datagram_buffer_limited_by=None)

"""How replies and events reach those whom they are for: over HTTP, or into a directory."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial

from ami_hes import configured, events
from ami_hes.app.setup import Setup
from ami_hes.app.works import Task
from ami_hes.file_drop import FileDrop
from ami_hes.jobs import Backoff, Context, Redelivery, ReplySender
from ami_hes.outbox import Outbox
from ami_hes.reply_hosts import ReplyHosts
from ami_process.tls import client_context


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivering:
    """`hosts` are those that a reply may be sent to."""

    hosts: ReplyHosts
    drop: FileDrop
    begin_replies: Callable[[], ReplySender]
    redelivery: Redelivery

    @property
    def works(self) -> list[Task]:
        """What goes on; anew each time."""
        return [self.begin_replies().work]

    async def report_unusable(self, context: Context) -> None:
        """Once, at the start; a directory that goes away later is reported with each event that it does not take."""
        async for one in self.drop.unusable():
            context.emit(
                events.DirectoryUnusable(subscriber=one.subscriber, directory=str(one.directory), reason=one.reason)
            )


@asynccontextmanager
async def opened(setup: Setup, context: Context) -> AsyncIterator[Delivering]:
    """Nothing is delivered before its work goes on. Raises SettingsError for files of TLS."""
    settings, hes = setup.settings, setup.settings.hes
    hosts = configured.reply_hosts(settings)
    trusted = partial(client_context, hes.tls, "hes.tls", setup.environment.emit)
    drop = FileDrop(configured.directories(settings), hes.reply_timeout_s)
    backoff = Backoff(hes.reply_retry_first_s, hes.reply_retry_most_s, hes.reply_attempts_max)
    addresses = {one.name: one.address for one in configured.subscribers(settings, setup.partners.partners)}
    sealing, timeout_s = configured.sealing(settings, setup.environment), hes.reply_timeout_s
    async with Outbox.opened(hosts, setup.schemas, timeout_s=timeout_s, trusted=trusted, sealing=sealing) as outbox:
        with closing(drop):
            yield Delivering(
                hosts=hosts,
                drop=drop,
                begin_replies=partial(ReplySender, context, outbox, drop, backoff),
                redelivery=Redelivery(context, addresses, hes.keep_message_ids),
            )

"""What was posted, or given up, is posted again under the same MessageIDs: because its sender asks again, or an operator wants it.

It is owed from then on as if it had never been posted: as many attempts, as much time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from ami_hes.engine import ReplyJob
from ami_hes.jobs.context import Context

AT_ONCE = 500
"""That are owed again in one transaction."""
NOWHERE_ELSE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Redelivery:
    """Posts again, and drops. Every method raises StoreUnavailable; then some of it may be done."""

    context: Context
    addresses: Mapping[str, str]
    """Of subscribers, by name."""
    ids_kept: int
    """MessageIDs that are remembered of what is kept no more."""

    async def retry(self, message_ids: Sequence[str] | None = None) -> int:
        """Of dead letters (None: all); how many. Of an answer in parts those that were taken are not posted again."""
        return await owe_again(self.context, await self._dead(message_ids), addresses=self.addresses)

    async def replay(self, subscriber: str, since: datetime, until: datetime) -> int:
        """The events of a subscriber that were made in this time, whether they were taken or given up; how many."""
        events = await self.context.outgoing.published(subscriber, since, until)
        return await owe_again(self.context, events, whole=True, addresses=self.addresses)

    async def drop(self, message_ids: Sequence[str] | None = None) -> int:
        """Dead letters (None: all), which are kept no more: who asks again is refused. How many."""
        dead = await self._dead(message_ids)
        dropped = 0
        for first in range(0, len(dead), AT_ONCE):
            some = dead[first : first + AT_ONCE]
            dropped += await self.context.results.drop(some, ids_kept=self.ids_kept)
        return dropped

    async def _dead(self, message_ids: Sequence[str] | None) -> list[str]:
        wanted = None if message_ids is None else frozenset(message_ids)
        return [one for one in await self.context.outgoing.dead_letters() if wanted is None or one in wanted]


async def owe_again(
    context: Context, message_ids: Sequence[str], *, whole: bool = False, addresses: Mapping[str, str] = NOWHERE_ELSE
) -> int:
    """What of these was taken or given up is owed again, `whole` or from the first part on that was not taken; how many."""
    again = 0
    for first in range(0, len(message_ids), AT_ONCE):
        now = context.now()
        some = message_ids[first : first + AT_ONCE]
        owed = await context.outgoing.owe_again(some, now, whole=whole, addresses=addresses)
        jobs = [ReplyJob(one.request_id, one.address, now + context.reply_age) for one in owed]
        await context.engine.replies.put(jobs)
        again += len(jobs)
    return again

"""The engine of a single process: dispatch in memory beside the store, and what an earlier life left open put again at its start.

Recovery is this engine's own, since its queues are lost with the process (`ami_hes.engine.recovery`).
"""

from collections.abc import Collection, Sequence
from datetime import timedelta

from ami_hes.commands import CommandJob
from ami_hes.engine.charge import Charge
from ami_hes.engine.dialled_in_port import AloneHere
from ami_hes.engine.memory_commands import MemoryCommands
from ami_hes.engine.memory_events import MemoryEvents
from ami_hes.engine.memory_queue import MemoryQueue
from ami_hes.engine.ports import ANSWERED, GroupOf, Meterless, ReplyJob, never_meterless, no_group
from ami_hes.engine.recovery import Recovery
from ami_hes.engine.stored_answers import StoredAnswers
from ami_hes.store import Deliveries, Results
from ami_process.environment import Environment


class EmbeddedEngine:
    """The Engine port."""

    def __init__(
        self,
        results: Results,
        deliveries: Deliveries,
        environment: Environment,
        *,
        reply_age: timedelta,
        look_every_s: float,
        group_of: GroupOf = no_group,
        meterless: Meterless = never_meterless,
    ) -> None:
        self.commands = MemoryCommands(group_of, meterless)
        self.replies: MemoryQueue[ReplyJob] = MemoryQueue()
        self.answers = StoredAnswers(results, look_every_s=look_every_s)
        self.events = MemoryEvents()
        self.charge = Charge()
        self.claims = AloneHere()
        self.events.listen(ANSWERED, self.answers.announce)
        self._recovery = Recovery(
            results, deliveries, environment.emit, reply_age, self._restore, self._restore_replies
        )

    async def open(self) -> None:
        """Nothing has to be done for it."""

    async def recover(self, paced: Collection[str] = ()) -> None:
        await self._recovery.all_of_it(paced)

    async def _restore(self, jobs: Sequence[CommandJob]) -> None:
        self.commands.restore(jobs)

    async def _restore_replies(self, jobs: Sequence[ReplyJob]) -> None:
        self.replies.restore(jobs)

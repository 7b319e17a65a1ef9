"""Taking back what other processes have in their lanes: the owner of each partition is asked for it, and what nobody has is taken at once.

The owner gives up what is in no hand there, and is sent it again if who asked does not end it in time. Where nobody answers by the name of a
partition nobody works it. An owner may die, or give its partition away, while it is asked; then there is neither an answer nor the word that nobody
is there, so it is asked again. Whoever is wrong about who has a command: what was attempted is not taken back, and what was taken back is not attempted
any more (`Results.take_back`, `Results.attempt`).
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass

from ami_hes.commands import CommandJob
from ami_hes.engine.nats_link import EngineUnavailable, NatsLink
from ami_hes.engine.partitions import DIALLED_IN
from ami_hes.store import StoredCommand
from ami_process.environment import real_sleep, real_time, real_timer

ASK_AGAIN_S = 1.0
ASKED_WITHIN_S = 10.0
"""After which what nobody has answered for counts as under way."""
AT_ONCE = 500
"""Commands that are asked for by one message."""
ENDED_WITHIN_S = 60.0
"""After which the owner goes on with what it has given up and nobody has ended."""
MOST_OCTETS = 1_000_000

OpenCommands = Callable[[str], Awaitable[Sequence[StoredCommand]]]


def owner_of(partition: int) -> str:
    """The name by which it is asked."""
    return f"partition.{partition}"


@dataclass(frozen=True, slots=True)
class Asked:
    """Commands of a request that their owner is asked to give up, or has given up."""

    request_id: str
    meters: tuple[str, ...]

    def format(self) -> bytes:
        return json.dumps({"request": self.request_id, "meters": self.meters}).encode()

    @classmethod
    def parse(cls, octets: bytes) -> "Asked":
        """Raises ValueError for what names no commands."""
        try:
            said = json.loads(octets[:MOST_OCTETS])
            return cls(str(said["request"]), tuple(str(one) for one in said["meters"][:AT_ONCE]))
        except (ValueError, KeyError, TypeError) as problem:
            raise ValueError("no commands are named") from problem


@dataclass(eq=False, slots=True)
class TakenBack:
    """The CommandDelivery port: a command that another process had, or nobody."""

    job: CommandJob
    partition: int
    link: NatsLink
    put_again: Callable[[CommandJob], Coroutine[None, None, None]]
    redelivered: bool = True
    attempts: int = 1
    waited_s: float = 0.0
    meterless: bool = False

    async def done(self) -> None:
        await self.link.remove(self.partition, self.job)

    async def free_meter(self) -> None:
        pass

    async def needs_meter(self) -> None:
        await self.put_again(self.job)

    async def afresh(self, after_s: float) -> None:
        await self.again(after_s)

    async def again(self, after_s: float) -> None:
        def put() -> None:
            self.link.begin(self.put_again(self.job))

        real_timer(real_time() + after_s, put)


@dataclass(frozen=True, slots=True)
class TakingBack:
    """Asks whoever has them."""

    link: NatsLink
    partition_of: Callable[[CommandJob], int]
    open_commands: OpenCommands
    put_again: Callable[[CommandJob], Coroutine[None, None, None]]

    async def take_back(
        self, request_id: str, owned: Collection[int], unsent: Collection[str], here: Collection[tuple[str, str]]
    ) -> list[TakenBack]:
        """Those of a request that are in no hand; what is in partitions that this process owns, or `here`, is left to it. Raises StoreUnavailable.

        Those for `unsent` meters have not left this process. Of meters that dial in nobody is asked: any listener may have what was handed to it, and
        the store knows what was attempted.
        """
        by_partition: dict[int, list[StoredCommand]] = defaultdict(list)
        given_up: list[TakenBack] = []
        for command in await self.open_commands(request_id):
            number = self.partition_of(command.job)
            if command.job.subject in unsent:
                given_up.append(TakenBack(command.job, number, self.link, self.put_again))
            elif number == DIALLED_IN:
                if not command.attempted and (request_id, command.job.subject) not in here:
                    given_up.append(TakenBack(command.job, number, self.link, self.put_again))
            elif number not in owned:
                by_partition[number].append(command)
        for some in await asyncio.gather(*(self._of(one, theirs) for one, theirs in by_partition.items())):
            given_up += some
        return given_up

    async def _of(self, number: int, commands: Sequence[StoredCommand]) -> list[TakenBack]:
        given_up: list[TakenBack] = []
        for first in range(0, len(commands), AT_ONCE):
            some = commands[first : first + AT_ONCE]
            names = await self._given_up(number, some)
            given_up += [
                TakenBack(one.job, number, self.link, self.put_again) for one in some if one.job.subject in names
            ]
        return given_up

    async def _given_up(self, number: int, commands: Sequence[StoredCommand]) -> Collection[str]:
        """By what their meters are called."""
        asked = Asked(commands[0].job.request_id, tuple(one.job.subject for one in commands))
        until = real_time() + ASKED_WITHIN_S
        while real_time() < until:
            try:
                said = await self.link.ask(owner_of(number), asked.format(), ASK_AGAIN_S)
                if said is None:
                    return {one.job.subject for one in commands if not one.attempted}
                return frozenset(Asked.parse(said).meters)
            except EngineUnavailable:  # whoever was asked may have ended right then
                await real_sleep(0)
            except ValueError:
                break
        return ()

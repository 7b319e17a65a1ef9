"""The connection to NATS: one stream of JetStream for each lane, what is said to all processes, and what is asked of the server.

A message in a stream names a command and says nothing of it: what is to be done is in the store. A command has a subject of its own in
its lane's stream, which takes one message for each subject (`discard_new_per_subject`), so the same command twice counts once for as long
as it is there. A stream is a work queue: what is acknowledged is gone.

Needs nats-py, which comes with the extra `scale`, and is imported nowhere else.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ami_hes import events
from ami_hes.commands import CommandJob, Lane
from ami_process.environment import real_sleep
from ami_process.events import Emit
from ami_process.store.errors import StoreUnavailable, StoreUnusable

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.js import JetStreamContext
    from nats.js.api import StreamConfig

CONNECT_WITHIN_S = 10.0
"""At the start; later it is tried for ever."""
ANSWER_WITHIN_S = 5.0
AGAIN_S = 0.5
AGREED_AFTER = 60
"""At the start so many refusals count for nothing: servers that have just begun to agree with each other make no stream until they do."""
ACK_WAIT_S = 1_800.0
"""After which the server sends a message again that was not acknowledged. What a dead worker had comes to another one as soon as that takes its partitions."""
INACTIVE_S = 60.0
AT_ONCE = 256
"""Messages that are published together."""
OCTETS_OF_ONE, LEAST_OCTETS = 512, 1_000_000
"""Of the disk that a stream may take: for a message, which names a request and a meter, and in all."""
_NOT_STORED = 10077
"""Of JetStream: a stream did not take a message, since it is full, or has one of this subject."""
_PER_SUBJECT = "per subject"
"""The text tells the two apart, and nothing else does."""
_NO_STREAM, _NO_CONSUMER = 10059, 10014


class EngineUnavailable(StoreUnavailable):
    """The server can't be reached now; the text is for a person."""


class StreamFull(EngineUnavailable):
    """A stream takes no more now; others may."""


@dataclass(frozen=True, slots=True)
class NatsAddress:
    """Where the servers are, and the name of this system among those that share them."""

    servers: tuple[str, ...]
    system: str
    user: str | None = None
    room: Mapping[Lane, int] = field(default_factory=dict)
    """How many commands the stream of a lane takes at most; more are refused by the server. None: any number."""
    password: str | None = field(default=None, repr=False)
    replicas: int = 1
    """Servers that keep each stream."""
    tls: ssl.SSLContext | None = field(default=None, repr=False)


class Standing(NamedTuple):
    """How a stream stands: another moment, or fewer messages that ever were in it, and it is not the one that it was."""

    created_at: datetime | None
    last: int


class Arrived(NamedTuple):
    """A message that names a command."""

    request_id: str
    meter_name: str
    lane: Lane
    partition: int
    sequence: int
    """In the stream of its lane."""
    again: bool
    """Whether a worker may have had the command in hand before."""
    message: "Msg"

    @property
    def key(self) -> tuple[str, str]:
        return self.request_id, self.meter_name


def _nothing(_: CommandJob) -> None:
    """Who publishes does not want to know."""


def _reason(problem: BaseException) -> str:
    return str(problem) or type(problem).__name__


class NatsLink:
    """The connection; made by `opened`."""

    def __init__(self, client: "Client", address: NatsAddress, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._works: set[asyncio.Task[None]] = set()
        self._client = client
        self._address = address
        self._js: JetStreamContext = client.jetstream(timeout=ANSWER_WITHIN_S)
        self._inbox = client.new_inbox()
        self._consumers: dict[Lane, str] = {}
        self.arriving: asyncio.Queue[Msg] = asyncio.Queue()
        """What the server has sent of the partitions that were subscribed to."""
        self.came_back = asyncio.Event()
        """The connection was lost and is there again: what was under way meanwhile may be lost."""

    @classmethod
    @asynccontextmanager
    async def opened(cls, address: NatsAddress, emit: Emit) -> AsyncIterator[Self]:
        """Connected, with the streams made where there were none. Raises EngineUnavailable, and StoreUnusable without nats-py."""
        try:
            from nats import connect
        except ModuleNotFoundError:
            raise StoreUnusable("hes.engine needs nats-py, which the extra [scale] installs") from None
        said: list[NatsLink] = []
        client = await _connected(connect, address, _Reports(emit, ",".join(address.servers), said))
        problem: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as group:
                link = cls(client, address, group)
                said.append(link)
                try:
                    await client.subscribe(link._inbox, cb=link.arriving.put)
                    await link._make_streams_soon()
                    yield link
                finally:
                    await link._end()
        except BaseExceptionGroup as ended:  # what was done inside has failed by itself, or a work has ended it
            problem = ended.exceptions[0]
        finally:
            with suppress(OSError):  # what it still says to a server that is gone
                await client.close()
        if problem is not None:
            raise problem

    def begin(self, *works: Coroutine[None, None, None]) -> None:
        """Work that goes on as long as the connection is open; if any of it ends with a fault, everything ends."""
        for one in works:
            task = self._group.create_task(one)
            self._works.add(task)
            task.add_done_callback(self._works.discard)

    async def _end(self) -> None:
        """The client waits by `asyncio.wait_for`, which before Python 3.12 forgets to be cancelled when what it waits for comes at that moment."""
        while self._works:
            for one in self._works:
                one.cancel()
            await asyncio.wait(self._works, timeout=AGAIN_S)

    async def _make_streams_soon(self) -> None:
        for _ in range(AGREED_AFTER if self._address.replicas > 1 else 0):
            try:
                await self.make_streams()
                return
            except EngineUnavailable:
                await real_sleep(AGAIN_S)
        await self.make_streams()

    async def make_streams(self) -> bool:
        """Those that are not there, and no fewer replicas and the room that are wanted of those that are; whether there were any to make. Raises EngineUnavailable."""
        made = False
        with _unavailable():
            for lane in Lane:
                try:
                    info = await self._js.stream_info(self._stream(lane))
                except _errors().NotFoundError:
                    await self._js.add_stream(self._config(lane))
                    made = True
                else:
                    if self._differs(info.config, self._config(lane)):
                        await self._js.update_stream(self._config(lane))
        return made

    @staticmethod
    def _differs(there: "StreamConfig", wanted: "StreamConfig") -> bool:
        """Replicas that an operator has added stay."""
        return (there.num_replicas or 1) < (wanted.num_replicas or 1) or there.max_msgs != wanted.max_msgs

    def _config(self, lane: Lane) -> "StreamConfig":
        from nats.js import api

        most = self._address.room.get(lane)
        return api.StreamConfig(
            name=self._stream(lane),
            max_msgs=-1 if most is None else most,
            max_bytes=-1 if most is None else max(LEAST_OCTETS, most * OCTETS_OF_ONE),
            subjects=[f"{self._address.system}.{lane}.>"],
            retention=api.RetentionPolicy.WORK_QUEUE,
            storage=api.StorageType.FILE,
            discard=api.DiscardPolicy.NEW,
            num_replicas=self._address.replicas,
            max_msgs_per_subject=1,
            discard_new_per_subject=True,
        )

    async def publish(
        self, jobs: Sequence[tuple[int, CommandJob]], *, again: bool, taken: Callable[[CommandJob], None] = _nothing
    ) -> dict[Lane, int]:
        """Name these commands, each in its partition; where the last of each lane is in its stream. `taken` is called with each that is there.

        Raises EngineUnavailable, and then others may be there as well.
        """
        last: dict[Lane, int] = {}
        with _unavailable():
            for first in range(0, len(jobs), AT_ONCE):
                part = jobs[first : first + AT_ONCE]
                named = await asyncio.gather(*(self._name(*one, again) for one in part), return_exceptions=True)
                for (_, job), sequence in zip(part, named, strict=True):
                    if isinstance(sequence, int):
                        last[job.lane] = max(last.get(job.lane, 0), sequence)
                        taken(job)
                for problem in named:
                    if isinstance(problem, BaseException):
                        raise problem
        return last

    async def _name(self, partition: int, job: CommandJob, again: bool) -> int:
        subject = self._subject(partition, job)
        body = {"request": job.request_id, "meter": job.subject} | ({"again": True} if again else {})
        try:
            return (await self._js.publish(subject, json.dumps(body).encode())).seq
        except _errors().APIError as refusal:
            if refusal.err_code != _NOT_STORED:
                raise
            if _PER_SUBJECT not in (refusal.description or ""):
                raise StreamFull(f"the lane {job.lane} is full: {refusal.description}") from None
            return 0  # it is there

    def _subject(self, partition: int, job: CommandJob) -> str:
        return f"{self._address.system}.{job.lane}.{partition}.{_token(job.request_id)}.{_token(job.subject)}"

    async def remove(self, partition: int, job: CommandJob) -> None:
        """It is gone from its stream, whoever was sent it; one that could not be removed comes again, and the store knows what came of it."""
        with suppress(EngineUnavailable), _unavailable():
            await self._js.purge_stream(self._stream(job.lane), subject=self._subject(partition, job))

    async def waiting(self, lane: Lane) -> int:
        """How many commands of a lane are in its stream: not done, whoever has them. Raises EngineUnavailable, at once where there is no connection."""
        if not self._client.is_connected:
            raise EngineUnavailable("the dispatch by NATS can't be reached now: there is no connection")
        with _unavailable():
            return (await self._js.stream_info(self._stream(lane))).state.messages

    async def standing(self) -> dict[Lane, Standing]:
        """Of the stream of each lane. Raises EngineUnavailable."""
        with _unavailable():
            found = {lane: await self._js.stream_info(self._stream(lane)) for lane in Lane}
        return {lane: Standing(one.created, one.state.last_seq) for lane, one in found.items()}

    async def subscribe(self, partitions: Collection[int]) -> None:
        """Have the server send what is there of these, from the beginning on and from now on, and nothing else.

        Who had any of them is sent nothing any more. Raises EngineUnavailable.
        """
        with _unavailable():
            for lane in Lane:
                stream, filters = self._stream(lane), {f"{self._address.system}.{lane}.{one}.>" for one in partitions}
                await self._take_over(stream, lane, filters)
                if filters:
                    await self._consume(stream, lane, filters)

    async def _take_over(self, stream: str, lane: Lane, filters: Collection[str]) -> None:
        mine = self._consumers.pop(lane, None)
        for one in await self._js.consumers_info(stream):
            theirs = {one.config.filter_subject, *(one.config.filter_subjects or ())}
            if one.name == mine or theirs.intersection(filters):
                with suppress(_errors().NotFoundError):
                    await self._js.delete_consumer(stream, one.name)

    async def _consume(self, stream: str, lane: Lane, filters: Collection[str]) -> None:
        from nats.js import api

        name = sha256(f"{self._inbox} {self._client.new_inbox()}".encode()).hexdigest()[:20]
        config = api.ConsumerConfig(
            name=name,
            deliver_subject=self._inbox,
            filter_subjects=sorted(filters),
            ack_policy=api.AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT_S,
            max_ack_pending=-1,
            inactive_threshold=INACTIVE_S,
        )
        await self._js.add_consumer(stream, config)
        self._consumers[lane] = name

    async def is_subscribed(self) -> bool:
        """Whether the server still knows what was asked of it; False where streams are gone. Raises EngineUnavailable."""
        with _unavailable():
            try:
                for lane, name in self._consumers.items():
                    await self._js.consumer_info(self._stream(lane), name)
            except _errors().NotFoundError:
                return False
        return True

    async def say(self, topic: str, body: bytes) -> None:
        """To all processes that listen now, this one included. Nobody is told later: it is a hint, and the store has the truth."""
        with suppress(EngineUnavailable), _unavailable():
            await self._client.publish(f"{self._address.system}.said.{topic}", body)

    async def listen(self, topic: str, heard: Callable[[bytes], Awaitable[None]]) -> None:
        """Have it called with what is said from now on."""

        async def take(message: "Msg") -> None:
            await heard(message.data)

        with _unavailable():
            await self._client.subscribe(f"{self._address.system}.said.{topic}", cb=take)
            await self._client.flush()

    async def ask(self, whom: str, body: bytes, within_s: float) -> bytes | None:
        """What the one process says that answers by this name (`answer`), or None where there is none, which shows at once.

        Raises EngineUnavailable, also where there is no answer in time: it may have ended right then, so ask again.
        """
        with _unavailable():
            try:
                return (await self._client.request(f"{self._address.system}.asked.{whom}", body, timeout=within_s)).data
            except _no_responders():
                return None

    async def answer(
        self, name: str, asked: Callable[[bytes], Awaitable[bytes | None]]
    ) -> Callable[[], Awaitable[None]]:
        """Answer what is asked of this name from now on, each in a task of its own, so that one that takes long keeps no other back.

        What is given back ends it. None is no answer: who has asked asks again, and perhaps another process.
        """

        async def reply(message: "Msg") -> None:
            said = await asked(message.data)
            with suppress(EngineUnavailable), _unavailable():
                if said is not None:
                    await message.respond(said)

        async def take(message: "Msg") -> None:
            if message.reply:
                self.begin(reply(message))

        with _unavailable():
            subscription = await self._client.subscribe(f"{self._address.system}.asked.{name}", cb=take)
            await self._client.flush()

        async def stop() -> None:
            with suppress(EngineUnavailable), _unavailable():
                await subscription.unsubscribe()

        return stop

    def _stream(self, lane: Lane) -> str:
        return f"{self._address.system}-{lane}"


def read(message: "Msg") -> Arrived | None:
    """What a message names; None for what is none of ours."""
    try:
        body = json.loads(message.data)
        _, lane, partition, *_ = message.subject.split(".")
        sequence, delivered = message.metadata.sequence.stream, message.metadata.num_delivered
        again = bool(body.get("again")) or delivered > 1
        return Arrived(str(body["request"]), str(body["meter"]), Lane(lane), int(partition), sequence, again, message)
    except (ValueError, KeyError, AttributeError, TypeError):
        return None


async def send_again(message: "Msg", after_s: float) -> None:
    """It comes again then, unless it is removed before."""
    with suppress(EngineUnavailable), _unavailable():
        await message.nak(delay=after_s)


async def acknowledge(message: "Msg") -> None:
    """It is gone from its stream; one that could not be acknowledged comes again, and the store knows what came of it."""
    with suppress(EngineUnavailable), _unavailable():
        await message.ack()


@dataclass(slots=True)
class _Reports:
    """What becomes of the connection, once each time."""

    emit: Emit
    servers: str
    links: list[NatsLink]
    is_out: bool = False

    async def lost(self) -> None:
        if not self.is_out:
            self.is_out = True
            self.emit(events.EngineOutage(servers=self.servers, reason="the connection was lost"))

    async def back(self) -> None:
        self.is_out = False
        self.emit(events.EngineOutageEnded(servers=self.servers))
        for link in self.links:
            link.came_back.set()

    async def failed(self, _: Exception) -> None:
        """What it means for us is said by `lost`, or by who has asked in vain."""


async def _connected(connect: Any, address: NatsAddress, reports: _Reports) -> "Client":
    options: dict[str, Any] = {"tls": address.tls} if address.tls is not None else {}
    if address.user is not None:
        options |= {"user": address.user, "password": address.password}
    try:
        async with asyncio.timeout(CONNECT_WITHIN_S):
            client: Client = await connect(
                servers=list(address.servers),
                name="ami-hes",
                connect_timeout=2,
                reconnect_time_wait=AGAIN_S,
                max_reconnect_attempts=-1,
                ping_interval=5,
                max_outstanding_pings=2,
                disconnected_cb=reports.lost,
                reconnected_cb=reports.back,
                error_cb=reports.failed,
                **options,
            )
            return client
    except Exception as problem:
        if not isinstance(problem, (OSError, TimeoutError, _all_errors())):
            raise
        raise EngineUnavailable(
            f"hes.engine: no server of NATS answers at {reports.servers}: {_reason(problem)}"
        ) from None


def _token(text: str) -> str:
    """For a subject, where names may have anything in them."""
    return sha256(text.encode()).hexdigest()[:24]


def _errors() -> Any:
    from nats.js import errors

    return errors


def _no_responders() -> type[Exception]:
    from nats.errors import NoRespondersError

    return NoRespondersError


def _all_errors() -> type[Exception]:
    from nats.errors import Error

    return Error


class _unavailable:
    """What the client raises becomes EngineUnavailable."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, problem: BaseException | None, __: object) -> None:
        if isinstance(problem, (OSError, TimeoutError, _all_errors())):
            raise EngineUnavailable(f"the dispatch by NATS can't be reached now: {_reason(problem)}") from None


async def patiently(work: Callable[[], Awaitable[Any]]) -> Any:
    """A server or a store that is unavailable for a while is waited for."""
    while True:
        try:
            return await work()
        except StoreUnavailable:
            await real_sleep(AGAIN_S)

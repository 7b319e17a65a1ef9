"""A session of a client with a meter, written once for every driver and without I/O.

Two procedures, each a generator of steps. The driver carries a step out, be it with asyncio or with a blocking socket, and
sends back what came of it; what goes wrong it throws in, as an exception of its own.

`exchange` asks one thing over an association: octets out, octets in, until the answer is there. `opening` is the way to an
association: the public client where it is needed, the identity, the invocation counter, the association itself, once more
with the counter that the meter demands, and once more over a new connection where the meter hangs up after a release.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from enum import Enum
from typing import Any, NamedTuple, TypeVar

from ami_dlms.association.client.connection import ClientConnection
from ami_dlms.association.events import ClientOutput, EventNotified, InformationReported, Notified, Request
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.framing.line import Line
from ami_dlms.obis import Obis

PUBLIC_CLIENT = 16
VALUE = 2
LOGICAL_DEVICE_NAME = AttributeDescriptor(1, Obis.parse("0-0:42.0.0*255"), VALUE)
UNSOLICITED = (Notified, EventNotified, InformationReported)
Unsolicited = Notified | EventNotified | InformationReported
R = TypeVar("R")
S = TypeVar("S")
Steps = Generator[S, Any, R]


# --- one exchange


class TopUp(NamedTuple):
    """Invocation counters are about to be used: see that there are enough."""


class Write(NamedTuple):
    """Octets for the link; `first` are those of the request itself."""

    octets: bytes
    first: bool = False


class Read(NamedTuple):
    """Whatever comes, as bytes; None when nothing came within the line's time."""


class Tell(NamedTuple):
    """The meter said something unasked."""

    event: Unsolicited


ExchangeStep = TopUp | Write | Read | Tell


def exchange(connection: ClientConnection, line: Line, request: Request) -> Steps[ExchangeStep, ClientOutput]:
    """Ask, and return the answer. TimeoutError when none comes; DlmsError as the connection raises it."""
    yield TopUp()
    line.begin()
    yield Write(connection.send(request), first=True)
    return (yield from answer(connection, line))


def answer(connection: ClientConnection, line: Line) -> Steps[ExchangeStep, ClientOutput]:
    """The answer to what was asked before."""
    while True:
        while (event := connection.next_event()) is None:
            if octets := connection.data_to_send():
                yield TopUp()
                yield Write(octets)
            received: bytes | None = yield Read()
            if received is None:
                yield Write(_asked_again(line))
            else:
                line.heard(received)
                connection.receive_data(received)
        if not isinstance(event, UNSOLICITED):
            if octets := connection.data_to_send():
                yield Write(octets)
            return event
        yield Tell(event)


def hang_up(line: Line) -> Steps[ExchangeStep, None]:
    """Take down the data link under an association that has been released."""
    if not line.is_up:
        return
    yield Write(line.take_down())
    while line.is_up:
        received: bytes | None = yield Read()
        if received is None:
            return
        line.framing.receive_data(received)
        line.framing.next_pdu()


def _asked_again(line: Line) -> bytes:
    octets = line.ask_again()
    if not octets:
        raise TimeoutError("no answer in time")
    return octets


# --- the way to an association


class Wanted(NamedTuple):
    """What the public client is asked: who answers, the counter in this object, or something of the driver's own.

    With none of them it is not opened at all.
    """

    name: bool = False
    counter: Obis | None = None
    visit: bool = False


class OpenPublic(NamedTuple):
    """Open the association of the public client."""


class ReadPublic(NamedTuple):
    """Read an attribute over it; the value."""

    descriptor: AttributeDescriptor


class Identify(NamedTuple):
    """Compare the logical device name with the one that is expected; what differs is raised."""

    name: Data


class CountFrom(NamedTuple):
    """The number in the counter object's value; what is none is raised."""

    value: Data


class Visit(NamedTuple):
    """Do over the public association whatever else there is to do."""


class ReleasePublic(NamedTuple):
    """Release it."""


class OpenManagement(NamedTuple):
    """Open the association that is wanted, with invocation counters from `at_least` on."""

    at_least: int


class Reconnect(NamedTuple):
    """Give the connection up, and call again."""


OpeningStep = OpenPublic | ReadPublic | Identify | CountFrom | Visit | ReleasePublic | OpenManagement | Reconnect


class Trouble(Enum):
    """What an exception of the driver's means here."""

    LOST = "the connection has come to an end"
    OTHER = "anything else"


Judge = Callable[[Exception], Trouble | int]
"""The sense of an exception; a number is the lowest invocation counter that the meter says it takes."""


def opening(wanted: Wanted, judge: Judge) -> Steps[OpeningStep, None]:
    """Everything up to the open association; the last exception of the driver when it can't be had."""
    at_least, released = 0, False
    if wanted.name or wanted.counter is not None or wanted.visit:
        at_least, released = yield from _ask_public(wanted)
    try:
        yield from _open_management(at_least, judge)
    except Exception as error:
        if not released or judge(error) is not Trouble.LOST:
            raise
        yield Reconnect()
        yield from _open_management(at_least, judge)


def _open_management(at_least: int, judge: Judge) -> Steps[OpeningStep, None]:
    """A meter that demands a higher counter than it told is asked once more with the one that it demands."""
    try:
        yield OpenManagement(at_least)
    except Exception as error:
        demanded = judge(error)
        if isinstance(demanded, Trouble) or demanded <= at_least:
            raise
        yield OpenManagement(demanded)


def _ask_public(wanted: Wanted) -> Steps[OpeningStep, tuple[int, bool]]:
    """The lowest counter that the meter takes, and whether an association was released; what nobody needs may fail."""
    at_least = 0
    try:
        yield OpenPublic()
        if wanted.name:
            name: Data = yield ReadPublic(LOGICAL_DEVICE_NAME)
            yield Identify(name)
        if wanted.counter is not None:
            value: Data = yield ReadPublic(AttributeDescriptor(1, wanted.counter, VALUE))
            count: int = yield CountFrom(value)
            at_least = count + 1
    except Exception:
        if wanted.name or wanted.counter is not None:
            raise
        yield Reconnect()
        return 0, False
    if wanted.visit:
        yield Visit()
    yield ReleasePublic()
    return at_least, True


def count_of(value: Data) -> int | None:
    """The number that an invocation counter object holds; None when it holds something else."""
    found = value.value
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else None


# --- drivers


def run(steps: Steps[S, R], perform: Callable[[S], Any]) -> R:
    """Carry the steps out, one by one."""
    try:
        step = next(steps)
        while True:
            try:
                done = perform(step)
            except Exception as error:  # noqa: BLE001 - thrown in, and out again if nothing there takes it
                step = steps.throw(error)
            else:
                step = steps.send(done)
    except StopIteration as end:
        found: R = end.value
        return found


async def run_async(steps: Steps[S, R], perform: Callable[[S], Awaitable[Any]]) -> R:
    """The same where steps are awaited."""
    try:
        step = next(steps)
        while True:
            try:
                done = await perform(step)
            except Exception as error:  # noqa: BLE001
                step = steps.throw(error)
            else:
                step = steps.send(done)
    except StopIteration as end:
        found: R = end.value
        return found

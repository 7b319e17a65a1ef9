"""One request until its answer, written once for every driver and without I/O.

`exchange` is a generator of steps. The driver (`run`, `run_async`) carries a step out, be it with asyncio or with a blocking
socket, and sends back what came of it; what goes wrong it throws in, as an exception of its own. The way to an association is
a generator of the same kind: `session`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from types import CoroutineType
from typing import Any, NamedTuple, TypeVar

from ami_dlms.association.client.connection import ClientConnection
from ami_dlms.association.events import ClientOutput, EventNotified, InformationReported, Notified, Opened, Request
from ami_dlms.association.settings import MAX_PDU_SIZE
from ami_dlms.enums import Conformance
from ami_dlms.framing.line import Line

LIST_ITEM_OCTETS = 10
AROUND_A_LIST = 80
"""Octets of a request that are not its items: its own head, and the longest protection around it."""
UNSOLICITED = (Notified, EventNotified, InformationReported)
Unsolicited = Notified | EventNotified | InformationReported
R = TypeVar("R")
S = TypeVar("S")
Steps = Generator[S, Any, R]


class TopUp(NamedTuple):
    """Invocation counters are about to be used: see that there are enough."""


class WriteLink(NamedTuple):
    """Octets for the link; `first` are those of the request itself."""

    octets: bytes
    first: bool = False


class ReadLink(NamedTuple):
    """Whatever comes, as bytes; None when nothing came within the line's time."""


class Tell(NamedTuple):
    """The meter said something unasked."""

    event: Unsolicited


ExchangeStep = TopUp | WriteLink | ReadLink | Tell


def exchange(connection: ClientConnection, line: Line, request: Request) -> Steps[ExchangeStep, ClientOutput]:
    """Ask, and return the answer. TimeoutError when none comes; DlmsError as the connection raises it."""
    yield TopUp()
    line.begin()
    yield WriteLink(connection.send(request), first=True)
    return (yield from answer(connection, line))


def answer(connection: ClientConnection, line: Line) -> Steps[ExchangeStep, ClientOutput]:
    """The answer to what was asked before."""
    while True:
        while (event := connection.next_event()) is None:
            if octets := connection.data_to_send():
                yield TopUp()
                yield WriteLink(octets)
            elif octets := line.go_on():
                yield WriteLink(octets)
            received: bytes | None = yield ReadLink()
            if received is None:
                yield WriteLink(_asked_again(line))
            else:
                line.heard(received)
                connection.receive_data(received)
        if not isinstance(event, UNSOLICITED):
            if octets := connection.data_to_send():
                yield WriteLink(octets)
            return event
        yield Tell(event)


def hang_up(line: Line) -> Steps[ExchangeStep, None]:
    """Take down the data link under an association that has been released."""
    if not line.is_up:
        return
    yield WriteLink(line.take_down())
    while line.is_up:
        received: bytes | None = yield ReadLink()
        if received is None:
            return
        line.framing.receive_data(received)
        line.framing.next_pdu()


def _asked_again(line: Line) -> bytes:
    octets = line.ask_again()
    if not octets:
        raise TimeoutError
    return octets


def most_in_a_list(opened: Opened) -> int:
    """How many attributes one request of the agreed size can name; 0 when lists were not agreed."""
    if not int(opened.conformance) & int(Conformance.MULTIPLE_REFERENCES):
        return 0
    size = opened.server_max_receive_pdu_size or MAX_PDU_SIZE
    return max(size - AROUND_A_LIST, 0) // LIST_ITEM_OCTETS


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


async def run_async(steps: Steps[S, R], perform: Callable[[S], Any]) -> R:
    """The same where steps may have to be awaited: `perform` gives what came of one, or a coroutine of it."""
    try:
        step = next(steps)
        while True:
            try:
                done = perform(step)
                if type(done) is CoroutineType:
                    done = await done
            except Exception as error:  # noqa: BLE001
                step = steps.throw(error)
            else:
                step = steps.send(done)
    except StopIteration as end:
        found: R = end.value
        return found

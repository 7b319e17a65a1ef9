"""The way to an association, written once for every driver and without I/O: a generator of steps (`steps`).

The public client where it is needed, the identity, the invocation counter, the association itself, once more with the counter
that the meter demands, and once more over a new connection where the meter hangs up after a release. When the public client is
needed: docs/adr/0016.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple, TypeVar

from ami_dlms.association.client.steps import Steps
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.obis import Obis

PUBLIC_CLIENT = 16
VALUE = 2
LOGICAL_DEVICE_NAME = AttributeDescriptor(1, Obis.parse("0-0:42.0.0*255"), VALUE)
R = TypeVar("R")


class PublicReads(NamedTuple):
    """What the public client is asked: who answers, the counter in this object, or something of the driver's own.

    With none of them it is not opened at all. With `known` it is asked only when the association can't be opened without: the
    counter was right the last time, and the meter proves by its keys who it is.
    """

    name: bool = False
    counter: Obis | None = None
    visit: bool = False
    known: bool = False


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


class IsNews(NamedTuple):
    """Whether this counter is above what the association was tried with."""

    at_least: int


class Reconnect(NamedTuple):
    """Give the connection up, and call again."""


OpeningStep = (
    OpenPublic | ReadPublic | Identify | CountFrom | Visit | ReleasePublic | OpenManagement | IsNews | Reconnect
)


class Trouble(Enum):
    """What an exception of the driver's means here."""

    LOST = "the connection has come to an end"
    REFUSED = "the meter answers, and does not open the association"
    OTHER = "anything else"


Judge = Callable[[Exception], Trouble | int]
"""The sense of an exception; a number is the lowest invocation counter that the meter says it takes."""


def opening(wanted: PublicReads, judge: Judge) -> Steps[OpeningStep, None]:
    """Everything up to the open association; the last exception of the driver when it can't be had."""
    if not wanted.known:
        yield from _open_asking_first(wanted, judge)
        return
    try:
        yield from _open_management(0, judge)
    except Exception as error:
        sense = judge(error)
        if sense is Trouble.OTHER:
            raise
        if sense is Trouble.LOST:
            yield Reconnect()
            yield from _open_asking_first(wanted, judge)
        else:
            yield from _open_after(error, wanted, judge)


def _open_after(refusal: Exception, wanted: PublicReads, judge: Judge) -> Steps[OpeningStep, None]:
    """Ask the public client who it is that refuses, and try once more when the counter was the reason."""
    asked = _ask_public(wanted)
    at_least, _ = yield from _or_else(refusal, asked)
    if not (yield IsNews(at_least)):
        raise refusal
    yield OpenManagement(at_least)


def _or_else(refusal: Exception, asked: Steps[OpeningStep, R]) -> Steps[OpeningStep, R]:
    """The same steps; where the public client is refused as well, the first refusal is what counts."""
    step = next(asked)
    while True:
        try:
            done = yield step
        except Exception as error:
            if isinstance(step, Identify):
                raise
            raise refusal from error
        try:
            step = asked.send(done)
        except StopIteration as end:
            found: R = end.value
            return found


def _open_asking_first(wanted: PublicReads, judge: Judge) -> Steps[OpeningStep, None]:
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
    """A meter that demands a higher counter than it reported is asked once more with the one that it demands."""
    try:
        yield OpenManagement(at_least)
    except Exception as error:
        demanded = judge(error)
        if isinstance(demanded, Trouble) or demanded <= at_least:
            raise
        yield OpenManagement(demanded)


def _ask_public(wanted: PublicReads) -> Steps[OpeningStep, tuple[int, bool]]:
    """The lowest counter that the meter takes, and whether an association was released; what is not needed may fail."""
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

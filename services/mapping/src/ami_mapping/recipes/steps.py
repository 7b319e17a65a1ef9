"""The steps of a recipe, and how a recipe asks for them.

A step that fails on the way to the meter never comes back here: whoever carries it out ends the recipe, since it knows what has left.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_dlms.obis import Obis
from ami_mapping.controls import Verdict
from ami_mapping.faults import explain

SETTLING_S = (0.1, 0.3, 0.6)
"""A meter takes its time to show what it has done: when it disagrees it is read again."""

Now = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A data-access-result in the place of the value that was to be read."""

    result: DataAccessResult


@dataclass(frozen=True, slots=True)
class Read:
    """Read attributes; its answer has a value or a Refusal for each. It may be carried out again."""

    attributes: tuple[AttributeDescriptor, ...]


@dataclass(frozen=True, slots=True)
class Write:
    """Write an attribute; its answer is a DataAccessResult."""

    attribute: AttributeDescriptor
    value: Data


@dataclass(frozen=True, slots=True)
class Invoke:
    """Invoke a method; its answer is an ActionResult."""

    method: MethodDescriptor
    parameters: Data


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many real seconds."""

    seconds: float


Step = Read | Write | Invoke | Pause
Recipe = Generator[Step, Any, Verdict]
Values = tuple[Data | Refusal, ...]


class Stopped(Exception):
    """The meter refused a step, or can't carry the control out: a row of the fault table.

    `answered`: the meter has answered what was sent, so that its answer says more than that it was sent.
    """

    def __init__(self, kind: str, name: str, *, where: str = "", detail: str = "", answered: bool = False) -> None:
        super().__init__(kind, name, where, detail)
        self.kind = kind
        self.name = name
        self.where = where
        self.detail = detail
        self.answered = answered


def attribute(class_id: int, obis: str, number: int) -> AttributeDescriptor:
    """By the text of its logical name."""
    return AttributeDescriptor(class_id, Obis.parse(obis), number)


def read(*attributes: AttributeDescriptor) -> Generator[Step, Any, Values]:
    """What the meter shows of these."""
    values: Values = yield Read(attributes)
    return values


def write(where: AttributeDescriptor, value: Data) -> Generator[Step, Any, None]:
    """Stopped if the meter refuses it."""
    result: DataAccessResult = yield Write(where, value)
    if result is not DataAccessResult.SUCCESS:
        raise Stopped("data-access-result", result.name, where=f"writing {where}", answered=True)


def invoke(method: MethodDescriptor, parameters: Data) -> Generator[Step, Any, None]:
    """Stopped if the meter refuses it."""
    result: ActionResult = yield Invoke(method, parameters)
    if result is not ActionResult.SUCCESS:
        raise Stopped("method-result", result.name, where=f"invoking {method}", answered=True)


def settled(
    attributes: tuple[AttributeDescriptor, ...], agrees: Callable[[Values], bool]
) -> Generator[Step, Any, tuple[Values, bool]]:
    """What the meter shows once it agrees, or has had its time to; and whether it does."""
    for pause_s in (*SETTLING_S, None):
        values = yield from read(*attributes)
        if agrees(values) or pause_s is None:
            break
        yield Pause(pause_s)
    return values, agrees(values)


def needed(value: Data | Refusal, where: AttributeDescriptor) -> Data:
    """A value that the recipe can't begin without; Stopped where the meter refuses it."""
    if isinstance(value, Refusal):
        raise Stopped("data-access-result", value.result.name, where=f"reading {where}")
    return value


def number_in(value: Data | Refusal) -> int | None:
    """A whole number; None for anything else."""
    found = value.value if isinstance(value, Data) else None
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def done(reason: str) -> Verdict:
    """OK with nothing to add; the reason is for our own log."""
    return Verdict(True, None, None, reason)


def failed(name: str, detail: str) -> Verdict:
    """What the meter shows afterwards is no OK: a row of the kind "control" of the fault table."""
    fault = explain("control", name, attempted=None, detail=detail, switches=False)
    return Verdict(False, fault.code, fault.level, fault.reason)


def unsuitable(why: str) -> Stopped:
    """The meter can't carry the control out as it is, which shows before anything is sent."""
    return Stopped("control", "unsuitable", detail=why)

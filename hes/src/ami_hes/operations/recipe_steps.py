"""The steps of a recipe (`ami_mapping.recipes`) carried out over a session, each kept as an attempt before its first octet leaves."""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_hes.meters import GetRefused, MeterFault, Session
from ami_hes.meters.trace import step as step_of_trace
from ami_hes.operations.assignment import Attempt
from ami_hes.store import StoreUnavailable
from ami_mapping.recipes import Invoke, Pause, Read, Refusal, Step, Write
from ami_process.environment import real_sleep

LONGEST_VALUE = 120
"""Characters of a value that was read, for people."""


@dataclass(slots=True)
class Seen:
    """What was done and what the meter showed last, for people."""

    steps: list[dict[str, str]] = field(default_factory=list)
    shown: dict[str, str] = field(default_factory=dict)

    def note(self, what: AttributeDescriptor | object, result: DataAccessResult | ActionResult) -> None:
        self.steps.append({"step": str(what), "result": result.name.lower().replace("_", "-")})

    def show(self, attributes: Sequence[AttributeDescriptor], values: Sequence[Data | Refusal]) -> None:
        for where, value in zip(attributes, values, strict=True):
            said = value.result.name.lower().replace("_", "-") if isinstance(value, Refusal) else _text(value)
            self.shown[str(where)] = said[:LONGEST_VALUE]

    def format(self) -> str:
        shown = [{"attribute": where, "value": value} for where, value in self.shown.items()]
        return json.dumps({"steps": self.steps, "shown": shown})


class StepTaker:
    """Takes steps for one command; `left` says whether anything that changes the meter has left in this run."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self.left = False
        self.seen = Seen()

    async def take(self, session: Session, step: Step | None) -> object:
        """The answer to this step. Raises MeterFault."""
        match step:
            case Read(attributes):
                with step_of_trace("read-back") if self.left else nullcontext():
                    read = await session.get_each(*attributes)
                values = [Refusal(DataAccessResult[one.name]) if isinstance(one, GetRefused) else one for one in read]
                self.seen.show(attributes, values)
                return tuple(values)
            case Write(attribute, value):
                await self._begin()
                written = await session.set(attribute, value)
                self.seen.note(attribute, written)
                return written
            case Invoke(method, parameters):
                invoked = (await session.action(method, parameters, before=self._begin)).result
                self.seen.note(method, invoked)
                return invoked
            case Pause(seconds):
                await real_sleep(seconds)
        return None

    async def _begin(self) -> None:
        """Something is ready and about to leave: from here on the meter's state is unknown until it has been read."""
        try:
            await self._attempt.begin()
        except StoreUnavailable as problem:
            raise MeterFault("internal", "store", detail=str(problem)) from None
        self.left = True


def _text(value: Data) -> str:
    return value.value.hex() if isinstance(value.value, bytes) else str(value.value)

"""Small meters that misbehave at a named step of a control, many at once, on a loop of their own beside the HES's process.

They are those of tests/hes/south, which share nothing with meter_sim. A step is where the meter is in one control; a fault is
what it does there instead of the honest answer.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from patience import PATIENCE_S

sys.path.insert(0, str(Path(__file__).parents[1] / "hes" / "south"))

from small_meter import DISCONNECT_CONTROL, SmallMeter

from ami_dlms import apdu, data
from ami_dlms.apdu.action import ActionResponseNormal
from ami_dlms.apdu.faults import ExceptionResponse
from ami_dlms.apdu.get import GetResponseNormal
from ami_dlms.association import (
    Action,
    ActionOutcome,
    Answer,
    AssociationOpened,
    AssociationReleased,
    Get,
    Requested,
    ServerConnection,
)
from ami_dlms.enums import ActionResult, DataAccessResult, ServiceError, StateError
from ami_dlms.framing import wrapper

T = TypeVar("T")
Octets = Callable[[], bytes]


class Step(StrEnum):
    """Where in a control the meter is."""

    STATE_READ = "before the control"
    ACTION_CAME = "the ACTION has come"
    ACTION_DONE = "the ACTION is carried out"
    READ_BACK = "answered, then read"
    HALF_READ_BACK = "answered, then half read"
    RELEASE = "answered and read"


class Fault(StrEnum):
    """What it does there."""

    HOLD = "waits until the HES is gone"
    WAIT = "waits until it is told to go on, and answers"
    WAIT_LOST = "waits until it is told to go on, and hangs up"
    LOST = "hangs up"
    RESET = "resets the connection"
    SILENT = "says nothing more"
    FORGED = "an answer whose tag is wrong"
    CLEAR = "an unencrypted answer"
    EXCEPTION = "an exception"
    GARBAGE = "octets that mean nothing"
    REFUSED = "a refusal"


@dataclass
class LyingMeter(SmallMeter):
    faults: dict[Step, Fault] = field(default_factory=dict)
    away_afterwards: bool = False
    """After a fault nobody reaches it any more."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.reached = threading.Event()
        """A fault has happened, or begun."""
        self.away = False
        self.garbage = False
        self._told = asyncio.Event()
        self._read_back: dict[int, int] = {}
        """How often the state was read since the ACTION, by connection."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.away:
            writer.close()
            return
        if self.garbage:
            writer.write(b"\xff" * 40)
        await super()._serve(reader, writer)

    async def _answer(self, connection: ServerConnection, writer: asyncio.StreamWriter) -> bool:
        while (event := connection.next_event()) is not None:
            match event:
                case Requested(key, items=(Get(descriptor),)):
                    self.asked.append("GET")
                    value = self._get(descriptor)
                    step = self._step(id(connection)) if descriptor.instance_id == DISCONNECT_CONTROL else None
                    clear = GetResponseNormal(key.invoke_id_and_priority, data.null())
                    refusal = Answer(key, (DataAccessResult.READ_WRITE_DENIED,))
                    honest = Answer(key, (value,))
                    if not await self._say(step, connection, writer, honest, refusal, clear):
                        return False
                case Requested(key, items=(Action(descriptor, parameters),)):
                    self.asked.append("ACTION")
                    self._read_back[id(connection)] = 0
                    clear = ActionResponseNormal(key.invoke_id_and_priority, ActionResult.SUCCESS)
                    refusal = Answer(key, (ActionOutcome(ActionResult.HARDWARE_FAULT, None),))
                    if Step.ACTION_CAME in self.faults:
                        step, result = Step.ACTION_CAME, ActionResult.SUCCESS
                    else:
                        step, result = Step.ACTION_DONE, self._act(descriptor, parameters)
                    honest = Answer(key, (ActionOutcome(result, None),))
                    if not await self._say(step, connection, writer, honest, refusal, clear):
                        return False
                case AssociationOpened(profile):
                    self.asked.append(f"open {profile.client_wport}")
                case AssociationReleased() if self._read_back.get(id(connection)):
                    if Step.RELEASE in self.faults and not await self._misbehave(Step.RELEASE, writer, {}):
                        return False
        writer.write(connection.data_to_send())
        return True

    def _step(self, connection: int) -> Step | None:
        if connection not in self._read_back:
            return Step.STATE_READ
        self._read_back[connection] += 1
        return {1: Step.READ_BACK, 2: Step.HALF_READ_BACK}.get(self._read_back[connection])

    async def _say(
        self,
        step: Step | None,
        connection: ServerConnection,
        writer: asyncio.StreamWriter,
        honest: Any,
        refusal: Any,
        clear: Any,
    ) -> bool:
        """The honest answer, or what the fault of this step puts in its place; False ends the connection."""
        if step is None or step not in self.faults:
            writer.write(connection.send(honest))
            return True
        exception = ExceptionResponse(StateError.SERVICE_UNKNOWN, ServiceError.OTHER_REASON)
        return await self._misbehave(
            step,
            writer,
            {
                Fault.WAIT: lambda: connection.send(honest),
                Fault.FORGED: lambda: _altered(connection.send(honest)),
                Fault.CLEAR: lambda: self._framed(clear),
                Fault.EXCEPTION: lambda: self._framed(exception),
                Fault.GARBAGE: lambda: b"\xff" * 40,
                Fault.REFUSED: lambda: connection.send(refusal),
            },
        )

    async def _misbehave(self, step: Step, writer: asyncio.StreamWriter, forged: dict[Fault, Octets]) -> bool:
        fault = self.faults.pop(step)
        self.away = self.away_afterwards
        self.reached.set()
        if fault in (Fault.WAIT, Fault.WAIT_LOST):
            await self._told.wait()
        if fault in forged:
            writer.write(forged[fault]())
            return not self.away
        if fault is Fault.RESET:
            writer.transport.abort()
        if fault in (Fault.HOLD, Fault.SILENT):
            await asyncio.Event().wait()
        return fault is Fault.WAIT

    def go_on(self) -> None:
        """Who waits goes on; to be called on the meter's loop."""
        self._told.set()

    def _framed(self, message: Any) -> bytes:
        return wrapper.encode(wrapper.WrapperPdu(self.server_wport, 1, apdu.encode(message)))


def _altered(octets: bytes) -> bytes:
    return octets[:-1] + bytes((octets[-1] ^ 1,))


class Lab:
    """A loop in a thread with meters on it."""

    def __init__(self) -> None:
        self.meters: list[LyingMeter] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    def meter(self, **settings: Any) -> LyingMeter:
        """A meter that listens; numbers go on from 1001."""
        meter = LyingMeter(number=1001 + len(self.meters), **settings)
        self.meters.append(meter)
        self.run(meter.listen())
        return meter

    def go_on(self, meters: Iterable[LyingMeter]) -> None:
        """Those of them that wait go on."""
        for meter in meters:
            self._loop.call_soon_threadsafe(meter.go_on)

    def close(self) -> None:
        async def close() -> None:
            for meter in self.meters:
                await meter.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self.run(close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

"""All meters of the process, and the one loop that serves a stream, whoever opened it.

Strategy: sessions say what has to happen, this module makes it happen on asyncio streams. A stream never takes the
process down: what a peer sends ends in an answer, a reported reason or a closed connection. Captures go on while nobody asks,
because `keep_time` moves every meter on once per capture period.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ami_meter_sim import events
from ami_meter_sim.effects import Die, Effect, HangUp, Report, Send, Wait
from ami_meter_sim.meter.session import Session
from ami_meter_sim.meter.simulated_meter import Meter
from ami_meter_sim.meter.state import StateError
from ami_process.environment import Environment, real_sleep, real_time

READ_OCTETS = 65536
CAPTURE_PERIOD_S = 900
AFTER_THE_BOUNDARY_S = 0.1


def die_at_once() -> None:
    """As a process that is killed."""
    os._exit(1)


@dataclass(slots=True, eq=False)
class Activity:
    """What a connection has been doing, for who has to choose one that gives way. `since`: when it was last heard."""

    since: float
    spoken: bool = False
    associated: bool = False
    busy: bool = False


class Fleet:
    """The meters of this process by name."""

    def __init__(
        self, meters: Sequence[Meter], environment: Environment, die: Callable[[], None] = die_at_once
    ) -> None:
        self.meters = {meter.name: meter for meter in meters}
        self.environment = environment
        self._die = die
        self._switched: dict[str, asyncio.Event] = {}

    def switched(self, name: str) -> asyncio.Event:
        """Set whenever the meter of this name has switched; the waiting task clears it."""
        return self._switched.setdefault(name, asyncio.Event())

    async def serve(
        self,
        meters: Mapping[int, Meter],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        idle_timeout_s: float | None,
        activity: Activity | None = None,
    ) -> None:
        """Serve one connection until its end, whatever the peer does; `activity` is kept up to date."""
        environment = self.environment
        activity = activity or Activity(0.0)
        session = Session(meters, now=environment.now, random_bytes=environment.random_bytes)
        try:
            while octets := await _read(reader, idle_timeout_s):
                activity.spoken = activity.busy = True
                for effect in session.receive_data(octets):
                    if not await self._carry_out(effect, writer, idle_timeout_s):
                        return
                activity.since, activity.associated = real_time(), session.associated
                activity.busy = False
        except StateError as error:
            environment.emit(events.StateError(reason=str(error)))
        except (OSError, TimeoutError):
            return
        finally:
            await close(writer)

    async def _carry_out(self, effect: Effect, writer: asyncio.StreamWriter, timeout_s: float | None) -> bool:
        """Make it happen; False when that was the end of the connection."""
        match effect:
            case Send(octets):
                writer.write(octets)
                async with asyncio.timeout(timeout_s):
                    await writer.drain()
            case Wait(seconds):
                await real_sleep(seconds)
            case Report(event):
                self.environment.emit(event)
                if isinstance(event, events.Switched):
                    self.switched(event.meter).set()
            case HangUp():
                return False
            case Die():
                self._die()
                return False
        return True

    async def keep_time(self) -> None:
        """Move every meter on just after each capture period of the process's clock."""
        while True:
            second = self.environment.now().timestamp()
            await self.environment.sleep(CAPTURE_PERIOD_S - second % CAPTURE_PERIOD_S + AFTER_THE_BOUNDARY_S)
            for meter in self.meters.values():
                self.advance(meter)
                await asyncio.sleep(0)  # the others' round

    def advance(self, meter: Meter) -> None:
        """One meter's captures that are due."""
        try:
            meter.advance(self.environment.now())
        except StateError as error:
            self.environment.emit(events.StateError(meter=meter.name, reason=str(error)))

    def finish(self) -> None:
        """A clean end for all meters."""
        for meter in self.meters.values():
            try:
                meter.finish(self.environment.now())
            except StateError as error:
                self.environment.emit(events.StateError(meter=meter.name, reason=str(error)))


async def _read(reader: asyncio.StreamReader, timeout_s: float | None) -> bytes:
    async with asyncio.timeout(timeout_s):
        return await reader.read(READ_OCTETS)


async def close(writer: asyncio.StreamWriter) -> None:
    """Close a stream whose peer may be gone."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()

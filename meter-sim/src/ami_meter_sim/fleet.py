"""All meters of the process, and the one loop that serves a stream, whoever opened it.

Strategy: sessions say what has to happen, this module makes it happen on asyncio streams. A stream never takes the
process down: what a peer sends ends in an answer, a reported reason or a closed connection. Captures go on while nobody asks,
because `keep_time` moves every meter on once per capture period.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from ami_meter_sim.meter.session import Die, Effect, HangUp, Send, Session, Tell, Wait
from ami_meter_sim.meter.simulated_meter import Meter
from ami_meter_sim.meter.state import StateError

READ_OCTETS = 65536
CAPTURE_PERIOD_S = 900
AFTER_THE_BOUNDARY_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the process gives its meters: time, randomness, somebody who listens, a way to die."""

    now: Callable[[], datetime]
    random_bytes: Callable[[int], bytes]
    tell: Callable[[str, Mapping[str, object]], None]
    die: Callable[[], None]


@dataclass(slots=True, eq=False)
class Activity:
    """What a connection has been doing, for who has to choose one that gives way. `since`: when it was last heard."""

    since: float
    spoken: bool = False
    associated: bool = False
    busy: bool = False


class Fleet:
    """The meters of this process by name."""

    def __init__(self, meters: Sequence[Meter], surroundings: Surroundings) -> None:
        self.meters = {meter.name: meter for meter in meters}
        self.surroundings = surroundings
        self._switched: dict[str, asyncio.Event] = {}

    def switched(self, name: str) -> asyncio.Event:
        """Set whenever the meter of this name has switched; whoever waits clears it."""
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
        around = self.surroundings
        activity = activity or Activity(0.0)
        session = Session(meters, now=around.now, random_bytes=around.random_bytes)
        try:
            while octets := await _read(reader, idle_timeout_s):
                activity.spoken = activity.busy = True
                for effect in session.receive_data(octets):
                    if not await self._carry_out(effect, writer, idle_timeout_s):
                        return
                activity.since, activity.associated = asyncio.get_running_loop().time(), session.associated
                activity.busy = False
        except StateError as error:
            around.tell("state_error", {"reason": str(error)})
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
                await asyncio.sleep(seconds)
            case Tell(event, meter, fields):
                self.surroundings.tell(event, {"meter": meter} | fields)
                if event == "switched":
                    self.switched(meter).set()
            case HangUp():
                return False
            case Die():
                self.surroundings.die()
                return False
        return True

    async def keep_time(self) -> None:
        """Move every meter on just after each capture period of the machine's clock."""
        while True:
            second = self.surroundings.now().timestamp()
            await asyncio.sleep(CAPTURE_PERIOD_S - second % CAPTURE_PERIOD_S + AFTER_THE_BOUNDARY_S)
            for meter in self.meters.values():
                self.advance(meter)
                await asyncio.sleep(0)

    def advance(self, meter: Meter) -> None:
        """One meter's captures that are due."""
        try:
            meter.advance(self.surroundings.now())
        except StateError as error:
            self.surroundings.tell("state_error", {"meter": meter.name, "reason": str(error)})

    def finish(self) -> None:
        """A clean end for all meters."""
        for meter in self.meters.values():
            try:
                meter.finish(self.surroundings.now())
            except StateError as error:
                self.surroundings.tell("state_error", {"meter": meter.name, "reason": str(error)})


async def _read(reader: asyncio.StreamReader, timeout_s: float | None) -> bytes:
    async with asyncio.timeout(timeout_s):
        return await reader.read(READ_OCTETS)


async def close(writer: asyncio.StreamWriter) -> None:
    """Close a stream whose peer may be gone."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()

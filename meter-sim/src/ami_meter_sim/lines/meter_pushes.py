"""What meters want to push by their push setups (class 40), on its way to the sender.

Strategy: who has something to send in an hour need not stay alive until then: what waits knows the meter by its index, and asks for
it again when an attempt is made. What is due at once, such as a last gasp, keeps its meter until its octets are made, so that it is
not made twice; but not many of them, since a million may lose their power in one second.
"""

import asyncio
import weakref
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from ami_dlms.errors import DlmsError
from ami_meter_sim.events import Discarded, PushFailed
from ami_meter_sim.faults.pushes import POWER_DOWN
from ami_meter_sim.fleet import Fleet
from ami_meter_sim.lines.confirming import Confirmation
from ami_meter_sim.lines.push import TIMEOUT_S, Push, PushEndpoint, PushSender
from ami_meter_sim.lines.sockets import leaves_from
from ami_meter_sim.meter.pushes import reason_of
from ami_meter_sim.meter.pushing import confirms, note_confirmation, push_frames, push_retry_at, wanted_pushes
from ami_meter_sim.meter.pushing_from_rows import frames_of_row
from ami_meter_sim.meter.simulated_meter import Meter
from ami_meter_sim.objects.push_setup import PushPlan, PushTransport
from ami_meter_sim.population.addressing import Addressing, AddressPlan
from ami_meter_sim.population.journal import StateUnusable
from ami_meter_sim.population.row import Row
from ami_process.sockets import format_address

MOST_KEPT = 1_000
"""Pushes that wait while one more keeps its meter alive."""
TRANSPORTS: dict[int, str] = {PushTransport.TCP: "tcp", PushTransport.UDP: "udp", PushTransport.HDLC: "hdlc"}


def may_leave(meter: Meter | Row, why: str) -> bool:
    """Without power only the last gasp leaves."""
    return meter.powered or why == POWER_DOWN


def frames_at_rest(fleet: Fleet, index: int, plan: PushPlan, at: datetime) -> Sequence[bytes]:
    """The frames of a push of a meter of a population, which is made only where its row does not say enough."""
    resting = fleet.at_rest(index)
    frames = None if resting is None else frames_of_row(resting, plan, at)
    return push_frames(fleet.live(index), plan, at) if frames is None else frames


class OwnHosts:
    """The address that the meters of populations send from, by the store's index of each population's first one."""

    def __init__(self, plans: Sequence[tuple[int, AddressPlan]]) -> None:
        self._plans = plans

    def of(self, meter: Meter) -> str | None:
        """None for one that has no address of its own."""
        index = meter.row.index
        for first, plan in self._plans:
            if first <= index < first + plan.count and plan.addressing is Addressing.ADDRESS_EACH:
                return plan.place(index - first)[0]
        return None


class WantedPushes:
    """Takes what objects of a meter want to push, whatever has made them want it, and hands it to the sender."""

    def __init__(
        self, sender: PushSender, fleet: Fleet, own_host: Callable[[Meter], str | None] = lambda meter: None
    ) -> None:
        self._sender = sender
        self._fleet = fleet
        self._environment = fleet.environment
        self._own_host = own_host

    def watch(self, meter: Meter) -> None:
        """From now on, and what it wants already."""
        its = weakref.ref(meter)
        loop = asyncio.get_running_loop()

        def look() -> None:
            if (one := its()) is not None:
                loop.call_soon(self.collect, one)

        meter.communication.when_push_wanted = look
        self.collect(meter)

    def collect(self, meter: Meter) -> None:
        """What has become wanted in this turn of the loop."""
        try:
            for plan in wanted_pushes(meter, self._environment.now()):
                self._want(meter, plan)
        except (StateUnusable, DlmsError) as error:
            self._environment.emit(PushFailed(meter=meter.name, transport="", address="", reason=str(error)))

    def _want(self, meter: Meter, plan: PushPlan) -> None:
        where = plan.destination
        transport = "" if where is None else TRANSPORTS.get(where.transport, "")
        if where is None or not transport or plan.first_at is None:
            problem = (
                "no window ever opens"
                if plan.first_at is None
                else "the push setup has no destination over TCP, UDP or HDLC"
            )
            address = "" if where is None else format_address(where.host, where.port)
            self._environment.emit(PushFailed(meter=meter.name, transport=transport, address=address, reason=problem))
            return

        self._sender.want(self._push(meter, plan, PushEndpoint(transport, where.host, where.port)), plan.first_at)

    def _again(self, meter: Meter) -> Callable[[], Meter]:
        """The same meter later: one that is kept alive is itself, one of a population may have gone by then."""
        if meter.name in self._fleet.meters:
            return lambda: meter
        return partial(self._fleet.live, meter.row.index)

    def _is_due(self, plan: PushPlan) -> bool:
        return plan.first_at is not None and plan.first_at <= self._environment.now()

    def _push(self, meter: Meter, plan: PushPlan, destination: PushEndpoint) -> Push:
        again, why = self._again(meter), reason_of(plan.setup)
        index = meter.row.index
        kept = [meter] if self._is_due(plan) and self._sender.waiting < MOST_KEPT else []
        asked = AskedToConfirm(self._fleet, again, plan)

        def frames(at: datetime) -> Sequence[bytes]:
            if plan.confirmed:
                return asked.frames(at) if may_leave(again(), why) else ()
            resting = self._fleet.at_rest(index)
            its = resting.row if resting is not None else again()
            kept.clear()
            if not may_leave(its, why):
                return ()
            return (
                push_frames(its, plan, at) if isinstance(its, Meter) else frames_at_rest(self._fleet, index, plan, at)
            )

        def retry_at(attempt: int, at: datetime) -> datetime | None:
            return push_retry_at(again(), plan, attempt, at) if attempt <= plan.retries else None

        return Push(
            meter=meter.name,
            frames=frames,
            destination=destination,
            why=why,
            own_host=leaves_from(self._own_host(meter), destination.host),
            retry_at=retry_at,
            confirmation=Confirmation(plan.confirm_within_s or TIMEOUT_S, asked.takes) if plan.confirmed else None,
        )


class AskedToConfirm:
    """A push of one meter that asks to be confirmed: which invoke id its last attempt had, and what a confirmation does."""

    def __init__(self, fleet: Fleet, meter: Callable[[], Meter], plan: PushPlan) -> None:
        self._fleet = fleet
        self._meter = meter
        self._plan = plan
        self._invoke_id = 0

    def frames(self, at: datetime) -> Sequence[bytes]:
        """Of another attempt. Raises StateUnusable and DlmsError."""
        meter = self._meter()
        found = push_frames(meter, self._plan, at)
        self._invoke_id = meter.last_invoke_id
        return found

    def takes(self, octets: bytes) -> bool:
        """Whether an APDU confirms it; then the push setup shows when, which is on disk. What is not genuine is reported."""
        meter = self._meter()
        try:
            if not confirms(meter, self._plan, octets, self._invoke_id):
                return False
            at = self._fleet.environment.now()
            meter.happen(lambda device: note_confirmation(device, self._plan.setup, at), at)
            self._fleet.write()
        except (DlmsError, StateUnusable) as error:
            self._fleet.report(Discarded(meter=meter.name, reason=str(error)))
            return False
        return True

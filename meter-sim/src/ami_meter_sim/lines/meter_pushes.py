"""What meters want to push: by their push setups (class 40), and to the one destination of a [[meters]] entry."""

import asyncio
import weakref
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from ami_dlms.errors import DlmsError
from ami_meter_sim.events import PowerBack, PowerLost, PushFailed, Switched
from ami_meter_sim.faults.pushes import POWER_DOWN
from ami_meter_sim.fleet import Fleet
from ami_meter_sim.lines.push import Destination, Push, PushSender
from ami_meter_sim.meter.pushes import POWER_UP, reason_of
from ami_meter_sim.meter.pushing import notification, push_frames, push_retry_at, wanted_pushes
from ami_meter_sim.meter.setup import PushSetup
from ami_meter_sim.meter.simulated_meter import Meter
from ami_meter_sim.objects.push_setup import PushPlan, Transport
from ami_meter_sim.population.addressing import Addressing, Plan
from ami_meter_sim.population.journal import StateError
from ami_process.environment import Environment
from ami_process.events import Event
from ami_process.sockets import format_address

WITHOUT_A_PERIOD_S = 10.0
"""The period of a setup that wants no push for any other reason."""
TRANSPORTS: dict[int, str] = {Transport.TCP: "tcp", Transport.UDP: "udp"}
SWITCH, INTERVAL = "switch", "interval"
FOLLOWING: dict[type[Event], str] = {Switched: SWITCH, PowerLost: POWER_DOWN, PowerBack: POWER_UP}
"""What is pushed after which event."""


def push_for(meter: Meter, setup: PushSetup, why: str, every: timedelta | None = None) -> Push:
    """A push of this meter, once or in a period."""
    return Push(
        meter=meter.name,
        frames=lambda at: (notification(meter, at),) if may_leave(meter, why) else (),
        destination=Destination(setup.transport, setup.host, setup.port),
        why=why,
        every=every,
    )


def may_leave(meter: Meter, why: str) -> bool:
    """Without power only the last gasp leaves."""
    return meter.powered or why == POWER_DOWN


def begin_pushing(sender: PushSender, fleet: Fleet, meter: Meter, setup: PushSetup) -> None:
    """Let the sender have every push that the setup wants, from now on."""
    now = fleet.environment.now

    def push(why: str) -> None:
        sender.want(push_for(meter, setup, why), now())

    def look(event: Event) -> None:
        why = FOLLOWING.get(type(event))
        if why is not None and (setup.on_switch or why != SWITCH):
            push(why)

    fleet.heeds[meter.name], fleet.pushes[meter.name] = look, push
    if setup.every_s is not None or not setup.on_switch:
        period = timedelta(seconds=setup.every_s or WITHOUT_A_PERIOD_S)
        sender.want(push_for(meter, setup, INTERVAL, period), now() + period)


class OwnHosts:
    """The address that the meters of populations send from, by the store's index of each population's first one."""

    def __init__(self, plans: Sequence[tuple[int, Plan]]) -> None:
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
        self, sender: PushSender, environment: Environment, own_host: Callable[[Meter], str | None] = lambda meter: None
    ) -> None:
        self._sender = sender
        self._environment = environment
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
            for plan in wanted_pushes(meter, self._environment.now(), self._draw):
                self._want(meter, plan)
        except (StateError, DlmsError) as error:
            self._environment.emit(PushFailed(meter=meter.name, transport="", address="", reason=str(error)))

    def _want(self, meter: Meter, plan: PushPlan) -> None:
        where, why = plan.destination, reason_of(plan.setup)
        transport = "" if where is None else TRANSPORTS.get(where.transport, "")
        if where is None or not transport or plan.first_at is None:
            problem = (
                "no window ever opens" if plan.first_at is None else "the push setup has no destination over TCP or UDP"
            )
            address = "" if where is None else format_address(where.host, where.port)
            self._environment.emit(PushFailed(meter=meter.name, transport=transport, address=address, reason=problem))
            return

        def retry_at(attempt: int, at: datetime) -> datetime | None:
            return push_retry_at(meter, plan, attempt, at) if attempt <= plan.retries else None

        push = Push(
            meter=meter.name,
            frames=lambda at: push_frames(meter, plan, at) if may_leave(meter, why) else (),
            destination=Destination(transport, where.host, where.port),
            why=why,
            own_host=self._own_host(meter),
            retry_at=retry_at,
        )
        self._sender.want(push, plan.first_at)

    def _draw(self) -> float:
        return int.from_bytes(self._environment.random_bytes(4), "big") / 2**32

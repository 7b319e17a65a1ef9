"""The head-end's word that it has a push: a DataNotificationConfirm for each DataNotification that asks for one (Green Book 9.3.10).

It leaves when the push was reported, and a protected one when its counter is in the store as well: a meter that has our word need not
send it again. It is protected as requests to this meter are, under the counter that its sessions use. Over two connections a later
value may come first, and the meter would refuse what comes after it; so it waits until no session with the meter is at work, as long
as an answer may take. What could not be confirmed is reported, and the meter sends it again.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from ami_dlms import apdu
from ami_dlms.apdu.access import CONFIRMED
from ami_dlms.apdu.notify import DataNotification, DataNotificationConfirm
from ami_dlms.association import Unsolicited, protect_confirmation
from ami_dlms.errors import DlmsError
from ami_dlms.security import AsymmetricKeys
from ami_hes.events import NotificationConfirmed, NotificationNotConfirmed
from ami_hes.meters.counters import InvocationCounters
from ami_hes.meters.faults import MeterFault
from ami_hes.meters.registry import Meter
from ami_hes.meters.session_slots import SessionSlots
from ami_process.environment import real_time
from ami_process.events import Emit
from ami_registry.agreement import security

MOST_AT_ONCE = 1_000  # confirmations that wait for their turn


@dataclass(frozen=True, slots=True)
class WayBack:
    """Where a push came from, and how an APDU goes back there."""

    peer: str
    transport: str
    send: Callable[[bytes], bool] | None
    """Hands an APDU to the connection, at once or not at all; None where none can go back."""
    obstacle: str = "nothing goes back unasked over HDLC"
    """Why none can."""
    waits: bool = False
    """Nothing else goes over this connection before the confirmation."""
    answers_plain: bool = True
    """Whether what nobody vouches for is answered: not where its sender may be made up, as that of a datagram."""
    ports: tuple[int, int] = (0, 0)
    """The wrapper ports of who has sent it, and of ours."""
    in_session: bool = False
    """It is the connection of the session with the meter, which waits: no other one can be at work."""


def asks_to_be_confirmed(notification: Unsolicited) -> bool:
    """Whether its sender waits for our word; only a DataNotification can say so."""
    return isinstance(notification, DataNotification) and bool(notification.long_invoke_id_and_priority & CONFIRMED)


class Confirmations:
    """Makes and sends them."""

    def __init__(
        self, system_title: bytes, counters: InvocationCounters, slots: SessionSlots, patience_s: float, emit: Emit
    ) -> None:
        self._system_title = system_title
        self._counters = counters
        self._slots = slots
        self._patience_s = patience_s
        self._emit = emit
        self._waiting: set[asyncio.Task[None]] = set()

    def begin(self, notification: DataNotification, sender: Meter, way: WayBack) -> asyncio.Task[None] | None:
        """Confirm a protected one as soon as no session with its sender is at work; the task of that, None where too many wait."""
        if len(self._waiting) >= MOST_AT_ONCE:
            self.failed(sender, way, f"{MOST_AT_ONCE} confirmations wait already")
            return None
        task = asyncio.get_running_loop().create_task(self.confirm(notification, sender, way))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        return task

    async def confirm(self, notification: DataNotification, sender: Meter, way: WayBack) -> None:
        """Confirm a protected one, or report why not."""
        try:
            if way.in_session:
                await self._confirm(notification, sender, way)
            else:
                async with self._slots.alone(sender, real_time() + self._patience_s):
                    await self._confirm(notification, sender, way)
        except (MeterFault, DlmsError) as error:
            self.failed(sender, way, str(error))

    def confirm_plain(self, notification: DataNotification, way: WayBack) -> None:
        """Confirm one that came unencrypted, which nobody vouches for: so is the confirmation."""
        if not way.answers_plain:
            self.failed(None, way, "it came unencrypted in a datagram, whose sender anybody can be")
            return
        self.leave(apdu.encode(_confirmation(notification)), None, way)

    async def close(self) -> None:
        """Give up those that still wait."""
        work = list(self._waiting)
        for task in work:
            task.cancel()
        if work:
            await asyncio.wait(work)

    async def _confirm(self, notification: DataNotification, sender: Meter, way: WayBack) -> None:
        own = AsymmetricKeys(sender.signing_key, sender.meter_signing_key)
        agreed = security(sender, self._system_title, sender.system_title, own)
        counter = await self._counters.next_ones(sender)
        octets = protect_confirmation(_confirmation(notification), agreed, counter)
        self.leave(octets, sender, way)

    def leave(self, octets: bytes, sender: Meter | None, way: WayBack) -> None:
        """Send what was made to confirm a push."""
        if way.send is None:
            self.failed(sender, way, way.obstacle)
        elif not way.send(octets):
            self.failed(sender, way, "the connection has ended, or takes no more")
        else:
            self._emit(
                NotificationConfirmed(
                    meter=None if sender is None else sender.name, peer=way.peer, transport=way.transport
                )
            )

    def failed(self, sender: Meter | None, way: WayBack, reason: str) -> None:
        """Report that one was not confirmed."""
        name = None if sender is None else sender.name
        self._emit(NotificationNotConfirmed(meter=name, peer=way.peer, transport=way.transport, reason=reason))


def _confirmation(notification: DataNotification) -> DataNotificationConfirm:
    return DataNotificationConfirm(notification.long_invoke_id_and_priority, None)

"""A meter that calls from another host than its entry says: its address is followed when its keys are proved, there and over the call.

A caller only claims a name, and the host that it calls from may be that of a NAT behind which nothing answers. So two proofs are
wanted: over the connection of the call, and by an association at the new address. An address that is a name stays: whoever keeps
the name says where it is.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import ip_address
from typing import Protocol

from ami_hes.events import MeterMoved, NotProved
from ami_hes.meters.faults import MeterFault
from ami_hes.meters.link import Link
from ami_hes.meters.registry import Meter
from ami_hes.meters.session_slots import SessionSlots
from ami_process.events import Emit

Prove = Callable[[Meter, Link, float], Awaitable[None]]
"""Has a meter prove its keys over a connection until then (of `real_time`). Raises MeterFault."""
Connect = Callable[[Meter, float], Awaitable[Link]]
"""Calls the address of a meter. Raises MeterFault."""


class KeepsAddresses(Protocol):
    """What the entries of meters are changed by."""

    async def follow(self, meter: Meter, host: str) -> str:
        """The meter's entry has this host from now on; the reason where it can't be, else empty. Raises StoreUnavailable."""


class MovedMeters:
    """Follows meters, one call of each at a time."""

    def __init__(
        self, keeper: KeepsAddresses | None, slots: SessionSlots, prove: Prove, connect: Connect, emit: Emit
    ) -> None:
        """Without `keeper` none is followed."""
        self._keeper = keeper
        self._slots = slots
        self._prove = prove
        self._connect = connect
        self._emit = emit
        self._at_work: set[str] = set()

    async def look(self, meter: Meter, link: Link, until: float) -> None:
        """A caller over this connection claims to be this meter, which has an address. Raises what a store that is away raises, also as MeterFault."""
        if self._keeper is None or meter.mrid in self._at_work or not _may_have_moved(meter, link):
            return
        self._at_work.add(meter.mrid)
        try:
            moved = await self._proved(meter, link, until)
            reason = await self._keeper.follow(meter, link.host)
        except MeterFault as fault:
            if fault.kind == "internal":  # of this head-end: nothing was shown of the caller
                raise
            self._emit(NotProved(meter=meter.name, peer=link.peer, reason=str(fault)))
        else:
            event = MeterMoved(
                meter=meter.name, before=meter.place, address=moved.place, followed=not reason, reason=reason
            )
            self._emit(event)
        finally:
            self._at_work.discard(meter.mrid)

    async def _proved(self, meter: Meter, link: Link, until: float) -> Meter:
        """The meter with its new address, once it has proved its keys over its call and there. Raises MeterFault."""
        await self._prove(meter, link, until)
        assert isinstance(meter.address, tuple)  # `_may_have_moved`
        moved = replace(meter, address=(link.host, meter.address[1]))
        async with self._slots.slot(moved, until):
            there = await self._connect(moved, until)
            try:
                await self._prove(moved, there, until)
            finally:
                there.close()
        return moved


def _may_have_moved(meter: Meter, link: Link) -> bool:
    if not isinstance(meter.address, tuple) or not meter.proves_itself:
        return False
    try:
        return ip_address(meter.address[0]) != ip_address(link.host)
    except ValueError:
        return False

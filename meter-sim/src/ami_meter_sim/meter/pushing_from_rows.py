"""The octets of a push of a meter that is a row at the moment: the same as the meter itself would send, without making it.

Strategy: what a push needs beside its values (which its plan holds) are keys, title, counter and clock, and of a meter that was made once in
this process and in which nothing of that was changed all of it follows from its index and its row. Everything else is for the live meter: None says so.
"""

from datetime import datetime
from typing import NamedTuple

from ami_dlms.apdu.notify import DataNotification
from ami_dlms.security import ProtectionFlags, SendCounter
from ami_dlms.security.counters import COUNTER_END
from ami_meter_sim.meter.counters import SEND_AHEAD, SEND_REMAINING
from ami_meter_sim.meter.member import Population
from ami_meter_sim.meter.notifications import Sending, notification_frames, protected_as
from ami_meter_sim.objects.clock import clock_of_row
from ami_meter_sim.objects.push_setup import PushPlan
from ami_meter_sim.population.row import Row

SHOWN_BY_PUSHES = frozenset({8, 15, 64})
"""Classes of what decides how a push looks: the clock, and with which keys it is protected."""
FIRST_INVOKE_ID = 1
"""A meter begins to count them when it is made."""


class Resting(NamedTuple):
    """A meter that is a row: of which population, at which place in it, and the classes whose attributes were changed in it."""

    population: Population
    place: int
    row: Row
    changed_classes: frozenset[int]


def frames_of_row(meter: Resting, plan: PushPlan, at: datetime) -> tuple[bytes, ...] | None:
    """The wrapper PDUs of one attempt, as of `push_frames`; None where the meter has to be made. Raises StateError."""
    population, index, row, changed_classes = meter
    if changed_classes & SHOWN_BY_PUSHES or plan.attributes or plan.confirmed or _is_of_another(population, plan):
        return None
    if not row.alive_since:
        return None  # what the settings say of it, and what it has missed, is not in its row yet
    clock = clock_of_row(population.model, row, at)
    if clock is None:
        return None
    given = None if plan.protection is ProtectionFlags.NOTHING else population.sending_security(index)
    security = protected_as(given, plan.protection)
    counter = None if security is None else _send_counter(row)
    notification = DataNotification(FIRST_INVOKE_ID, clock.date_time, plan.body)
    wport = population.server_wport(index)
    frames = notification_frames(
        Sending(wport, population.client_wport, security, counter, plan.max_pdu_size), notification
    )
    if counter is not None:
        row.send_next = counter.next_value
    return frames


def _is_of_another(population: Population, plan: PushPlan) -> bool:
    """Whether the push is for a client that may have keys of its own."""
    return plan.client_wport not in (None, population.client_wport)


def _send_counter(row: Row) -> SendCounter:
    """Of the keys of the first security setup, with what is on disk ahead of it, as `Meter.reserve_counters` has it."""
    if row.send_reserved - row.send_next < SEND_REMAINING:
        row.send_reserved = min(row.send_reserved + SEND_AHEAD, COUNTER_END)
    return SendCounter(row.send_next, row.send_reserved)

"""What a front end takes over from the others: meters, schedules, campaigns, approvals, messages that wait, events (`ami_hes.engine.Hints`)."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from ami_hes.app.guarding import Guarding
from ami_hes.app.publishing import Publishing
from ami_hes.app.southbound import South
from ami_hes.app.telling import APPROVALS, CAMPAIGNS, EVENTS_OF_METERS, MASTER_DATA, METERS, SCHEDULES, WAITING
from ami_hes.campaigns import CampaignBook
from ami_hes.engine import Charge, Hints
from ami_hes.jobs import Intake
from ami_hes.registry import CannotOpen
from ami_hes.store import StoredApproval


def heed(hints: Hints, south: South, told: Publishing, guarding: Guarding) -> None:
    """Meters and their events, what is told of them, and approvals."""
    heed_meters(hints, south)
    south.changed.begin(lambda mrid: hints.give(METERS, mrid.encode()))
    _at_once(hints, EVENTS_OF_METERS, south.taker.tell)
    south.taker.told.append(lambda: hints.give(EVENTS_OF_METERS))
    _at_once(hints, MASTER_DATA, south.kept.noting.kept.set)
    south.kept.noting.told.append(lambda: hints.give(MASTER_DATA))
    _at_once(hints, SCHEDULES, told.collector.look)
    _at_once(hints, APPROVALS, guarding.approvals.look)

    async def decided(approval: StoredApproval) -> None:
        hints.give(APPROVALS)

    guarding.approvals.tell(decided)


def heed_meters(hints: Hints, south: South) -> None:
    """What front ends have changed of meters."""

    async def meter(about: bytes) -> None:
        mrid = about.decode("utf-8", "replace")
        with suppress(CannotOpen):
            await south.kept.look(mrid)
            await south.commissioning.look(mrid)

    async def all_meters() -> None:
        with suppress(CannotOpen):
            await south.kept.look_at_all()
            await south.commissioning.load()

    hints.heed(METERS, meter, all_meters)


def heed_orders(hints: Hints, charge: Charge, campaigns: CampaignBook, intake: Intake) -> None:
    """What is for who is in charge alone."""

    async def campaign(about: bytes) -> None:
        if charge.has_begun:
            await campaigns.look(about.decode("utf-8", "replace"))

    hints.heed(CAMPAIGNS, campaign, _if_mine(charge, campaigns.look_at_all))
    waiting = _if_mine(charge, intake.late.look)
    hints.heed(WAITING, lambda _: waiting(), waiting)


def _if_mine(charge: Charge, look: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    async def looked() -> None:
        if charge.has_begun:
            await look()

    return looked


def _at_once(hints: Hints, subject: str, look: Callable[[], None]) -> None:
    """What has nothing to be looked up for it here."""

    async def all_of_it() -> None:
        look()

    hints.heed(subject, lambda _: all_of_it(), all_of_it)

"""Outages, and what of them is verified by requests of our own."""

from datetime import timedelta

from ami_hes.api.on_demand import answered
from ami_hes.app.setup import Setup
from ami_hes.app.southbound import South
from ami_hes.jobs import Intake
from ami_hes.outages import OutageBook, Verifying


def book(setup: Setup, south: South, intake: Intake) -> OutageBook:
    """The outages as the events of meters have them; it asks by way of the intake."""
    outages = setup.settings.hes.outages
    return OutageBook(
        taker=south.taker,
        registry=south.registry,
        environment=setup.environment,
        ask=lambda message: answered(intake.handle, message, setup.schemas),
        levels=outages.levels,
        share=outages.share,
        momentary=timedelta(seconds=outages.momentary_s),
        look_back=timedelta(days=outages.look_back_days),
    )


def restorations(setup: Setup, outages: OutageBook) -> Verifying:
    """What asks meters that have said that their power is back."""
    return Verifying(book=outages, every_s=setup.settings.hes.outages.verify_every_s)

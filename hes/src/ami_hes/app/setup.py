"""What every part of the HES is made from."""

from dataclasses import dataclass, replace
from typing import Self

from ami_cim.schema import Schemas
from ami_hes import configured
from ami_hes.api import Contacts, Metrics, Touched
from ami_hes.configured import PartnersAndReadings
from ami_hes.settings import Settings
from ami_process.environment import Environment


@dataclass(frozen=True, slots=True)
class Setup:
    """`environment` counts in `metrics` what it reports, and notes it in `contacts` and `touched`."""

    settings: Settings
    environment: Environment
    metrics: Metrics
    contacts: Contacts
    touched: Touched
    schemas: Schemas
    partners: PartnersAndReadings

    @classmethod
    def of(cls, settings: Settings, environment: Environment) -> Self:
        """For one run. Raises SettingsError for files of partners."""
        metrics, contacts, touched = Metrics(), Contacts(environment.now), Touched(environment.now)
        emit = touched.noting(contacts.noting(metrics.counting(environment.emit)))
        environment, partners = replace(environment, emit=emit), configured.partners(settings)
        return cls(settings, environment, metrics, contacts, touched, Schemas(), partners)

"""What every part of the HES is made from."""

from dataclasses import dataclass, replace
from typing import Self

from ami_cim.schema import Schemas
from ami_hes import configured
from ami_hes.api import Metrics
from ami_hes.configured import PartnersAndReadings
from ami_hes.settings import Settings
from ami_process.environment import Environment


@dataclass(frozen=True, slots=True)
class Setup:
    """`environment` counts in `metrics` what it reports."""

    settings: Settings
    environment: Environment
    metrics: Metrics
    schemas: Schemas
    partners: PartnersAndReadings

    @classmethod
    def of(cls, settings: Settings, environment: Environment) -> Self:
        """For one run. Raises SettingsError for files of partners."""
        metrics, partners = Metrics(), configured.partners(settings)
        return cls(
            settings, replace(environment, emit=metrics.counting(environment.emit)), metrics, Schemas(), partners
        )

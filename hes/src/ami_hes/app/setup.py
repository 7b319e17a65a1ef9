"""What every part of the HES is made from."""

from dataclasses import dataclass, replace
from typing import Self

from ami_cim.schema import Schemas
from ami_hes import configured
from ami_hes.api.contacts import Contacts
from ami_hes.api.live import Touched
from ami_hes.api.metrics import Metrics
from ami_hes.api.news import News
from ami_hes.app.works import Task
from ami_hes.configured import PartnersAndReadings
from ami_hes.settings import Settings
from ami_hes.traces import Telemetry
from ami_process.environment import Environment
from ami_process.events import Event


@dataclass(frozen=True, slots=True)
class Setup:
    """`environment` counts in `metrics` what it reports, and notes it in `contacts` and `touched`."""

    settings: Settings
    environment: Environment
    metrics: Metrics
    contacts: Contacts
    touched: Touched
    news: News
    """What other processes report, and what they are told of this one."""
    schemas: Schemas
    partners: PartnersAndReadings
    telemetry: Telemetry | None = None
    """What tells a collector of requests, where one is set."""

    @classmethod
    def of(cls, settings: Settings, environment: Environment, role: str = "hes") -> Self:
        """For one run of a process of this role. Raises SettingsError for files of partners, and for a collector without what speaks with it."""
        metrics, contacts, touched = Metrics(), Contacts(environment.now), Touched(environment.now)
        news = News(touched.noting(contacts.noting(_nobody)))
        emit = news.noting(touched.noting(contacts.noting(metrics.counting(environment.emit))))
        environment, partners = replace(environment, emit=emit), configured.partners(settings)
        collector = configured.collector(settings, str(environment.new_uuid()), role)
        telemetry = None if collector is None else Telemetry(collector, emit)
        return cls(settings, environment, metrics, contacts, touched, news, Schemas(), partners, telemetry)

    @property
    def works(self) -> list[Task]:
        """What goes on for all of it."""
        return [] if self.telemetry is None else [self.telemetry.work]


def _nobody(_: Event) -> None:
    """The process that reports it says it."""

"""Who gets what was collected: the subscribers of the configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ami_hes.nouns import STANDARD, Partner

NOUN = "MeterReadings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    """Who gets events, and how they are written."""

    name: str
    address: str
    """Where its events are posted, or which directory they go to (`ami_hes.file_drop`)."""
    file: Literal["xml", "csv"] | None = None
    """Of which kind the files are; None where events are posted."""
    nouns: frozenset[str] = frozenset({NOUN})
    groups: tuple[tuple[str, str], ...] = ()
    """Tags of the registry with their values: meters with one of them; all meters where there is none."""
    typed: bool = False
    """Whether events are the noun's own (CreatedMeterReadings) and not the generic EventMessage."""
    ack_required: bool = True
    values_per_message: int = 2_000
    meters_per_message: int | None = None
    partner: Partner = STANDARD
    """In whose dialect and ReadingTypes they are."""

    def wants(self, noun: str, tags: Mapping[str, str]) -> bool:
        """Whether events of this noun about a meter with these tags are for it."""
        return noun in self.nouns and (not self.groups or any(tags.get(tag) == value for tag, value in self.groups))

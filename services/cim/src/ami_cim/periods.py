"""DateTimeInterval: a period between two moments, either of which may be open."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ami_cim.xml_fields import Shape, moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """DateTimeInterval{end, start}; a side that is None is open."""

    start: datetime | None = None
    end: datetime | None = None


PERIOD: Final = Shape(Period, (moment("end", "end"), moment("start", "start")))
"""The end comes first: the order is alphabetical."""

"""ReadingQualities: what is said of one value, by the three-part code of ReadingQualityType."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ami_cim.xml_fields import Shape, moment, prose, reference, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """`code` is ReadingQualityType@ref: system, category, index; e.g. 1.0.0 (valid, by the end device)."""

    code: str
    comment: str | None = None
    source: str | None = None
    assessed_at: datetime | None = None
    """timeStamp"""


QUALITY: Final = Shape(
    Quality,
    (
        prose("comment", "comment"),
        text("source", "source"),
        moment("timeStamp", "assessed_at"),
        reference("ReadingQualityType", "code", mandatory="1.7"),
    ),
)

"""Meters as the CIS knows them, from the configuration file and from shipment files: by the names of CIM alone."""

from pydantic import BaseModel, ConfigDict, Field


class Meter(BaseModel):
    """A meter as CIM names it; everything else of [[meters]] belongs to the HES and the simulator, who check it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str = Field(min_length=1)
    mrid: str | None = None
    usage_points: tuple[str, ...] = ()

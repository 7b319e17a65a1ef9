"""Meters as the CIS knows them, from the configuration file and from shipment files: by the names of CIM alone, and where their usage points are."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Switch = Literal["connected", "disconnected", "ready"]
"""What the switch of a meter is."""

Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
Address = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Place(BaseModel):
    """Where a usage point is, in degrees of WGS 84, and its address in words.

    In CIM they are ServiceLocation.PositionPoints (`longitude` is xPosition, `latitude` yPosition) and ServiceLocation.mainAddress.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    latitude: Latitude
    longitude: Longitude
    main_address: Address | None = None


class Meter(BaseModel):
    """A meter as CIM names it; everything else of [[meters]] belongs to the HES and the simulator, who check it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str = Field(min_length=1)
    mrid: str | None = None
    usage_points: tuple[str, ...] = ()
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    main_address: Address | None = None

    @model_validator(mode="after")
    def _is_somewhere_or_nowhere(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude belong together, in degrees of WGS 84")
        if self.latitude is None and self.main_address is not None:
            raise ValueError("main_address is of a place: give latitude and longitude too")
        if self.latitude is not None and not self.usage_points:
            raise ValueError("a place is that of a usage point: name it in usage_points")
        return self

    @property
    def place(self) -> Place | None:
        """Where its usage point is, if that is said."""
        if self.latitude is None or self.longitude is None:
            return None
        return Place(latitude=self.latitude, longitude=self.longitude, main_address=self.main_address)

"""A device as an asset, as MeterConfig and EndDeviceConfig have it (IEC 61968-9:2013): its names, its address, its model, its dates.

Of what the profiles have besides (functions and registers, multipliers, seals, ratings) nothing is carried; it is reported in the
payload's `unsupported`."""

from dataclasses import dataclass
from typing import Final

from ami_cim.identity import NAME, Name
from ami_cim.xml_fields import Shape, many, text


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAsset:
    """A Meter or EndDevice. Dates are as they came: xs:date, perhaps with an offset."""

    mrid: str | None = None
    amr_system: str | None = None
    serial_number: str | None = None
    kind: str | None = None
    """type, in words of the sender"""
    lan: str | None = None
    """electronicAddress/lan: where it is called"""
    model: str | None = None
    """EndDeviceInfo/AssetModel/modelNumber"""
    installed_on: str | None = None
    manufactured_on: str | None = None
    received_on: str | None = None
    removed_on: str | None = None
    names: tuple[Name, ...] = ()


DEVICE_ASSET: Final = Shape(
    DeviceAsset,
    (
        text("mRID", "mrid"),
        text("amrSystem", "amr_system"),
        text("serialNumber", "serial_number"),
        text("type", "kind"),
        text("electronicAddress/lan", "lan"),
        text("EndDeviceInfo/AssetModel/modelNumber", "model"),
        text("lifecycle/installationDate", "installed_on"),
        text("lifecycle/manufacturedDate", "manufactured_on"),
        text("lifecycle/receivedDate", "received_on"),
        text("lifecycle/removalDate", "removed_on"),
        many("Names", "names", NAME),
    ),
)

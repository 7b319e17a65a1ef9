"""Master data in CIM over the registry: MeterConfig and EndDeviceConfig, UsagePointConfig, MasterDataLinkageConfig, MeterServiceRequests (IEC 61968-9).

A meter is an entry of the registry, with keys that come by shipment and never by CIM; the usage point that it is at is in its entry."""

from ami_hes.master_data.changes import MakeChange, describing, making, no_change
from ami_hes.master_data.device_orders import DeviceOrders, OpenCommands
from ami_hes.master_data.device_orders import question_of as question_of_devices
from ami_hes.master_data.exchange_orders import ExchangeOrders
from ami_hes.master_data.linkage_orders import LinkageOrders
from ami_hes.master_data.linkage_orders import question_of as question_of_links
from ami_hes.master_data.publishing import TOLD, MasterDataPublisher
from ami_hes.master_data.usage_point_orders import UsagePointOrders
from ami_hes.master_data.usage_point_orders import question_of as question_of_usage_points

__all__ = [
    "TOLD",
    "DeviceOrders",
    "ExchangeOrders",
    "LinkageOrders",
    "MakeChange",
    "MasterDataPublisher",
    "OpenCommands",
    "UsagePointOrders",
    "describing",
    "making",
    "no_change",
    "question_of_devices",
    "question_of_links",
    "question_of_usage_points",
]

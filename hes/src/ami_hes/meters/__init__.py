"""The meters' side of the head-end system: who they are, how they are reached, one holder each, and what they send."""

from ami_hes.meters.association import GetRefused
from ami_hes.meters.faults import MeterFault
from ami_hes.meters.meters import Meters, MetersSettings
from ami_hes.meters.registry import Meter, Registry
from ami_hes.meters.session import Session

__all__ = ["GetRefused", "Meter", "MeterFault", "Meters", "MetersSettings", "Registry", "Session"]

"""The interface classes with code that concern communication, security, firmware, sub-meters and prepayment."""

from ami_meter_sim.objects.association_sn import (
    AssociationSNv0,
    AssociationSNv1,
    AssociationSNv2,
    AssociationSNv3,
    AssociationSNv4,
)
from ami_meter_sim.objects.associations import (
    AssociationLN,
    AssociationLNv0,
    AssociationLNv2,
    AssociationLNv3,
    SapAssignment,
)
from ami_meter_sim.objects.compact_data import CompactData, CompactData1
from ami_meter_sim.objects.image_transfer import ImageTransfer
from ami_meter_sim.objects.mbus_client import MBusClientV0, MBusClientV1
from ami_meter_sim.objects.ntp_setup import NtpSetup
from ami_meter_sim.objects.prepayment import Account, Charge, Credit
from ami_meter_sim.objects.push_setup import PushSetupV0, PushSetupV1, PushSetupV2
from ami_meter_sim.objects.security_setup import SecuritySetupV0, SecuritySetupV1
from ami_meter_sim.objects.setups import (
    GprsModemSetup,
    GsmDiagnostic,
    HdlcSetup,
    Ipv4Setup,
    Ipv6Setup,
    LocalPort,
    MacAddressSetup,
    TcpUdpSetup,
)
from ami_meter_sim.objects.token_gateway import TokenGateway

COMMUNICATION = (
    AssociationSNv0,
    AssociationSNv1,
    AssociationSNv2,
    AssociationSNv3,
    AssociationSNv4,
    AssociationLNv0,
    AssociationLN,
    AssociationLNv2,
    AssociationLNv3,
    SapAssignment,
    ImageTransfer,
    PushSetupV0,
    PushSetupV1,
    PushSetupV2,
    CompactData,
    CompactData1,
    SecuritySetupV0,
    SecuritySetupV1,
    MBusClientV0,
    MBusClientV1,
    Account,
    Credit,
    Charge,
    TokenGateway,
    NtpSetup,
    LocalPort,
    HdlcSetup,
    TcpUdpSetup,
    Ipv4Setup,
    MacAddressSetup,
    GprsModemSetup,
    GsmDiagnostic,
    Ipv6Setup,
)

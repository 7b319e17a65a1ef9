"""What one meter is made of: who it is, who may talk to it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, field

from ami_dlms.association import Security
from ami_dlms.enums import Mechanism
from ami_dlms.frozen import frozen
from ami_meter_sim.load import Site
from ami_meter_sim.objects.device import Identity
from ami_packs.model import Model


@frozen
class ManagementAssociation:
    """The association of the client that may do everything the model allows."""

    _: KW_ONLY
    client_wport: int = 1
    mechanism: Mechanism = Mechanism.LOWEST
    secret: bytes | None = field(default=None, repr=False)
    security: Security | None = None


@frozen
class FurtherAssociation:
    """What an association needs beyond what the model says of it: a secret, or keys, or both."""

    _: KW_ONLY
    secret: bytes | None = field(default=None, repr=False)
    security: Security | None = None


@frozen
class LockOutSetup:
    """After `allowed` wrong keys in a row, None for any number, the management client is left alone for a time that doubles."""

    allowed: int | None = None
    first_s: float = 60.0


@frozen
class MeterSetup:
    """One meter. `further`: associations of the model that have keys, by name; one that is not here is not offered.

    `control_mode` and `time_zone_minutes` count when they differ from the last run's setup.
    """

    _: KW_ONLY
    identity: Identity
    model: Model
    management: ManagementAssociation = ManagementAssociation()
    further: Mapping[str, FurtherAssociation]
    public_client: bool = True
    server_wport: int = 1
    logical_devices: tuple[tuple[int, bytes], ...] = ()
    control_mode: int = 4
    time_zone_minutes: int = 0
    lock_out: LockOutSetup = LockOutSetup()
    push_seed: int = 0
    """Decides, with its name, when a push of it begins whose start is randomised."""
    fast_path: bool = True
    """As of the protocol core's AssociationProfile."""
    site: Callable[[], Site] | None = None
    """Draws what is behind it, which not every dialogue asks for; None: what its name draws."""
    certificates: Callable[[], Sequence[bytes]] = tuple
    """Of its first security setup, in DER, before a client imports or removes any."""

"""Associations beside the management one: what the model says of them, with keys that come from outside."""

from dataclasses import dataclass, field, replace

from ami_dlms.association import Security
from ami_dlms.association.settings import WITH_SECRET, WITH_TITLES
from ami_dlms.errors import LocalError
from ami_dlms.security import GlobalKeys
from ami_meter_sim.meter.setup import FurtherAssociation
from ami_packs.model import Offered


@dataclass(frozen=True, slots=True)
class AssociationSecrets:
    """Keys and secret of an association. `client_title`: of the only client that may ask; a pre-established one needs it."""

    keys: GlobalKeys | None = None
    secret: bytes | None = field(default=None, repr=False)
    client_title: bytes | None = None


def further_association(
    offered: Offered, system_title: bytes | None, given: AssociationSecrets, management: Security | None
) -> FurtherAssociation:
    """The association that the model offers; LocalError says what it needs and has not.

    Suite, way of ciphering and asymmetric keys are those of the management association, if that has any.
    """
    if offered.mechanism in WITH_SECRET and not given.secret:
        raise LocalError(f"authentication {offered.mechanism.name} needs a secret")
    secret = given.secret if offered.mechanism in WITH_SECRET else None
    ciphered = offered.authenticated or offered.encrypted
    if not ciphered and offered.mechanism not in WITH_TITLES:
        return FurtherAssociation(secret=secret)
    if given.keys is None or system_title is None:
        raise LocalError("it needs an encryption_key, an authentication_key and the meter's system_title")
    if offered.pre_established and given.client_title is None:
        raise LocalError("it is pre-established and needs the client_system_title")
    base = management or Security(keys=given.keys, system_title=system_title)
    security = replace(
        base,
        keys=given.keys,
        authenticated=offered.authenticated,
        encrypted=offered.encrypted,
        policy=None,
        peer_system_title=given.client_title,
    )
    return FurtherAssociation(secret=secret, security=security)

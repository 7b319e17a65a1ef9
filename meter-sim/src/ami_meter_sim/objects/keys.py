"""Which security a meter has by now: what its setup says of a security setup (class 64), with what clients have changed since.

Strategy: nothing is copied. Keys that were transferred or agreed, the policy that was activated, key pairs and certificates lie with the
security setup in what the meter keeps (`secrets` for what is secret), and `security_in_force` puts them over the setup whenever
an association is offered. So a change takes effect whole, with the next association, or at once where the model wants it.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ami_dlms.association import Security
from ami_dlms.obis import Obis
from ami_dlms.security import AsymmetricKeys, GlobalKeys, PrivateKey, SecurityPolicy
from ami_meter_sim.objects.certificates import AGREEMENT as KEY_AGREEMENT
from ami_meter_sim.objects.certificates import SIGNATURE, Certificate, Entity
from ami_meter_sim.objects.communication import SECURITY_SETUPS
from ami_meter_sim.objects.secrets import Secret, keep_secret, secret_of

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

SECURITY_SETUP = 64
ASSOCIATION = 15
POLICY = 2
"""security_policy."""
CERTIFICATES, CODED_BY_BITS = -1, -2
"""What a security setup keeps for itself: certificates, and that its policy is coded as in version 1."""
GLOBAL_KEYS = {
    0: (Secret.UNICAST_ENCRYPTION_KEY, "encryption_key"),
    1: (Secret.BROADCAST_ENCRYPTION_KEY, "broadcast_encryption_key"),
    2: (Secret.AUTHENTICATION_KEY, "authentication_key"),
    3: (Secret.MASTER_KEY, "master_key"),
}
"""key_id -> where a changed key lies, and which one it is."""


def security_in_force(device: "Device", setup: Obis, given: Security | None = None) -> Security | None:
    """What counts for the next association that a security setup belongs to; None without one.

    `given` is what the association began with, if that is not what the security setup has.
    """
    given = given or device.communication.securities.get(setup)
    if given is None or device.kept.empty:
        return given
    keys, asymmetric = _global_keys(device, setup, given.keys), _asymmetric(device, setup, given)
    policy = _policy(device, setup) or given.policy
    if keys is given.keys and policy is given.policy and asymmetric is given.asymmetric:
        return given  # as of nearly all meters: a copy would be checked once more
    return replace(given, keys=keys, policy=policy, asymmetric=asymmetric)


def with_keys(security: Security, changed: dict[int, bytes]) -> Security:
    """The same with other keys by key_id; LocalError when one does not fit."""
    return replace(security, keys=_replaced(security.keys, {GLOBAL_KEYS[one][1]: key for one, key in changed.items()}))


def keep_keys(device: "Device", setup: Obis, changed: dict[int, bytes]) -> None:
    """Change global keys by key_id."""
    for key_id, key in changed.items():
        keep_secret(device.kept, SECURITY_SETUP, setup, GLOBAL_KEYS[key_id][0], key)


def _global_keys(device: "Device", setup: Obis, given: GlobalKeys) -> GlobalKeys:
    kept = ((name, secret_of(device.kept, SECURITY_SETUP, setup, which)) for which, name in GLOBAL_KEYS.values())
    return _replaced(given, {name: key for name, key in kept if key is not None})


def _replaced(given: GlobalKeys, changed: dict[str, Any]) -> GlobalKeys:
    return replace(given, **changed) if changed else given


def _policy(device: "Device", setup: Obis) -> SecurityPolicy | None:
    kept = device.kept.get(SECURITY_SETUP, setup, POLICY)
    if kept is None:
        return None
    by_bits = device.kept.get(SECURITY_SETUP, setup, CODED_BY_BITS) is not None
    return (SecurityPolicy.from_version_1 if by_bits else SecurityPolicy.from_version_0)(kept.value)


def _asymmetric(device: "Device", setup: Obis, given: Security) -> AsymmetricKeys:
    """Our own pairs count when their certificates were imported; the client's keys are those of its certificates."""
    changed: dict[str, Any] = {}
    for which, name in ((Secret.SIGNING_KEY, "signing"), (Secret.AGREEMENT_KEY, "agreement")):
        octets = secret_of(device.kept, SECURITY_SETUP, setup, which)
        if octets is not None:
            changed[name] = PrivateKey(octets)
    for certificate in _imported(device, setup) or ():
        if certificate.entity is Entity.CLIENT and certificate.title != given.system_title:
            if given.peer_system_title not in (None, certificate.title):
                continue
            if certificate.purpose in (SIGNATURE, KEY_AGREEMENT):
                changed["peer_signing" if certificate.purpose == SIGNATURE else "peer_agreement"] = (
                    certificate.public_key
                )
    return replace(given.asymmetric, **changed) if changed else given.asymmetric


def certificates_of(device: "Device", setup: Obis) -> Iterator[Certificate]:
    """Those of a security setup in their order: what its maker has put there, until a client imports or removes one."""
    there = _imported(device, setup)
    if there is not None or setup != SECURITY_SETUPS[1]:
        yield from there or ()
        return
    own = device.communication.securities.get(setup)
    for der in device.communication.issued():
        yield Certificate.read(der, b"" if own is None else own.system_title)


def _imported(device: "Device", setup: Obis) -> list[Certificate] | None:
    """All of it, since a client has changed something; None before."""
    kept = device.kept.get(SECURITY_SETUP, setup, CERTIFICATES)
    if kept is None:
        return None
    own = device.communication.securities.get(setup)
    return [Certificate.read(one.value, b"" if own is None else own.system_title) for one in kept.value]


def secret_in_force(device: "Device", client_wport: int, given: bytes | None) -> bytes | None:
    """Password or HLS secret of the association of a client."""
    if device.kept.empty:
        return given
    changed = secret_of(device.kept, ASSOCIATION, association_name(client_wport), Secret.ASSOCIATION_SECRET)
    return given if changed is None else changed


def keep_association_secret(device: "Device", client_wport: int, secret: bytes) -> None:
    """Change password or HLS secret of the association of a client."""
    keep_secret(device.kept, ASSOCIATION, association_name(client_wport), Secret.ASSOCIATION_SECRET, secret)


def association_name(client_wport: int) -> Obis:
    """Under which the secret of a client's association is kept, whatever objects show this association."""
    return Obis(bytes((0, 0, 40, 0)) + client_wport.to_bytes(2, "big"))

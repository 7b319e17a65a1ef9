"""From an entry to the settings of the protocol core: how this meter has to be addressed, and how it protects its APDUs."""

from ami_dlms.association import Ciphering, ClientSettings, Security
from ami_dlms.association.settings import CLIENT_CONFORMANCE, MAX_RESULT_OCTETS, WITH_SECRET
from ami_dlms.enums import Conformance
from ami_dlms.security import AsymmetricKeys, GlobalKeys
from ami_dlms.security.suites import suite_of
from ami_registry.meter import Meter

MAX_UNPROVED_OCTETS = 65536
"""Of what a meter without keys may answer."""
NO_ASYMMETRIC_KEYS = AsymmetricKeys()
CONFORMANCE = CLIENT_CONFORMANCE | Conformance.MULTIPLE_REFERENCES


def client_settings(meter: Meter, system_title: bytes, *, fast_path: bool = True) -> ClientSettings:
    """For the head-end with this system title; LocalError when the entry lacks something. `fast_path`: as of ClientSettings."""
    return ClientSettings(
        client_wport=meter.client_wport,
        server_wport=meter.server_wport,
        mechanism=meter.authentication,
        secret=meter.secret if meter.authentication in WITH_SECRET else None,
        security=security(meter, system_title, meter.system_title, _asymmetric_keys(meter)),
        conformance=CONFORMANCE,
        max_result_octets=MAX_RESULT_OCTETS if meter.keyed else MAX_UNPROVED_OCTETS,
        fast_path=fast_path,
    )


def _asymmetric_keys(meter: Meter) -> AsymmetricKeys:
    if meter.signing_key is None and meter.meter_signing_key is None:
        return NO_ASYMMETRIC_KEYS
    return AsymmetricKeys(meter.signing_key, meter.meter_signing_key)


def security(
    meter: Meter, own_title: bytes, peer_title: bytes | None, asymmetric: AsymmetricKeys = NO_ASYMMETRIC_KEYS
) -> Security | None:
    """Keys and protection as seen from the end with `own_title`; None where nothing needs a system title."""
    if not meter.titled:
        return None
    return Security(
        keys=global_keys(meter),
        system_title=own_title,
        suite=meter.suite,
        authenticated=meter.ciphered,
        encrypted=meter.ciphered,
        peer_system_title=peer_title,
        ciphering=meter.ciphering or Ciphering.GENERAL_GLO,
        asymmetric=asymmetric,
    )


def global_keys(meter: Meter) -> GlobalKeys:
    """The symmetric keys; zeros where there are titles alone and nothing is computed with keys."""
    if not meter.keyed:
        zeros = bytes(suite_of(meter.suite).key_length)
        return GlobalKeys(zeros, zeros)
    return GlobalKeys(meter.encryption_key or b"", meter.authentication_key or b"", master_key=meter.master_key)

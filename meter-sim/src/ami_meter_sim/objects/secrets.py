"""Keys, passwords and shared secrets of a meter that were changed over its setup.

Strategy: they lie in `device.kept` like every other change, so that one commit has a new key with all that belongs to it, under
numbers of attributes that no class has and no object serves. Nothing reads them but this module: no attribute shows one, no
object list names one, and whatever lists what a meter has kept leaves them out by `is_secret`.
"""

from enum import IntEnum, unique

from ami_dlms import data
from ami_dlms.obis import Obis
from ami_meter_sim.objects.memory import Kept

FIRST_SECRET = -64
"""Numbers from here down are secret; what an object keeps for itself otherwise has numbers between them and 0."""


@unique
class Secret(IntEnum):
    """What is secret, by the number under which it is kept; the numbers are on disk and never change."""

    UNICAST_ENCRYPTION_KEY = -64
    BROADCAST_ENCRYPTION_KEY = -65
    AUTHENTICATION_KEY = -66
    MASTER_KEY = -67
    SIGNING_KEY = -72
    AGREEMENT_KEY = -73
    TLS_KEY = -74
    NEW_SIGNING_KEY = -76
    NEW_AGREEMENT_KEY = -77
    NEW_TLS_KEY = -78
    ASSOCIATION_SECRET = -80
    PASSWORD_1 = -88
    PASSWORD_2 = -89
    PASSWORD_5 = -90
    PIN = -91
    MBUS_KEY = -96
    MBUS_TRANSFERRED_KEY = -97


def is_secret(attribute_id: int) -> bool:
    """Whether what is kept under this number of an attribute may be shown nowhere."""
    return attribute_id <= FIRST_SECRET


def secret_of(kept: Kept, class_id: int, obis: Obis, which: Secret) -> bytes | None:
    """The changed secret of an object; None where the meter's setup counts."""
    found = kept.get(class_id, obis, which)
    return None if found is None else bytes(found.value)


def keep_secret(kept: Kept, class_id: int, obis: Obis, which: Secret, octets: bytes | None) -> None:
    """Change a secret of an object; None goes back to the meter's setup."""
    kept.put(class_id, obis, which, None if octets is None else data.octet_string(octets))

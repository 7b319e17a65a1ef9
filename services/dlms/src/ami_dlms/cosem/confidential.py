"""Which attributes and methods carry passwords and keys (IEC 62056-6-2), so that nothing that shows values shows those.

Wrapped keys count as well: the holder of the wrapping key can open what a log has kept. Public keys, certificates and proofs
of HLS are no secrets.
"""

from __future__ import annotations

from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor

SECRET_ATTRIBUTES = frozenset(
    {
        (15, 7),  # Association LN: secret
        (19, 7),  # IEC local port setup: pass_p1
        (19, 8),  # IEC local port setup: pass_p2
        (19, 9),  # IEC local port setup: pass_w5
        (44, 5),  # PPP setup: PPP_authentication
        (45, 3),  # GPRS modem setup: PIN_code
        (46, 4),  # SMTP setup: login_password
        (100, 6),  # NTP setup: authentication_keys
    }
)
SECRET_METHODS = frozenset(
    {
        (12, 5),  # Association SN: change_LLS_secret, change_secret
        (12, 6),  # Association SN: change_HLS_secret
        (15, 2),  # Association LN: change_HLS_secret
        (64, 2),  # Security setup: key_transfer, global_key_transfer
        (72, 7),  # M-Bus client: set_encryption_key
        (72, 8),  # M-Bus client: transfer_key
        (100, 2),  # NTP setup: add_authentication_key
    }
)


def is_secret(descriptor: AttributeDescriptor | MethodDescriptor) -> bool:
    """Whether the value of this attribute, or what goes into this method, is a secret; all attributes at once hold one if any."""
    if isinstance(descriptor, MethodDescriptor):
        return (descriptor.class_id, descriptor.method_id) in SECRET_METHODS
    if descriptor.attribute_id == 0:
        return any(class_id == descriptor.class_id for class_id, _ in SECRET_ATTRIBUTES)
    return (descriptor.class_id, descriptor.attribute_id) in SECRET_ATTRIBUTES

"""What a client may do with attributes and methods, and under which protection (access_mode of Association LN from version 3 on)."""

from __future__ import annotations

from enum import IntFlag
from typing import Protocol

from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor


class AttributeAccess(IntFlag):
    """What a client may do with an attribute, and how requests and answers have to be protected for it.

    The bits are those of access_mode in Association LN from version 3 on.
    """

    NONE = 0
    READ = 1
    WRITE = 2
    AUTHENTICATED_REQUEST = 4
    ENCRYPTED_REQUEST = 8
    DIGITALLY_SIGNED_REQUEST = 16
    AUTHENTICATED_RESPONSE = 32
    ENCRYPTED_RESPONSE = 64
    DIGITALLY_SIGNED_RESPONSE = 128


class MethodAccess(IntFlag):
    """Whether a client may call a method, and under which protection; plain True and False say the first alone."""

    NONE = 0
    ACCESS = 1
    AUTHENTICATED_REQUEST = 4
    ENCRYPTED_REQUEST = 8
    DIGITALLY_SIGNED_REQUEST = 16
    AUTHENTICATED_RESPONSE = 32
    ENCRYPTED_RESPONSE = 64
    DIGITALLY_SIGNED_RESPONSE = 128


class AccessRights(Protocol):
    """What one association shows and allows; asked by the server before the application sees a request."""

    def attribute(self, descriptor: AttributeDescriptor) -> AttributeAccess | None:
        """The access to an attribute, or None when its object is not visible."""

    def method(self, descriptor: MethodDescriptor) -> bool | MethodAccess | None:
        """Whether a method may be called, or None when its object is not visible."""

"""What a client may do with an attribute or method, asked before the application sees a request (Green Book 9.1.4.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ami_dlms.association.access_rights import AccessRights, AttributeAccess, MethodAccess
from ami_dlms.association.events import Action, Get, Set
from ami_dlms.association.protection.authentication import REPLY_TO_HLS_AUTHENTICATION
from ami_dlms.cosem.descriptors import MethodDescriptor
from ami_dlms.enums import ActionResult, Conformance, DataAccessResult
from ami_dlms.security import ProtectionFlags

ASSOCIATION_SN, METHOD_8 = 12, 8

# plain numbers: operators of flags are slow
READ, WRITE = int(AttributeAccess.READ), int(AttributeAccess.WRITE)
ALL_BUT_WRITE = 0xFF & ~WRITE
CALL = int(MethodAccess.ACCESS)
REQUEST_SHIFT, RESPONSE_SHIFT, ALL_FLAGS = 2, 5, 7
CanProtect = Callable[[ProtectionFlags], bool]


class Judgement(NamedTuple):
    """Why an item is refused (None: the client may have it), and which protection its answer needs."""

    denial: DataAccessResult | ActionResult | None
    response: ProtectionFlags = ProtectionFlags.NOTHING


def judge(
    access: AccessRights,
    conformance: Conformance,
    item: Get | Set | Action,
    request_protection: ProtectionFlags,
    can_protect: CanProtect,
) -> Judgement:
    """Judge an item of a request that had these protections; `can_protect` says which an answer could have.

    Where the right is there and protection is missing, the scope of access is violated: the same client may have the item,
    under protection. read-write-denied would say that it may not.
    """
    if isinstance(item, Action):
        return _judge_method(access, item.descriptor, request_protection, can_protect)
    allowed = access.attribute(item.descriptor)
    if allowed is None:
        return Judgement(DataAccessResult.OBJECT_UNDEFINED)
    if not int(allowed) & (READ if isinstance(item, Get) else WRITE):
        return Judgement(DataAccessResult.READ_WRITE_DENIED)
    if item.selection is not None and not Conformance.SELECTIVE_ACCESS & conformance:
        return Judgement(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED)
    if _lacks(int(allowed), request_protection, can_protect):
        return Judgement(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED)
    return Judgement(None, _response(int(allowed)))


def _judge_method(
    access: AccessRights, descriptor: MethodDescriptor, request_protection: ProtectionFlags, can_protect: CanProtect
) -> Judgement:
    """The proof of HLS belongs to the opening and can't be called later."""
    by_name = (descriptor.class_id, descriptor.method_id) == (ASSOCIATION_SN, METHOD_8)
    if by_name or descriptor == REPLY_TO_HLS_AUTHENTICATION:
        return Judgement(ActionResult.READ_WRITE_DENIED)
    allowed = access.method(descriptor)
    if allowed is None:
        return Judgement(ActionResult.OBJECT_UNDEFINED)
    if not int(allowed) & CALL:
        return Judgement(ActionResult.READ_WRITE_DENIED)
    if _lacks(int(allowed), request_protection, can_protect):
        return Judgement(ActionResult.SCOPE_OF_ACCESS_VIOLATED)
    return Judgement(None, _response(int(allowed)))


def _lacks(allowed: int, request_protection: ProtectionFlags, can_protect: CanProtect) -> bool:
    """Whether the request had less than is required, or its answer could not have what is."""
    missing = allowed >> REQUEST_SHIFT & ALL_FLAGS & ~int(request_protection)
    return bool(missing) or (allowed >> RESPONSE_SHIFT != 0 and not can_protect(_response(allowed)))


def _response(allowed: int) -> ProtectionFlags:
    return ProtectionFlags(allowed >> RESPONSE_SHIFT & ALL_FLAGS)

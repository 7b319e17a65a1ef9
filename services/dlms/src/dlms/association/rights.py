"""What a client may do with an attribute or method, asked before the application sees a request (Green Book 9.1.4.3)."""

from __future__ import annotations

from dlms.association.events import Action, Get, Set
from dlms.association.settings import AccessRights, AttributeAccess
from dlms.cosem.descriptors import MethodDescriptor
from dlms.enums import ActionResult, Conformance, DataAccessResult
from dlms.obis import Obis

REPLY_TO_HLS_AUTHENTICATION = MethodDescriptor(15, Obis(bytes((0, 0, 40, 0, 0, 255))), 1)
REPLY_TO_HLS_AUTHENTICATION_BY_NAME = 0xFA58  # method 8 of the current Association SN
ASSOCIATION_SN, METHOD_8 = 12, 8

READ, WRITE = int(AttributeAccess.READ), int(AttributeAccess.WRITE)  # plain numbers: operators of flags are slow


def judge(
    access: AccessRights, conformance: Conformance, item: Get | Set | Action
) -> DataAccessResult | ActionResult | None:
    """Why an item is refused; None when the client may have it."""
    if isinstance(item, Action):
        return _judge_method(access, item.descriptor)
    allowed = access.attribute(item.descriptor)
    if allowed is None:
        return DataAccessResult.OBJECT_UNDEFINED
    if not int(allowed) & (READ if isinstance(item, Get) else WRITE):
        return DataAccessResult.READ_WRITE_DENIED
    if item.selection is not None and not Conformance.SELECTIVE_ACCESS & conformance:
        return DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
    return None


def _judge_method(access: AccessRights, descriptor: MethodDescriptor) -> ActionResult | None:
    """The proof of HLS belongs to the opening and is nobody's to call later."""
    by_name = (descriptor.class_id, descriptor.method_id) == (ASSOCIATION_SN, METHOD_8)
    if by_name or descriptor == REPLY_TO_HLS_AUTHENTICATION:
        return ActionResult.READ_WRITE_DENIED
    allowed = access.method(descriptor)
    if allowed is None:
        return ActionResult.OBJECT_UNDEFINED
    return None if allowed else ActionResult.READ_WRITE_DENIED

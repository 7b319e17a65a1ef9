"""What a client may do with an attribute or method, asked before the application sees a request (Green Book 9.1.4.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ami_dlms.association.events import Action, Get, Set
from ami_dlms.association.settings import AccessRights, AttributeAccess, MethodAccess
from ami_dlms.cosem.descriptors import MethodDescriptor
from ami_dlms.enums import ActionResult, Conformance, DataAccessResult
from ami_dlms.obis import Obis
from ami_dlms.security import Demand

REPLY_TO_HLS_AUTHENTICATION = MethodDescriptor(15, Obis(bytes((0, 0, 40, 0, 0, 255))), 1)
REPLY_TO_HLS_AUTHENTICATION_BY_NAME = 0xFA58  # method 8 of the current Association SN
ASSOCIATION_SN, METHOD_8 = 12, 8

# plain numbers: operators of flags are slow
READ, WRITE = int(AttributeAccess.READ), int(AttributeAccess.WRITE)
ALL_BUT_WRITE = 0xFF & ~WRITE
CALL = int(MethodAccess.ACCESS)
REQUEST_SHIFT, RESPONSE_SHIFT, DEMANDS = 2, 5, 7
CanBear = Callable[[Demand], bool]


class Judgement(NamedTuple):
    """Why an item is refused (None: the client may have it), and what its answer has to bear."""

    denial: DataAccessResult | ActionResult | None
    response: Demand = Demand.NOTHING


def judge(
    access: AccessRights, conformance: Conformance, item: Get | Set | Action, bore: Demand, can_bear: CanBear
) -> Judgement:
    """Judge an item of a request that bore these protections; `can_bear` says what an answer could bear.

    Where the right is there and protection is missing, the scope of access is violated: the same client may have the item,
    under protection. read-write-denied would say that it may not.
    """
    if isinstance(item, Action):
        return _judge_method(access, item.descriptor, bore, can_bear)
    allowed = access.attribute(item.descriptor)
    if allowed is None:
        return Judgement(DataAccessResult.OBJECT_UNDEFINED)
    if not int(allowed) & (READ if isinstance(item, Get) else WRITE):
        return Judgement(DataAccessResult.READ_WRITE_DENIED)
    if item.selection is not None and not Conformance.SELECTIVE_ACCESS & conformance:
        return Judgement(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED)
    if _lacks(int(allowed), bore, can_bear):
        return Judgement(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED)
    return Judgement(None, _response(int(allowed)))


def _judge_method(access: AccessRights, descriptor: MethodDescriptor, bore: Demand, can_bear: CanBear) -> Judgement:
    """The proof of HLS belongs to the opening and is nobody's to call later."""
    by_name = (descriptor.class_id, descriptor.method_id) == (ASSOCIATION_SN, METHOD_8)
    if by_name or descriptor == REPLY_TO_HLS_AUTHENTICATION:
        return Judgement(ActionResult.READ_WRITE_DENIED)
    allowed = access.method(descriptor)
    if allowed is None:
        return Judgement(ActionResult.OBJECT_UNDEFINED)
    if not int(allowed) & CALL:
        return Judgement(ActionResult.READ_WRITE_DENIED)
    if _lacks(int(allowed), bore, can_bear):
        return Judgement(ActionResult.SCOPE_OF_ACCESS_VIOLATED)
    return Judgement(None, _response(int(allowed)))


def _lacks(allowed: int, bore: Demand, can_bear: CanBear) -> bool:
    """Whether the request bore less than is demanded, or its answer could not bear what is."""
    missing = allowed >> REQUEST_SHIFT & DEMANDS & ~int(bore)
    return bool(missing) or (allowed >> RESPONSE_SHIFT != 0 and not can_bear(_response(allowed)))


def _response(allowed: int) -> Demand:
    return Demand(allowed >> RESPONSE_SHIFT & DEMANDS)

"""How much harm a step can do, judged by what it sends and not by the test that sends it: a wrong row of the plan then costs a verdict and no meter.

What is not an APDU that can be read here counts as malformed. A method that its class does not have can do nothing.
"""

from __future__ import annotations

from enum import IntEnum

from ami_dlms import apdu
from ami_dlms.apdu import Apdu
from ami_dlms.apdu.access import (
    AccessRequest,
    AccessRequestAction,
    AccessRequestSet,
    AccessRequestSetWithSelection,
    AccessRequestSpecification,
)
from ami_dlms.apdu.acse import Aarq, Rlrq
from ami_dlms.apdu.action import (
    ActionRequestNextBlock,
    ActionRequestNormal,
    ActionRequestWithBlock,
    ActionRequestWithFirstBlock,
    ActionRequestWithList,
    ActionRequestWithListAndFirstBlock,
)
from ami_dlms.apdu.blocks import GeneralBlockTransfer
from ami_dlms.apdu.get import GetRequestNext, GetRequestNormal, GetRequestWithList
from ami_dlms.apdu.set import (
    SetRequestNormal,
    SetRequestWithDataBlock,
    SetRequestWithFirstDataBlock,
    SetRequestWithList,
    SetRequestWithListAndFirstDataBlock,
)
from ami_dlms.association.protection.authentication import REPLY_TO_HLS_AUTHENTICATION
from ami_dlms.cosem.classes import class_versions
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.errors import DlmsError


class Safety(IntEnum):
    """What a step may do to a meter in service."""

    S0 = 0
    """Reads."""
    S1 = 1
    """Malformed or unusual: may end a session, count as a failed attempt, write a log of security."""
    S2 = 2
    """Writes that are put back."""
    S3 = 3
    """What a customer may notice: the clock, tariffs, the supply, billing, a load of requests."""
    S4 = 4
    """What the test can't undo: keys, policy, firmware, profiles and logs that are emptied."""

    def __str__(self) -> str:
        return self.name.lower()


READS = (Aarq, Rlrq, GetRequestNormal, GetRequestNext, GetRequestWithList, ActionRequestNextBlock)
BLOCKS_OF_A_METHOD = (ActionRequestWithBlock, ActionRequestWithListAndFirstBlock)
FOR_GOOD = frozenset({7, 15, 18, 64, 72, 111, 112, 113, 115})
"""Classes whose methods can't be undone: they empty buffers, change secrets, keys and firmware, install devices, move money."""

LOGICAL_NAME = 1
KEPT_FOR_GOOD = frozenset({7, 9, 15, 18, 64, 72, 111, 112, 113, 115, 124})
"""Classes whose attributes are rights, secrets, scripts, buffers that a write empties, firmware and money."""
FELT = frozenset({3, 4, 5, 6, 8, 10, 19, 21, 23, 41, 42, 45, 48, 65, 68, 70, 71})
"""Classes whose attributes are the clock, tariffs, counters, limits, the switch, and the way by which the meter is reached."""


def safety_of(message: Apdu | None) -> Safety:
    """Of a message; None: octets that are no APDU."""
    match message:
        case None:
            return Safety.S1
        case _ if isinstance(message, READS):
            return Safety.S0
        case SetRequestNormal() | SetRequestWithFirstDataBlock():
            return safety_of_attribute(message.descriptor)
        case SetRequestWithList() | SetRequestWithListAndFirstDataBlock():
            return max((safety_of_attribute(one.descriptor) for one in message.items), default=Safety.S1)
        case SetRequestWithDataBlock():
            return Safety.S2
        case ActionRequestNormal() | ActionRequestWithFirstBlock():
            return safety_of_method(message.descriptor)
        case ActionRequestWithList():
            return max(map(safety_of_method, message.descriptors), default=Safety.S1)
        case _ if isinstance(message, BLOCKS_OF_A_METHOD):
            return Safety.S3
        case AccessRequest():
            return max(map(_of_specification, message.specifications), default=Safety.S1)
        case GeneralBlockTransfer():
            return _of_block(message)
        case _:
            return Safety.S1


def safety_of_method(descriptor: MethodDescriptor) -> Safety:
    """Of a call of a method, whatever its parameters."""
    if descriptor == REPLY_TO_HLS_AUTHENTICATION:
        return Safety.S0
    known = [one for (class_id, _), one in class_versions().items() if class_id == descriptor.class_id]
    if known and all(method.number != descriptor.method_id for one in known for method in one.methods):
        return Safety.S1
    return Safety.S4 if descriptor.class_id in FOR_GOOD else Safety.S3


def safety_of_attribute(descriptor: AttributeDescriptor) -> Safety:
    """Of a write of an attribute, whatever the value. Its name is the same for ever: no meter takes another one."""
    if descriptor.attribute_id == LOGICAL_NAME:
        return Safety.S2
    if descriptor.class_id in KEPT_FOR_GOOD:
        return Safety.S4
    return Safety.S3 if descriptor.class_id in FELT else Safety.S2


def _of_specification(wanted: AccessRequestSpecification) -> Safety:
    """Of one item of ACCESS: what the service of its own would be."""
    match wanted:
        case AccessRequestSet() | AccessRequestSetWithSelection():
            return safety_of_attribute(wanted.descriptor)
        case AccessRequestAction():
            return safety_of_method(wanted.descriptor)
    return Safety.S0


def _of_block(block: GeneralBlockTransfer) -> Safety:
    """Of a block of general block transfer: of what it carries. A part of something larger may be of anything."""
    if not block.block_data:
        return Safety.S0
    if block.block_number != 1 or not block.block_control.last_block:
        return Safety.S4
    try:
        return safety_of(apdu.decode(block.block_data))
    except DlmsError:
        return Safety.S1

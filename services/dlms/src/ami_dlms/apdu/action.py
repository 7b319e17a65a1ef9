"""ACTION service (IEC 62056-5-3, clause 7.5): normal, with-list, and parameters or results spread over blocks."""

from __future__ import annotations

from dataclasses import field

from ami_dlms.apdu.fields import (
    ActionResponses,
    ActionResultCode,
    DataBlock,
    DataValues,
    InvokeIdAndPriority,
    MethodReference,
    MethodReferences,
    OptionalData,
    OptionalGetDataResult,
    Unsigned32,
)
from ami_dlms.frozen import frozen


@frozen
class ActionRequestNormal:
    """Action-Request-Normal; the parameters may be a secret and are not shown."""

    invoke_id_and_priority: InvokeIdAndPriority
    descriptor: MethodReference
    parameters: OptionalData = field(default=None, repr=False)


@frozen
class ActionRequestNextBlock:
    """Action-Request-Next-Pblock: asks for the block of the result that follows `block_number`."""

    invoke_id_and_priority: InvokeIdAndPriority
    block_number: Unsigned32


@frozen
class ActionRequestWithList:
    """Action-Request-With-List: as many parameters as methods, null-data where a method takes none."""

    invoke_id_and_priority: InvokeIdAndPriority
    descriptors: MethodReferences
    parameters: DataValues = field(repr=False)


@frozen
class ActionRequestWithFirstBlock:
    """Action-Request-With-First-Pblock."""

    invoke_id_and_priority: InvokeIdAndPriority
    descriptor: MethodReference
    block: DataBlock


@frozen
class ActionRequestWithListAndFirstBlock:
    """Action-Request-With-List-And-First-Pblock."""

    invoke_id_and_priority: InvokeIdAndPriority
    descriptors: MethodReferences
    block: DataBlock


@frozen
class ActionRequestWithBlock:
    """Action-Request-With-Pblock: every block after the first."""

    invoke_id_and_priority: InvokeIdAndPriority
    block: DataBlock


@frozen
class ActionResponseNormal:
    """Action-Response-Normal."""

    invoke_id_and_priority: InvokeIdAndPriority
    result: ActionResultCode
    return_parameters: OptionalGetDataResult = None


@frozen
class ActionResponseWithBlock:
    """Action-Response-With-Pblock."""

    invoke_id_and_priority: InvokeIdAndPriority
    block: DataBlock


@frozen
class ActionResponseWithList:
    """Action-Response-With-List: one result for each method of the request, in its order."""

    invoke_id_and_priority: InvokeIdAndPriority
    results: ActionResponses


@frozen
class ActionResponseNextBlock:
    """Action-Response-Next-Pblock: this block was taken, send the next."""

    invoke_id_and_priority: InvokeIdAndPriority
    block_number: Unsigned32

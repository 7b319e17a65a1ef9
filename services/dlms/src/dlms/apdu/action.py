"""ACTION service (IEC 62056-5-3, clause 7.5): normal, with-list, and parameters or results spread over blocks."""

from __future__ import annotations

from dataclasses import dataclass, field

from dlms.apdu.fields import (
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


@dataclass(frozen=True, slots=True)
class ActionRequestNormal:
    """Action-Request-Normal; the parameters may be a secret and are not shown."""

    invoke_id_and_priority: InvokeIdAndPriority
    descriptor: MethodReference
    parameters: OptionalData = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ActionRequestNextBlock:
    """Action-Request-Next-Pblock: asks for the block of the result that follows `block_number`."""

    invoke_id_and_priority: InvokeIdAndPriority
    block_number: Unsigned32


@dataclass(frozen=True, slots=True)
class ActionRequestWithList:
    """Action-Request-With-List: as many parameters as methods, null-data where a method takes none."""

    invoke_id_and_priority: InvokeIdAndPriority
    descriptors: MethodReferences
    parameters: DataValues = field(repr=False)


@dataclass(frozen=True, slots=True)
class ActionRequestWithFirstBlock:
    """Action-Request-With-First-Pblock."""

    invoke_id_and_priority: InvokeIdAndPriority
    descriptor: MethodReference
    block: DataBlock


@dataclass(frozen=True, slots=True)
class ActionRequestWithListAndFirstBlock:
    """Action-Request-With-List-And-First-Pblock."""

    invoke_id_and_priority: InvokeIdAndPriority
    descriptors: MethodReferences
    block: DataBlock


@dataclass(frozen=True, slots=True)
class ActionRequestWithBlock:
    """Action-Request-With-Pblock: every block after the first."""

    invoke_id_and_priority: InvokeIdAndPriority
    block: DataBlock


@dataclass(frozen=True, slots=True)
class ActionResponseNormal:
    """Action-Response-Normal."""

    invoke_id_and_priority: InvokeIdAndPriority
    result: ActionResultCode
    return_parameters: OptionalGetDataResult = None


@dataclass(frozen=True, slots=True)
class ActionResponseWithBlock:
    """Action-Response-With-Pblock."""

    invoke_id_and_priority: InvokeIdAndPriority
    block: DataBlock


@dataclass(frozen=True, slots=True)
class ActionResponseWithList:
    """Action-Response-With-List: one result for each method of the request, in its order."""

    invoke_id_and_priority: InvokeIdAndPriority
    results: ActionResponses


@dataclass(frozen=True, slots=True)
class ActionResponseNextBlock:
    """Action-Response-Next-Pblock: this block was taken, send the next."""

    invoke_id_and_priority: InvokeIdAndPriority
    block_number: Unsigned32

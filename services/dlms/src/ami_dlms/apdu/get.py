"""GET service (IEC 62056-5-3, clause 7.3): request normal, next, with-list; response normal, with-datablock, with-list."""

from __future__ import annotations

from ami_dlms.apdu.fields import (
    AttributeItems,
    AttributeReference,
    Boolean,
    GetDataResult,
    GetDataResults,
    InvokeIdAndPriority,
    OptionalSelection,
    RawDataResult,
    Unsigned32,
)
from ami_dlms.frozen import frozen


@frozen
class GetRequestNormal:
    """Get-Request-Normal."""

    invoke_id_and_priority: InvokeIdAndPriority
    descriptor: AttributeReference
    selection: OptionalSelection = None


@frozen
class GetRequestNext:
    """Get-Request-Next: asks for the block that follows `block_number`."""

    invoke_id_and_priority: InvokeIdAndPriority
    block_number: Unsigned32


@frozen
class GetRequestWithList:
    """Get-Request-With-List: several attributes, each with its own selection."""

    invoke_id_and_priority: InvokeIdAndPriority
    items: AttributeItems


@frozen
class GetResponseNormal:
    """Get-Response-Normal."""

    invoke_id_and_priority: InvokeIdAndPriority
    result: GetDataResult


@frozen
class GetResponseWithDataBlock:
    """Get-Response-With-Datablock: raw octets of the encoded result, or why there are none."""

    invoke_id_and_priority: InvokeIdAndPriority
    last_block: Boolean
    block_number: Unsigned32
    result: RawDataResult


@frozen
class GetResponseWithList:
    """Get-Response-With-List: one result for each item of the request, in its order."""

    invoke_id_and_priority: InvokeIdAndPriority
    results: GetDataResults

"""SET service (IEC 62056-5-3, clause 7.4): normal, with-list, and both spread over data blocks."""

from __future__ import annotations

from dataclasses import field

from ami_dlms.apdu.fields import (
    AttributeItems,
    AttributeReference,
    DataAccessResultCode,
    DataAccessResults,
    DataBlock,
    DataValue,
    DataValues,
    InvokeIdAndPriority,
    OptionalSelection,
    Unsigned32,
)
from ami_dlms.frozen import frozen


@frozen
class SetRequestNormal:
    """Set-Request-Normal; the value may be a secret and is not shown."""

    invoke_id_and_priority: InvokeIdAndPriority
    descriptor: AttributeReference
    selection: OptionalSelection
    value: DataValue = field(repr=False)


@frozen
class SetRequestWithFirstDataBlock:
    """Set-Request-With-First-Datablock."""

    invoke_id_and_priority: InvokeIdAndPriority
    descriptor: AttributeReference
    selection: OptionalSelection
    block: DataBlock


@frozen
class SetRequestWithDataBlock:
    """Set-Request-With-Datablock: every block after the first."""

    invoke_id_and_priority: InvokeIdAndPriority
    block: DataBlock


@frozen
class SetRequestWithList:
    """Set-Request-With-List: as many values as items."""

    invoke_id_and_priority: InvokeIdAndPriority
    items: AttributeItems
    values: DataValues = field(repr=False)


@frozen
class SetRequestWithListAndFirstDataBlock:
    """Set-Request-With-List-And-First-Datablock: the list of values is what the blocks carry."""

    invoke_id_and_priority: InvokeIdAndPriority
    items: AttributeItems
    block: DataBlock


@frozen
class SetResponseNormal:
    """Set-Response-Normal."""

    invoke_id_and_priority: InvokeIdAndPriority
    result: DataAccessResultCode


@frozen
class SetResponseDataBlock:
    """Set-Response-Datablock: this block was taken, send the next."""

    invoke_id_and_priority: InvokeIdAndPriority
    block_number: Unsigned32


@frozen
class SetResponseLastDataBlock:
    """Set-Response-Last-Datablock."""

    invoke_id_and_priority: InvokeIdAndPriority
    result: DataAccessResultCode
    block_number: Unsigned32


@frozen
class SetResponseLastDataBlockWithList:
    """Set-Response-Last-Datablock-With-List."""

    invoke_id_and_priority: InvokeIdAndPriority
    results: DataAccessResults
    block_number: Unsigned32


@frozen
class SetResponseWithList:
    """Set-Response-With-List."""

    invoke_id_and_priority: InvokeIdAndPriority
    results: DataAccessResults

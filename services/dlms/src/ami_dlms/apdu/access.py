"""ACCESS service (IEC 62056-5-3, clause 7.6): any mixture of reading, writing and calling in one request.

The request names what it wants in one list and the data in a second one of the same length (null-data where an item
takes none); the response gives the data back in a list of that length and the results in another.
"""

from __future__ import annotations

from dataclasses import field
from typing import Annotated

from ami_dlms.apdu.codec import Choice, Optional, SequenceOf, sequence
from ami_dlms.apdu.fields import (
    ActionResultCode,
    AttributeReference,
    DataAccessResultCode,
    DataValues,
    DateTimeOrNothing,
    LongInvokeIdAndPriority,
    MethodReference,
    Selection,
)
from ami_dlms.frozen import frozen

SELF_DESCRIPTIVE = 1 << 28
BREAK_ON_ERROR = 1 << 29
CONFIRMED = 1 << 30
HIGH_PRIORITY = 1 << 31
LONG_INVOKE_ID_MASK = 0xFFFFFF


@frozen
class AccessRequestGet:
    """Access-Request-Get."""

    descriptor: AttributeReference


@frozen
class AccessRequestSet:
    """Access-Request-Set."""

    descriptor: AttributeReference


@frozen
class AccessRequestAction:
    """Access-Request-Action."""

    descriptor: MethodReference


@frozen
class AccessRequestGetWithSelection:
    """Access-Request-Get-With-Selection."""

    descriptor: AttributeReference
    selection: Selection


@frozen
class AccessRequestSetWithSelection:
    """Access-Request-Set-With-Selection."""

    descriptor: AttributeReference
    selection: Selection


@frozen
class AccessResponseGet:
    """Access-Response-Get."""

    result: DataAccessResultCode


@frozen
class AccessResponseSet:
    """Access-Response-Set."""

    result: DataAccessResultCode


@frozen
class AccessResponseAction:
    """Access-Response-Action."""

    result: ActionResultCode


AccessRequestSpecification = (
    AccessRequestGet
    | AccessRequestSet
    | AccessRequestAction
    | AccessRequestGetWithSelection
    | AccessRequestSetWithSelection
)
AccessResponseSpecification = AccessResponseGet | AccessResponseSet | AccessResponseAction

_REQUESTS = (
    AccessRequestGet,
    AccessRequestSet,
    AccessRequestAction,
    AccessRequestGetWithSelection,
    AccessRequestSetWithSelection,
)
_RESPONSES = (AccessResponseGet, AccessResponseSet, AccessResponseAction)
_REQUEST_LIST = SequenceOf(Choice({number: (kind, sequence(kind)) for number, kind in enumerate(_REQUESTS, 1)}))
_RESPONSE_LIST = SequenceOf(Choice({number: (kind, sequence(kind)) for number, kind in enumerate(_RESPONSES, 1)}))


@frozen
class AccessRequest:
    """Access-Request; the data may hold secrets and are not shown."""

    long_invoke_id_and_priority: LongInvokeIdAndPriority
    date_time: DateTimeOrNothing
    specifications: Annotated[tuple[AccessRequestSpecification, ...], _REQUEST_LIST]
    values: DataValues = field(repr=False)


@frozen
class AccessResponse:
    """Access-Response; the request's specifications come back only when the request was self-descriptive."""

    long_invoke_id_and_priority: LongInvokeIdAndPriority
    date_time: DateTimeOrNothing
    request_specifications: Annotated[tuple[AccessRequestSpecification, ...] | None, Optional(_REQUEST_LIST)]
    values: DataValues
    results: Annotated[tuple[AccessResponseSpecification, ...], _RESPONSE_LIST]

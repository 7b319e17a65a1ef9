"""Which exchange carries out which request of a client, and the one that carries the proof of HLS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ami_dlms import apdu, data
from ami_dlms.apdu import Apdu
from ami_dlms.apdu.access import CONFIRMED as LONG_CONFIRMED
from ami_dlms.apdu.access import AccessRequest, AccessResponse
from ami_dlms.apdu.action import (
    ActionRequestNormal,
    ActionRequestWithList,
    ActionResponseNextBlock,
    ActionResponseNormal,
    ActionResponseWithBlock,
    ActionResponseWithList,
)
from ami_dlms.apdu.get import GetResponseNormal, GetResponseWithDataBlock, GetResponseWithList
from ami_dlms.apdu.set import (
    SetRequestNormal,
    SetRequestWithList,
    SetResponseDataBlock,
    SetResponseLastDataBlock,
    SetResponseLastDataBlockWithList,
    SetResponseNormal,
    SetResponseWithList,
)
from ami_dlms.apdu.short_names import ReadResponse, UnconfirmedWriteRequest, WriteRequest, WriteResponse
from ami_dlms.association.client.access import AccessExchange
from ami_dlms.association.client.exchange import Exchange, ExchangeLimits
from ami_dlms.association.client.ln import (
    ActionExchange,
    ActionListExchange,
    SetExchange,
    SetListExchange,
    get_exchange,
    get_list_exchange,
)
from ami_dlms.association.client.sn import start_proof_sn, start_sn
from ami_dlms.association.events import Access, Action, ActionList, Get, GetList, Read, Set, SetList, Write
from ami_dlms.association.protection.authentication import (
    REPLY_TO_HLS_AUTHENTICATION,
    REPLY_TO_HLS_AUTHENTICATION_BY_NAME,
    octets_of,
)
from ami_dlms.association.states import ClientEvent
from ami_dlms.cosem.short_names import ShortNames
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, Conformance
from ami_dlms.errors import LocalError, ProtocolError

SERVICE_RESPONSES: frozenset[type] = frozenset(
    {
        GetResponseNormal,
        GetResponseWithDataBlock,
        GetResponseWithList,
        SetResponseNormal,
        SetResponseDataBlock,
        SetResponseLastDataBlock,
        SetResponseLastDataBlockWithList,
        SetResponseWithList,
        ActionResponseNormal,
        ActionResponseWithBlock,
        ActionResponseWithList,
        ActionResponseNextBlock,
        AccessResponse,
        ReadResponse,
        WriteResponse,
    }
)
_UNCONFIRMED = SetRequestNormal | SetRequestWithList | ActionRequestNormal | ActionRequestWithList
CONFIRMED = 0x40
BY_LOGICAL_NAME, BY_SHORT_NAME = (Access,), (Read, Write)
ServiceRequest = Get | Set | Action | GetList | SetList | ActionList | Access | Read | Write

_EXCHANGES: dict[type, Callable[[int, Any, ExchangeLimits], Exchange]] = {
    Get: get_exchange,
    Set: SetExchange,
    Action: ActionExchange,
    GetList: get_list_exchange,
    SetList: SetListExchange,
    ActionList: ActionListExchange,
    Access: AccessExchange,
}


def start(request: ServiceRequest, number: int, limits: ExchangeLimits, names: ShortNames | None) -> Exchange:
    """Begin to carry out the request with this number; LocalError when its service was not negotiated or has no place."""
    if isinstance(request, BY_LOGICAL_NAME if names is not None else BY_SHORT_NAME):
        raise LocalError(f"{type(request).__name__} has no place in an association with this way of naming")
    exchange = _EXCHANGES[type(request)](number, request, limits) if names is None else start_sn(request, limits, names)
    missing = int(exchange.needed) & ~int(limits.conformance)
    if missing:
        raise LocalError(f"{type(request).__name__} was not negotiated with this server: {Conformance(missing).name}")
    return exchange


def unconfirmed(
    request: Set | SetList | Action | ActionList | Access | Write,
    number: int,
    limits: ExchangeLimits,
    names: ShortNames | None,
) -> bytes:
    """A request that asks for no answer; LocalError when there is no such thing, or it takes more than one APDU."""
    if limits.conformance & Conformance.UNCONFIRMED_WRITE:
        limits = limits._replace(conformance=limits.conformance | Conformance.WRITE)
    exchange = start(request, number, limits, names)
    message = apdu.decode(exchange.first)
    if exchange.event is ClientEvent.SEND_FIRST_BLOCK:
        raise LocalError("a request without an answer has to fit one APDU")
    if isinstance(message, WriteRequest):
        if not limits.conformance & Conformance.UNCONFIRMED_WRITE:
            raise LocalError("UNCONFIRMED_WRITE was not negotiated with this server")
        return apdu.encode(UnconfirmedWriteRequest(message.variables, message.values))
    if isinstance(message, AccessRequest):
        return apdu.encode(
            replace(message, long_invoke_id_and_priority=message.long_invoke_id_and_priority & ~LONG_CONFIRMED)
        )
    if not isinstance(message, _UNCONFIRMED):
        raise LocalError(f"{type(message).__name__} can't go without an answer")
    return apdu.encode(replace(message, invoke_id_and_priority=message.invoke_id_and_priority & ~CONFIRMED))


def start_proof(proof: bytes, number: int, limits: ExchangeLimits, names: ShortNames | None) -> Exchange:
    """Begin to call reply_to_HLS_authentication."""
    if names is not None:
        return start_proof_sn(REPLY_TO_HLS_AUTHENTICATION_BY_NAME, proof, limits)
    return ActionExchange(number, Action(REPLY_TO_HLS_AUTHENTICATION, data.octet_string(proof)), limits)


def proof_of(message: Apdu) -> bytes | None:
    """The server's proof, None when it refuses ours; ProtocolError when a message is no answer to it."""
    if isinstance(message, ActionResponseNormal):
        returned = message.return_parameters if message.result is ActionResult.SUCCESS else None
        refused = message.result is not ActionResult.SUCCESS
    elif isinstance(message, ReadResponse) and len(message.results) == 1:
        (result,) = message.results
        returned = result if isinstance(result, Data) else None
        refused = returned is None
    else:
        raise ProtocolError("the answer to our proof is none")
    return None if refused else octets_of(returned if isinstance(returned, Data) else None)

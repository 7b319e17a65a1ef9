"""Which exchange carries out which request of a client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dlms.association.access_exchange import AccessExchange
from dlms.association.events import Access, Action, ActionList, Get, GetList, Set, SetList
from dlms.association.exchange import Exchange, Limits
from dlms.association.exchanges import (
    ActionExchange,
    ActionListExchange,
    GetExchange,
    GetListExchange,
    SetExchange,
    SetListExchange,
)
from dlms.enums import Conformance
from dlms.errors import LocalError

ServiceRequest = Get | Set | Action | GetList | SetList | ActionList | Access

_EXCHANGES: dict[type, Callable[[int, Any, Limits], Exchange]] = {
    Get: GetExchange,
    Set: SetExchange,
    Action: ActionExchange,
    GetList: GetListExchange,
    SetList: SetListExchange,
    ActionList: ActionListExchange,
    Access: AccessExchange,
}


def start(request: ServiceRequest, number: int, limits: Limits) -> Exchange:
    """Begin to carry out the request with this number; LocalError when its service was not negotiated."""
    exchange = _EXCHANGES[type(request)](number, request, limits)
    missing = int(exchange.needs) & ~int(limits.conformance)
    if missing:
        raise LocalError(f"{type(request).__name__} was not negotiated with this server: {Conformance(missing).name}")
    return exchange

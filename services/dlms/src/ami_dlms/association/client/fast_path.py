"""The fast path of a client: GET of one attribute without selection, in the frames of fast ciphering.

Everything is looked at before anything moves. What is not exactly that gives None, and the general path decides from the
beginning. The connection takes both steps through its state table, as for every other request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import error as StructError

from ami_dlms.apdu.fast_get import (
    GET_RESPONSE_NORMAL,
    GET_RESPONSE_WITH_LIST,
    REQUEST_SIZE,
    encoded_array_in,
    request_for,
    results_in,
    value_in,
)
from ami_dlms.association.client.exchange import INVOKE_ID_MASK, SUCCESS, Exchange, invoke_flags, invoke_id
from ami_dlms.association.client.ln import EncodedGetExchange, EncodedGetListExchange, GetExchange
from ami_dlms.association.events import Get, GetListResult, GetResult
from ami_dlms.association.protection.apdu_protection import largest_plaintext
from ami_dlms.association.protection.association_protection import AssociationProtection
from ami_dlms.association.protection.fast_ciphering import FastCiphering
from ami_dlms.association.settings import ClientSettings
from ami_dlms.data import Data

_VALUES: Mapping[type, Callable[[bytes], Data | None]] = {GetExchange: value_in, EncodedGetExchange: encoded_array_in}
"""By the exchange: how the value of a response is taken."""


class FastPath:
    """Plain GETs of one open association."""

    __slots__ = ("_flags", "protection", "seal")

    def __init__(self, settings: ClientSettings, ciphering: FastCiphering) -> None:
        self._flags = invoke_flags(high_priority=settings.high_priority)
        self.protection = ciphering.protection
        self.seal = ciphering.seal

    def get(self, request: Get, number: int) -> GetExchange | None:
        """The exchange of the request with this number; None when it is more than a plain GET."""
        if request.selection is not None or request.encoded:
            return None
        invoke = self._flags | invoke_id(number)
        try:
            return GetExchange(invoke, request_for(invoke, request.descriptor))
        except StructError:
            return None


def fast_path(settings: ClientSettings, protection: AssociationProtection | None, limit: int) -> FastPath | None:
    """The fast path of an association whose server takes `limit` octets; None where plain GETs are not sent so, or hardly fit."""
    fast = None if protection is None else protection.fast
    if protection is None or fast is None or settings.short_names is not None:
        return None
    fits = largest_plaintext(limit, fast.protection) >= REQUEST_SIZE
    return FastPath(settings, fast) if fits and fast.protection == protection.usual_protection else None


def result_in(plaintext: bytes, exchange: Exchange | None) -> GetResult | GetListResult | None:
    """The value of a response in one APDU to this exchange, or the values with a long array; None for everything else."""
    if exchange is None or len(plaintext) <= len(GET_RESPONSE_NORMAL):
        return None
    if (plaintext[2] ^ exchange.invoke_id_and_priority) & INVOKE_ID_MASK:
        return None
    if type(exchange) is EncodedGetListExchange:
        results = results_in(plaintext) if plaintext[:2] == GET_RESPONSE_WITH_LIST else None
        return None if results is None else exchange.results(results)
    value_of = _VALUES.get(type(exchange))
    if value_of is None or plaintext[:2] != GET_RESPONSE_NORMAL:
        return None
    value = value_of(plaintext)
    return None if value is None else GetResult(value, SUCCESS)

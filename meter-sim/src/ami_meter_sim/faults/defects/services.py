"""Defects of the services GET, SET and ACTION: what is answered in place of what the standard wants."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import PrivateAttr

from ami_dlms import apdu
from ami_dlms.apdu import Apdu
from ami_dlms.apdu.action import ActionRequestNormal, ActionResponseNormal
from ami_dlms.apdu.faults import ExceptionResponse
from ami_dlms.apdu.get import GetResponseNormal, GetResponseWithList
from ami_dlms.association import AssociationProfile, ItemResult
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, ApduTag, DataAccessResult, ServiceError, StateError
from ami_dlms.errors import DecodeError
from ami_dlms.framing.framing import LinkLost, WrapperPdu
from ami_meter_sim.effects import Effect, Send
from ami_meter_sim.faults.defects.defect import Defect, InsideDefect
from ami_meter_sim.faults.fault import Arrived, Item, Occasion, with_apdu

WITH_INVOKE_ID = frozenset({ApduTag.GET_RESPONSE, ApduTag.SET_RESPONSE, ApduTag.ACTION_RESPONSE})
INVOKE_ID = 2
INVOKE_ID_BITS = 0x0F
MOST_METHODS = 12


class ExceptionForUnknown(InsideDefect):
    """Answer the GET of an object that there is not by an exception-response instead of object-undefined."""

    _undefined: bool = PrivateAttr(default=False)

    def changed(self, message: Apdu) -> Apdu:
        """Nothing yet: an exception goes out in clear, whatever the association protects."""
        undefined = DataAccessResult.OBJECT_UNDEFINED
        self._undefined = isinstance(message, GetResponseNormal) and message.result is undefined
        return message

    def on_frame(self, leaving: Sequence[Effect], occasion: Occasion) -> Sequence[Effect]:
        """The exception."""
        if not self._undefined:
            return leaving
        self._undefined = False
        exception = apdu.encode(ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.OTHER_REASON))
        return [Send(with_apdu(one.octets, exception)) if isinstance(one, Send) else one for one in leaving]


class LosesInvokeId(InsideDefect):
    """Answer with the invoke id 0 whatever was asked with."""

    def leaves(self, octets: bytes) -> bytes:
        """The same, with the priority alone."""
        if octets[0] not in WITH_INVOKE_ID:
            return octets
        return octets[:INVOKE_ID] + bytes((octets[INVOKE_ID] & ~INVOKE_ID_BITS,)) + octets[INVOKE_ID + 1 :]


class ListEndsAtError(InsideDefect):
    """End the answer to a GET with list at its first error."""

    def changed(self, message: Apdu) -> Apdu:
        """The results up to it."""
        if not isinstance(message, GetResponseWithList):
            return message
        errors = [number for number, one in enumerate(message.results) if not isinstance(one, Data)]
        return replace(message, results=message.results[: errors[0] + 1]) if errors else message


class AcceptsUnknownMethod(InsideDefect):
    """Answer an ACTION of a method that the class does not have with success."""

    _unknown: bool = PrivateAttr(default=False)

    def arrived(self, message: Apdu) -> Apdu:
        """Classes have up to 12 methods; a manufacturer's own count down from -1."""
        self._unknown = isinstance(message, ActionRequestNormal) and message.descriptor.method_id > MOST_METHODS
        return message

    def changed(self, message: Apdu) -> Apdu:
        """Success."""
        if not self._unknown or not isinstance(message, ActionResponseNormal):
            return message
        return replace(message, result=ActionResult.SUCCESS)


class DeafAfterUnreadable(Defect):
    """Answer nothing more on a connection on which something unreadable came."""

    _deaf: bool = PrivateAttr(default=False)

    def on_connection(self) -> None:
        """A new one is heard."""
        self._deaf = False

    def on_pdu(self, pdu: WrapperPdu | LinkLost, profile: AssociationProfile | None) -> Sequence[Arrived]:
        """What comes up to that, and nothing of what follows."""
        if self._deaf or isinstance(pdu, LinkLost):
            return () if self._deaf else (pdu,)
        try:
            apdu.decode(pdu.apdu)
        except DecodeError:
            self._deaf = True
        return (pdu,)


class AcceptsWrongType(Defect):
    """Say success to a SET with a value of a wrong type, and keep the old one."""

    about: ClassVar[dict[str, Any]] = {"service": "set"}

    def on_result(self, item: Item, result: ItemResult) -> ItemResult:
        """Success in place of type-unmatched."""
        return DataAccessResult.SUCCESS if result is DataAccessResult.TYPE_UNMATCHED else result

"""Services with short names at a server: Read, Write and UnconfirmedWrite, long ones in blocks (Green Book 9.3.14 to 9.3.16)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ami_dlms import data
from ami_dlms.apdu import Apdu, contents
from ami_dlms.apdu.short_names import (
    BlockNumberAccess,
    ParameterizedAccess,
    ReadDataBlockAccess,
    ReadRequest,
    ReadResponse,
    UnconfirmedWriteRequest,
    WriteDataBlockAccess,
    WriteRequest,
    WriteResponse,
)
from ami_dlms.association.blocks.service_block_transfer import IncomingBlocks
from ami_dlms.association.events import Discarded
from ami_dlms.association.protection.apdu_protection import ApduProtection
from ami_dlms.association.protection.authentication import REPLY_TO_HLS_AUTHENTICATION_BY_NAME, octets_of
from ami_dlms.association.server.requests import Denial, Item, PendingRequest
from ami_dlms.association.server.services import LongRequest, Reply, Services, words
from ami_dlms.association.server.sn_requests import PendingRead, PendingWrite, read_item, write_item
from ami_dlms.association.states import ServerEvent
from ami_dlms.cosem.short_names import ShortNames
from ami_dlms.data import Data
from ami_dlms.enums import Conformance, DataAccessResult, DataTag
from ami_dlms.errors import DecodeError, ProtocolError

NO_INVOKE_ID = -1


class SnServices(Services):
    """The open requests of an association with short names; without invoke ids there is one at a time."""

    @property
    def _names(self) -> ShortNames:
        names = self._profile.short_names
        return ShortNames(()) if names is None else names

    def _judge(self, item: Item) -> Denial | None:
        """Selection is a matter of parameterized access here, which was checked when the request came."""
        return self._judge_under(item, self._terms.conformance | Conformance.SELECTIVE_ACCESS)

    # --- Read

    def _read(self, message: ReadRequest, answer_protection: ApduProtection) -> Reply:
        only = message.variables[0] if len(message.variables) == 1 else None
        if isinstance(only, BlockNumberAccess):
            return self._next(only.block_number, answer_protection)
        if isinstance(only, ReadDataBlockAccess):
            return self._read_block(message, only, answer_protection)
        refused = self._begin(_needed(PendingRead.needs, message), message)
        return refused or self._admit(self._pending_read(message), answer_protection)

    def _pending_read(self, message: ReadRequest) -> PendingRequest:
        items = tuple(read_item(self._names, variable) for variable in message.variables)
        return PendingRead(self._key(NO_INVOKE_ID), items, self._judged(items))

    def _next(self, block_number: int, answer_protection: ApduProtection) -> Reply:
        """The client wants the next block of a long answer."""
        begun = self._answer
        reply = self._next_block(ReadRequest, NO_INVOKE_ID, block_number, answer_protection)
        if reply is not None:
            return reply
        result = DataAccessResult.DATA_BLOCK_NUMBER_INVALID if begun else DataAccessResult.NO_LONG_GET_IN_PROGRESS
        return self._say(ReadResponse((result,)), answer_protection, Discarded(f"block {block_number} can't be sent"))

    def _read_block(self, message: ReadRequest, block: ReadDataBlockAccess, answer_protection: ApduProtection) -> Reply:
        def finish(whole: bytes, _: int) -> PendingRequest:
            held = contents.decode(contents.READ_REQUEST, whole)
            self._check_negotiated(_needed(PendingRead.needs, held))
            return self._pending_read(held)

        needed = PendingRead.needs | Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
        request = LongRequest(ReadRequest, finish, NO_INVOKE_ID, answer_protection, IncomingBlocks(self._most))
        return self._block(message, block, needed, request, ReadResponse)

    # --- Write

    def _write_request(self, message: WriteRequest, answer_protection: ApduProtection) -> Reply:
        only = message.variables[0] if len(message.variables) == 1 else None
        if isinstance(only, WriteDataBlockAccess):
            return self._write_block(message, only, answer_protection)
        refused = self._begin(_needed(PendingWrite.needs, message), message)
        return refused or self._admit(self._pending_write(message), answer_protection)

    def _unconfirmed_write(self, message: UnconfirmedWriteRequest, answer_protection: ApduProtection) -> Reply:
        """Nothing is answered, not even that it was not negotiated."""
        if self._not_negotiated(_needed(Conformance.UNCONFIRMED_WRITE, message), message) is not None:
            return Reply(event=Discarded("UnconfirmedWriteRequest was not negotiated"))
        self._begin(Conformance(0), message)
        return self._admit(self._pending_write(message, confirmed=False), answer_protection)

    def _pending_write(
        self, message: WriteRequest | UnconfirmedWriteRequest, *, confirmed: bool = True
    ) -> PendingRequest:
        if len(message.variables) != len(message.values):
            raise ProtocolError(f"{len(message.values)} values for {len(message.variables)} variables")
        pairs = zip(message.variables, message.values, strict=True)
        items = tuple(write_item(self._names, variable, value) for variable, value in pairs)
        return PendingWrite(self._key(NO_INVOKE_ID), items, self._judged(items), confirmed=confirmed)

    def _write_block(
        self, message: WriteRequest, access: WriteDataBlockAccess, answer_protection: ApduProtection
    ) -> Reply:
        def finish(whole: bytes, _: int) -> PendingRequest:
            held = contents.decode(contents.WRITE_REQUEST, whole)
            self._check_negotiated(_needed(PendingWrite.needs, held))
            return self._pending_write(held)

        raw_data = _only_octets(message.values)
        block = ReadDataBlockAccess(access.last_block, access.block_number, raw_data)
        needed = PendingWrite.needs | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
        request = LongRequest(WriteRequest, finish, NO_INVOKE_ID, answer_protection, IncomingBlocks(self._most))
        return self._block(message, block, needed, request, WriteResponse)

    # --- blocks of either

    def _block(
        self, message: Apdu, block: ReadDataBlockAccess, needed: Conformance, new: LongRequest, response: Any
    ) -> Reply:
        """A block of a request; the first one begins anew, unless it is the same once more."""
        begun, number = self._request, block.block_number
        if begun is not None and not begun.takes(
            new.service, NO_INVOKE_ID, new.answer_protection, self._request_protection
        ):
            begun = None
        if begun is not None and _repeats(begun, block):
            return self._say(response((number,)), new.answer_protection)
        if number == 1:
            refused = self._begin_long(needed, message, new)
            if refused is not None:
                return refused
        elif begun is None:
            return self._refuse_block(number, DataAccessResult.NO_LONG_SET_IN_PROGRESS, new.answer_protection, response)
        return self._take(block, new.answer_protection, response)

    def _take(self, block: ReadDataBlockAccess, answer_protection: ApduProtection, response: Any) -> Reply:
        request, number = self._request, block.block_number
        if request is None:
            raise ProtocolError("no long request")
        try:
            request.blocks.take(number, block.raw_data)
        except ProtocolError:
            return self._abort(number, DataAccessResult.DATA_BLOCK_NUMBER_INVALID, answer_protection, response)
        if not block.last_block:
            if number > 1:
                self._move(ServerEvent.BLOCK)
            return self._say(response((number,)), answer_protection)
        try:
            pending = request.finish(request.blocks.whole(), number)
        except (DecodeError, ProtocolError):
            return self._abort(number, DataAccessResult.OTHER_REASON, answer_protection, response)
        self._move(ServerEvent.LAST_BLOCK)
        self._request = None
        return self._admit(pending, answer_protection)

    def _abort(self, number: int, result: DataAccessResult, answer_protection: ApduProtection, response: Any) -> Reply:
        self._move(ServerEvent.TRANSFER_ABORTED)
        self._request = None
        return self._refuse_block(number, result, answer_protection, response)

    def _refuse_block(
        self, number: int, result: DataAccessResult, answer_protection: ApduProtection, response: Any
    ) -> Reply:
        reason = f"block {number} of a request is not taken: {words(result)}"
        return self._say(response((result,)), answer_protection, Discarded(reason))

    def _check_negotiated(self, needed: Conformance) -> None:
        if needed & ~self._terms.conformance:
            raise ProtocolError("a long request for what was not negotiated")

    # --- the proof of HLS

    def proof_in(self, message: Apdu) -> bytes | None:
        if not isinstance(message, ReadRequest) or len(message.variables) != 1:
            return None
        (call,) = message.variables
        if not isinstance(call, ParameterizedAccess) or call.name != REPLY_TO_HLS_AUTHENTICATION_BY_NAME:
            return None
        return octets_of(call.parameter)

    def proof_answer(self, message: Apdu, proof: bytes | None) -> Apdu:
        return ReadResponse((DataAccessResult.OTHER_REASON if proof is None else data.octet_string(proof),))

    handlers: ClassVar[Mapping[type, Callable[[Any, Any, ApduProtection], Reply]]] = {
        ReadRequest: _read,
        WriteRequest: _write_request,
        UnconfirmedWriteRequest: _unconfirmed_write,
    }


def _needed(service: Conformance, message: ReadRequest | WriteRequest | UnconfirmedWriteRequest) -> Conformance:
    """What must have been negotiated for this request."""
    if len(message.variables) > 1:
        service |= Conformance.MULTIPLE_REFERENCES
    if any(isinstance(variable, ParameterizedAccess) for variable in message.variables):
        service |= Conformance.PARAMETERIZED_ACCESS
    return service


def _repeats(begun: LongRequest, block: ReadDataBlockAccess) -> bool:
    """Whether this is the last block once more, and not the first one of another request."""
    if not begun.blocks.repeats(block.block_number):
        return False
    return block.block_number > 1 or begun.blocks.whole() == block.raw_data


def _only_octets(values: tuple[Data, ...]) -> bytes:
    if len(values) != 1 or values[0].tag is not DataTag.OCTET_STRING:
        raise ProtocolError("a block of a Write is one octet-string")
    return octets_of(values[0])

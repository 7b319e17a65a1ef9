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
from ami_dlms.association.asked import Asked, Denial, Item
from ami_dlms.association.asked_by_name import AskedRead, AskedWrite, read_item, write_item
from ami_dlms.association.authentication import octets_of
from ami_dlms.association.events import Discarded
from ami_dlms.association.forms import Form
from ami_dlms.association.rights import REPLY_TO_HLS_AUTHENTICATION_BY_NAME
from ami_dlms.association.serving import LongRequest, Reply, Serving, words
from ami_dlms.association.states import ServerEvent
from ami_dlms.association.transfer import IncomingBlocks
from ami_dlms.cosem.short_names import ShortNames
from ami_dlms.data import Data
from ami_dlms.enums import Conformance, DataAccessResult, DataTag
from ami_dlms.errors import DecodeError, ProtocolError

NO_INVOKE_ID = -1


class SnServing(Serving):
    """The open requests of an association with short names; without invoke ids there is one at a time."""

    @property
    def _names(self) -> ShortNames:
        names = self._profile.short_names
        return ShortNames(()) if names is None else names

    def _judge(self, item: Item) -> Denial | None:
        """Selection is a matter of parameterized access here, which was checked when the request came."""
        return self._judge_under(item, self._terms.conformance | Conformance.SELECTIVE_ACCESS)

    # --- Read

    def _read(self, message: ReadRequest, form: Form) -> Reply:
        only = message.variables[0] if len(message.variables) == 1 else None
        if isinstance(only, BlockNumberAccess):
            return self._next(only.block_number, form)
        if isinstance(only, ReadDataBlockAccess):
            return self._read_block(message, only, form)
        refused = self._begin(_needed(AskedRead.needs, message), message)
        return refused or self._admit(self._asked_to_read(message), form)

    def _asked_to_read(self, message: ReadRequest) -> Asked:
        items = [read_item(self._names, variable) for variable in message.variables]
        return AskedRead(self._key(NO_INVOKE_ID), items, self._judge)

    def _next(self, block_number: int, form: Form) -> Reply:
        """The client wants the next block of a long answer."""
        begun = self._answer
        reply = self._next_block(ReadRequest, NO_INVOKE_ID, block_number, form)
        if reply is not None:
            return reply
        result = DataAccessResult.DATA_BLOCK_NUMBER_INVALID if begun else DataAccessResult.NO_LONG_GET_IN_PROGRESS
        return self._say(ReadResponse((result,)), form, Discarded(f"block {block_number} can't be sent"))

    def _read_block(self, message: ReadRequest, block: ReadDataBlockAccess, form: Form) -> Reply:
        def finish(whole: bytes, _: int) -> Asked:
            held = contents.decode(contents.READ_REQUEST, whole)
            self._check_negotiated(_needed(AskedRead.needs, held))
            return self._asked_to_read(held)

        needed = AskedRead.needs | Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
        request = LongRequest(ReadRequest, finish, NO_INVOKE_ID, form, IncomingBlocks(self._most))
        return self._block(message, block, needed, request, ReadResponse)

    # --- Write

    def _write_request(self, message: WriteRequest, form: Form) -> Reply:
        only = message.variables[0] if len(message.variables) == 1 else None
        if isinstance(only, WriteDataBlockAccess):
            return self._write_block(message, only, form)
        refused = self._begin(_needed(AskedWrite.needs, message), message)
        return refused or self._admit(self._asked_to_write(message), form)

    def _unconfirmed_write(self, message: UnconfirmedWriteRequest, form: Form) -> Reply:
        """Nobody is told anything, not even that it was not negotiated."""
        if self._not_negotiated(_needed(Conformance.UNCONFIRMED_WRITE, message), message) is not None:
            return Reply(event=Discarded("UnconfirmedWriteRequest was not negotiated"))
        self._begin(Conformance(0), message)
        return self._admit(self._asked_to_write(message, confirmed=False), form)

    def _asked_to_write(self, message: WriteRequest | UnconfirmedWriteRequest, *, confirmed: bool = True) -> Asked:
        if len(message.variables) != len(message.values):
            raise ProtocolError(f"{len(message.values)} values for {len(message.variables)} variables")
        pairs = zip(message.variables, message.values, strict=True)
        items = [write_item(self._names, variable, value) for variable, value in pairs]
        return AskedWrite(self._key(NO_INVOKE_ID), items, self._judge, confirmed=confirmed)

    def _write_block(self, message: WriteRequest, access: WriteDataBlockAccess, form: Form) -> Reply:
        def finish(whole: bytes, _: int) -> Asked:
            held = contents.decode(contents.WRITE_REQUEST, whole)
            self._check_negotiated(_needed(AskedWrite.needs, held))
            return self._asked_to_write(held)

        raw_data = _only_octets(message.values)
        block = ReadDataBlockAccess(access.last_block, access.block_number, raw_data)
        needed = AskedWrite.needs | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
        request = LongRequest(WriteRequest, finish, NO_INVOKE_ID, form, IncomingBlocks(self._most))
        return self._block(message, block, needed, request, WriteResponse)

    # --- blocks of either

    def _block(
        self, message: Apdu, block: ReadDataBlockAccess, needed: Conformance, new: LongRequest, response: Any
    ) -> Reply:
        """A block of a request; the first one begins anew, unless it is the same once more."""
        begun, number = self._request, block.block_number
        if begun is not None and not begun.takes(new.service, NO_INVOKE_ID, new.form, self._bore):
            begun = None
        if begun is not None and _repeats(begun, block):
            return self._say(response((number,)), new.form)
        if number == 1:
            refused = self._begin_long(needed, message, new)
            if refused is not None:
                return refused
        elif begun is None:
            return self._refuse_block(number, DataAccessResult.NO_LONG_SET_IN_PROGRESS, new.form, response)
        return self._take(block, new.form, response)

    def _take(self, block: ReadDataBlockAccess, form: Form, response: Any) -> Reply:
        request, number = self._request, block.block_number
        if request is None:
            raise ProtocolError("no long request")
        try:
            request.blocks.take(number, block.raw_data)
        except ProtocolError:
            return self._abort(number, DataAccessResult.DATA_BLOCK_NUMBER_INVALID, form, response)
        if not block.last_block:
            if number > 1:
                self._move(ServerEvent.BLOCK)
            return self._say(response((number,)), form)
        try:
            asked = request.finish(request.blocks.whole(), number)
        except (DecodeError, ProtocolError):
            return self._abort(number, DataAccessResult.OTHER_REASON, form, response)
        self._move(ServerEvent.LAST_BLOCK)
        self._request = None
        return self._admit(asked, form)

    def _abort(self, number: int, result: DataAccessResult, form: Form, response: Any) -> Reply:
        self._move(ServerEvent.TRANSFER_ABORTED)
        self._request = None
        return self._refuse_block(number, result, form, response)

    def _refuse_block(self, number: int, result: DataAccessResult, form: Form, response: Any) -> Reply:
        reason = f"block {number} of a request is not taken: {words(result)}"
        return self._say(response((result,)), form, Discarded(reason))

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

    handlers: ClassVar[Mapping[type, Callable[[Any, Any, Form], Reply]]] = {
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

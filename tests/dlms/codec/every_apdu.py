"""How any legal value of every APDU is drawn: for the tests of the codecs and of what receives them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ami_dlms import data
from ami_dlms.apdu.access import (
    AccessRequest,
    AccessRequestAction,
    AccessRequestGet,
    AccessRequestGetWithSelection,
    AccessRequestSet,
    AccessRequestSetWithSelection,
    AccessResponse,
    AccessResponseAction,
    AccessResponseGet,
    AccessResponseSet,
)
from ami_dlms.apdu.acse import Aare, Aarq, Diagnostic, Rlre, Rlrq
from ami_dlms.apdu.action import (
    ActionRequestNextBlock,
    ActionRequestNormal,
    ActionRequestWithBlock,
    ActionRequestWithFirstBlock,
    ActionRequestWithList,
    ActionRequestWithListAndFirstBlock,
    ActionResponseNextBlock,
    ActionResponseNormal,
    ActionResponseWithBlock,
    ActionResponseWithList,
)
from ami_dlms.apdu.blocks import BlockControl, GeneralBlockTransfer
from ami_dlms.apdu.ciphered import (
    SERVICE_CIPHERING_TAGS,
    AgreedKey,
    GeneralCiphering,
    GeneralDedCiphering,
    GeneralGloCiphering,
    GeneralSigning,
    IdentifiedKey,
    ServiceCiphering,
    WrappedKey,
)
from ami_dlms.apdu.faults import ConfirmedServiceError, ExceptionResponse
from ami_dlms.apdu.fields import ActionResponse, AttributeItem, Block
from ami_dlms.apdu.get import (
    GetRequestNext,
    GetRequestNormal,
    GetRequestWithList,
    GetResponseNormal,
    GetResponseWithDataBlock,
    GetResponseWithList,
)
from ami_dlms.apdu.initiate import InitiateRequest, InitiateResponse
from ami_dlms.apdu.notify import DataNotification, DataNotificationConfirm, EventNotificationRequest
from ami_dlms.apdu.set import (
    SetRequestNormal,
    SetRequestWithDataBlock,
    SetRequestWithFirstDataBlock,
    SetRequestWithList,
    SetRequestWithListAndFirstDataBlock,
    SetResponseDataBlock,
    SetResponseLastDataBlock,
    SetResponseLastDataBlockWithList,
    SetResponseNormal,
    SetResponseWithList,
)
from ami_dlms.apdu.short_names import (
    BlockNumberAccess,
    DataBlockResult,
    InformationReportRequest,
    ParameterizedAccess,
    ReadDataBlockAccess,
    ReadRequest,
    ReadResponse,
    UnconfirmedWriteRequest,
    VariableName,
    WriteDataBlockAccess,
    WriteRequest,
    WriteResponse,
)
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.selection import SelectiveAccess
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import (
    ActionResult,
    ApplicationContext,
    AssociationResult,
    ConfirmedService,
    Conformance,
    DataAccessResult,
    DiagnosticSource,
    ErrorClass,
    KekId,
    KeyId,
    Mechanism,
    ReleaseReason,
    ServiceError,
    StateError,
)
from ami_dlms.obis import Obis

u8 = st.integers(0, 0xFF)
u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFFFFFF)
i8 = st.integers(-0x80, 0x7F)
octets = st.binary(max_size=300)
maybe_octets = st.none() | octets
obis = st.binary(min_size=6, max_size=6).map(Obis)
values = st.recursive(
    st.just(data.null())
    | st.booleans().map(data.boolean)
    | u32.map(data.double_long_unsigned)
    | octets.map(data.octet_string),
    lambda inner: st.lists(inner, max_size=4).map(lambda items: data.structure(*items)),
    max_leaves=8,
)
moments = st.binary(min_size=12, max_size=12).map(CosemDateTime.decode)
attributes = st.builds(AttributeDescriptor, u16, obis, i8)
methods = st.builds(MethodDescriptor, u16, obis, i8)
selections = st.none() | st.builds(SelectiveAccess, u8, values)
items = st.lists(st.builds(AttributeItem, attributes, selections), max_size=4).map(tuple)
blocks = st.builds(Block, st.booleans(), u32, octets)
access = st.sampled_from(DataAccessResult)
results = values | access
many_values = st.lists(values, max_size=4).map(tuple)
many_methods = st.lists(methods, max_size=4).map(tuple)
many_access = st.lists(access, max_size=200).map(tuple)
responses = st.builds(ActionResponse, st.sampled_from(ActionResult), st.none() | results)
conformance = st.integers(0, 0xFFFFFF).map(Conformance)
contexts = st.sampled_from([member for member in ApplicationContext if member is not ApplicationContext.UNKNOWN])
mechanisms = st.none() | st.sampled_from([member for member in Mechanism if member is not Mechanism.UNKNOWN])
versions = st.none() | st.lists(st.booleans(), max_size=20).map(tuple)
invocation_ids = st.none() | st.integers(-(2**63), 2**63 - 1)
reasons = st.none() | st.sampled_from(ReleaseReason)
exceptions = st.builds(
    ExceptionResponse,
    st.sampled_from(StateError),
    st.sampled_from([code for code in ServiceError if code is not ServiceError.INVOCATION_COUNTER_ERROR]),
) | st.builds(ExceptionResponse, st.sampled_from(StateError), st.just(ServiceError.INVOCATION_COUNTER_ERROR), u32)
specifications = st.lists(
    st.builds(AccessRequestGet, attributes)
    | st.builds(AccessRequestSet, attributes)
    | st.builds(AccessRequestAction, methods)
    | st.builds(AccessRequestGetWithSelection, attributes, st.builds(SelectiveAccess, u8, values))
    | st.builds(AccessRequestSetWithSelection, attributes, st.builds(SelectiveAccess, u8, values)),
    max_size=4,
).map(tuple)
access_results = st.lists(
    st.builds(AccessResponseGet, access)
    | st.builds(AccessResponseSet, access)
    | st.builds(AccessResponseAction, st.sampled_from(ActionResult)),
    max_size=4,
).map(tuple)
variables = st.lists(
    st.builds(VariableName, u16)
    | st.builds(ParameterizedAccess, u16, u8, values)
    | st.builds(BlockNumberAccess, u16)
    | st.builds(ReadDataBlockAccess, st.booleans(), u16, octets)
    | st.builds(WriteDataBlockAccess, st.booleans(), u16),
    max_size=4,
).map(tuple)
read_results = values | access | st.builds(DataBlockResult, st.booleans(), u16, octets) | u16
times = st.none() | st.text(st.characters(max_codepoint=127), max_size=20)
keys = (
    st.none()
    | st.builds(IdentifiedKey, st.sampled_from(KeyId))
    | st.builds(WrappedKey, st.sampled_from(KekId), octets)
    | st.builds(AgreedKey, octets, octets)
)
controls = st.builds(BlockControl, st.booleans(), st.booleans(), st.integers(0, 63))

APDUS: dict[str, st.SearchStrategy[Any]] = {
    "aarq": st.builds(
        Aarq,
        contexts,
        calling_ap_title=maybe_octets,
        mechanism=mechanisms,
        calling_authentication_value=maybe_octets,
        user_information=maybe_octets,
        protocol_version=versions,
        calling_ae_qualifier=maybe_octets,
        calling_ae_invocation_id=invocation_ids,
        sender_acse_requirements=st.none() | st.booleans(),
        implementation_information=maybe_octets,
    ),
    "aare": st.builds(
        Aare,
        contexts,
        st.sampled_from(AssociationResult),
        st.builds(Diagnostic, st.sampled_from(DiagnosticSource), st.integers(0, 200)),
        responding_ap_title=maybe_octets,
        mechanism=mechanisms,
        responding_authentication_value=maybe_octets,
        user_information=maybe_octets,
        protocol_version=versions,
        responding_ae_qualifier=maybe_octets,
        responding_ae_invocation_id=invocation_ids,
        responder_acse_requirements=st.none() | st.booleans(),
        implementation_information=maybe_octets,
    ),
    "rlrq": st.builds(Rlrq, reasons, maybe_octets),
    "rlre": st.builds(Rlre, reasons, maybe_octets),
    "initiate request": st.builds(
        InitiateRequest,
        dedicated_key=maybe_octets,
        response_allowed=st.booleans(),
        quality_of_service=st.none() | i8,
        dlms_version=u8,
        conformance=conformance,
        client_max_receive_pdu_size=u16,
    ),
    "initiate response": st.builds(
        InitiateResponse,
        quality_of_service=st.none() | i8,
        dlms_version=u8,
        conformance=conformance,
        server_max_receive_pdu_size=u16,
        vaa_name=u16,
    ),
    "get request normal": st.builds(GetRequestNormal, u8, attributes, selections),
    "get request next": st.builds(GetRequestNext, u8, u32),
    "get request with list": st.builds(GetRequestWithList, u8, items),
    "get response normal": st.builds(GetResponseNormal, u8, results),
    "get response with data block": st.builds(GetResponseWithDataBlock, u8, st.booleans(), u32, octets | access),
    "get response with list": st.builds(GetResponseWithList, u8, st.lists(results, max_size=4).map(tuple)),
    "set request normal": st.builds(SetRequestNormal, u8, attributes, selections, values),
    "set request with first block": st.builds(SetRequestWithFirstDataBlock, u8, attributes, selections, blocks),
    "set request with block": st.builds(SetRequestWithDataBlock, u8, blocks),
    "set request with list": st.builds(SetRequestWithList, u8, items, many_values),
    "set request with list and first block": st.builds(SetRequestWithListAndFirstDataBlock, u8, items, blocks),
    "set response normal": st.builds(SetResponseNormal, u8, access),
    "set response block": st.builds(SetResponseDataBlock, u8, u32),
    "set response last block": st.builds(SetResponseLastDataBlock, u8, access, u32),
    "set response last block with list": st.builds(SetResponseLastDataBlockWithList, u8, many_access, u32),
    "set response with list": st.builds(SetResponseWithList, u8, many_access),
    "action request normal": st.builds(ActionRequestNormal, u8, methods, st.none() | values),
    "action request next block": st.builds(ActionRequestNextBlock, u8, u32),
    "action request with list": st.builds(ActionRequestWithList, u8, many_methods, many_values),
    "action request with first block": st.builds(ActionRequestWithFirstBlock, u8, methods, blocks),
    "action request with list and first block": st.builds(ActionRequestWithListAndFirstBlock, u8, many_methods, blocks),
    "action request with block": st.builds(ActionRequestWithBlock, u8, blocks),
    "action response normal": st.builds(ActionResponseNormal, u8, st.sampled_from(ActionResult), st.none() | results),
    "action response with block": st.builds(ActionResponseWithBlock, u8, blocks),
    "action response with list": st.builds(ActionResponseWithList, u8, st.lists(responses, max_size=4).map(tuple)),
    "action response next block": st.builds(ActionResponseNextBlock, u8, u32),
    "data notification": st.builds(DataNotification, u32, st.none() | moments, values),
    "event notification": st.builds(EventNotificationRequest, st.none() | moments, attributes, values),
    "data notification confirm": st.builds(DataNotificationConfirm, u32, st.none() | moments),
    "access request": st.builds(AccessRequest, u32, st.none() | moments, specifications, many_values),
    "access response": st.builds(
        AccessResponse, u32, st.none() | moments, st.none() | specifications, many_values, access_results
    ),
    "read request": st.builds(ReadRequest, variables),
    "read response": st.builds(ReadResponse, st.lists(read_results, max_size=4).map(tuple)),
    "write request": st.builds(WriteRequest, variables, many_values),
    "write response": st.builds(WriteResponse, st.lists(access | u16, max_size=4).map(tuple)),
    "unconfirmed write request": st.builds(UnconfirmedWriteRequest, variables, many_values),
    "information report request": st.builds(InformationReportRequest, times, variables, many_values),
    "general block transfer": st.builds(GeneralBlockTransfer, controls, u16, u16, octets),
    "general ciphering": st.builds(GeneralCiphering, octets, octets, octets, octets, octets, keys, octets),
    "general signing": st.builds(GeneralSigning, octets, octets, octets, octets, octets, octets, octets),
    "exception response": exceptions,
    "confirmed service error": st.builds(
        ConfirmedServiceError, st.sampled_from(ConfirmedService), st.sampled_from(ErrorClass), u8
    ),
    "general glo ciphering": st.builds(GeneralGloCiphering, octets, octets),
    "general ded ciphering": st.builds(GeneralDedCiphering, octets, octets),
    "service ciphering": st.builds(ServiceCiphering, st.sampled_from(sorted(SERVICE_CIPHERING_TAGS)), octets),
}

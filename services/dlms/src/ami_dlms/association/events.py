"""What goes into and comes out of the two connections: requests and answers that we send, events that we get."""

from __future__ import annotations

from dataclasses import field
from enum import Enum
from typing import NamedTuple

from ami_dlms.apdu.blocks import GeneralBlockTransfer
from ami_dlms.apdu.faults import ConfirmedServiceError, ExceptionResponse
from ami_dlms.apdu.notify import DataNotification, EventNotificationRequest
from ami_dlms.apdu.short_names import InformationReportRequest, ParameterizedAccess, VariableName
from ami_dlms.association.settings import AssociationProfile
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.selection import SelectiveAccess
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult, AssociationResult, Conformance, DataAccessResult, DiagnosticSource
from ami_dlms.frozen import frozen
from ami_dlms.transitions import IdentityEnum

# --- what a client sends


@frozen
class Open:
    """Open the association of the settings."""


@frozen
class Get:
    """Read an attribute. `encoded`: an array may stay as its octets where it comes in blocks or in a frame of the fast path (`ami_dlms.data.EncodedItems`).

    In a list that is so of the last item, whose end is that of the answer.
    """

    descriptor: AttributeDescriptor
    selection: SelectiveAccess | None = None
    encoded: bool = False


@frozen
class Set:
    """Write an attribute."""

    descriptor: AttributeDescriptor
    value: Data
    selection: SelectiveAccess | None = None


@frozen
class Action:
    """Call a method."""

    descriptor: MethodDescriptor
    parameters: Data | None = None


@frozen
class GetList:
    """Read several attributes at once."""

    items: tuple[Get, ...]


@frozen
class SetList:
    """Write several attributes at once."""

    items: tuple[Set, ...]


@frozen
class ActionList:
    """Call several methods at once; one without parameters is sent with null-data."""

    items: tuple[Action, ...]


@frozen
class Access:
    """Read, write and call in one request. With `break_on_error` the server stops at the first item that fails."""

    items: tuple[Get | Set | Action, ...]
    break_on_error: bool = False
    date_time: CosemDateTime | None = None
    self_descriptive: bool = False


@frozen
class Read:
    """Read variables by their short names, or call methods."""

    variables: tuple[VariableName | ParameterizedAccess, ...]


@frozen
class Write:
    """Write variables by their short names, or call methods; as many values as variables."""

    variables: tuple[VariableName | ParameterizedAccess, ...]
    values: tuple[Data, ...] = field(repr=False)


@frozen
class Unconfirmed:
    """Send a request that the server carries out without an answer; no event follows."""

    request: Set | SetList | Action | ActionList | Access | Write


@frozen
class Confirm:
    """Confirm a DataNotification that asked for it, after it was kept where it is safe; no event follows."""

    notification: DataNotification
    date_time: CosemDateTime | None = None


@frozen
class Release:
    """Release the association."""


Request = (
    Open | Get | Set | Action | GetList | SetList | ActionList | Access | Read | Write | Unconfirmed | Confirm | Release
)

# --- what a client gets

Unsolicited = DataNotification | EventNotificationRequest | InformationReportRequest
UNSOLICITED = (DataNotification, EventNotificationRequest, InformationReportRequest)


@frozen
class Opened:
    """The association is open and both ends have proved what the mechanism wants proved."""

    conformance: Conformance
    server_max_receive_pdu_size: int
    server_system_title: bytes | None


@frozen
class OpenRefused:
    """The server refused; `diagnostic` is the code of the AARE in the list of its `source`, or 13 when the proof failed later."""

    result: AssociationResult
    diagnostic: int
    reason: str
    source: DiagnosticSource = DiagnosticSource.ACSE_SERVICE_USER


@frozen
class GetResult:
    """The answer to a Get: a value with SUCCESS, or None with the reason."""

    value: Data | None
    result: DataAccessResult


@frozen
class SetResult:
    """The answer to a Set."""

    result: DataAccessResult


@frozen
class ActionOutcome:
    """The answer to an Action."""

    result: ActionResult
    value: Data | None


@frozen
class GetListResult:
    """The answer to a GetList: a result for each item, in their order."""

    results: tuple[GetResult, ...]


@frozen
class SetListResult:
    """The answer to a SetList."""

    results: tuple[SetResult, ...]


@frozen
class ActionListOutcome:
    """The answer to an ActionList."""

    results: tuple[ActionOutcome, ...]


@frozen
class AccessResult:
    """The answer to an Access: for each item the result of its kind, in their order."""

    results: tuple[GetResult | SetResult | ActionOutcome, ...]
    date_time: CosemDateTime | None = None


@frozen
class ReadResult:
    """The answer to a Read: a result for each variable, in their order."""

    results: tuple[GetResult, ...]


@frozen
class WriteResult:
    """The answer to a Write."""

    results: tuple[SetResult, ...]


@frozen
class Notified:
    """A DataNotification arrived in between; `protected` says whether keys of this association vouch for it."""

    notification: DataNotification
    protected: bool = False


@frozen
class EventNotified:
    """An EventNotification arrived in between, in an association that agreed to it."""

    notification: EventNotificationRequest
    protected: bool = False


@frozen
class InformationReported:
    """An InformationReport arrived in between, in an association that agreed to it."""

    report: InformationReportRequest
    protected: bool = False


@frozen
class PeerFault:
    """The server answered with a fault instead of what was asked, or gave up a general block transfer."""

    fault: ExceptionResponse | ConfirmedServiceError | GeneralBlockTransfer
    reason: str


@frozen
class Released:
    """The association is released."""


ClientOutput = (
    Opened
    | OpenRefused
    | GetResult
    | SetResult
    | ActionOutcome
    | GetListResult
    | SetListResult
    | ActionListOutcome
    | AccessResult
    | ReadResult
    | WriteResult
    | Notified
    | EventNotified
    | InformationReported
    | PeerFault
    | Released
)

# --- what a server gets


class RequestKey(NamedTuple):
    """Names one request until it is answered; for the application opaque."""

    server_wport: int
    client_wport: int
    invoke_id_and_priority: int


@frozen
class AssociationOpened:
    """A client has opened an association and proved itself."""

    profile: AssociationProfile
    client_system_title: bytes | None


class Cause(Enum):
    """What about an APDU that was discarded or refused was not as it should be."""

    OTHER = "other"
    ADDRESS = "address"
    INVOKE_ID = "invoke id"
    NOT_AGREED = "not agreed"
    NOTHING_ASKED = "nothing asked"
    PROTECTION = "protection"
    REPLAY = "replay"


@frozen
class AssociationRefused:
    """A client was refused; the reason is for our own log, the client gets less."""

    server_wport: int
    client_wport: int
    reason: str
    cause: Cause = Cause.OTHER


class Service(IdentityEnum):
    """The confirmed services of both ways of naming."""

    GET = "GET"
    GET_WITH_LIST = "GET with list"
    SET = "SET"
    SET_WITH_LIST = "SET with list"
    ACTION = "ACTION"
    ACTION_WITH_LIST = "ACTION with list"
    ACCESS = "ACCESS"
    READ = "Read"
    WRITE = "Write"


@frozen
class Requested:
    """A client makes a request: those of its items that it may have, in their order, whatever the service.

    It has to be answered, even where the client wants no response. With `break_on_error` (ACCESS) the first item that fails
    is the last one to be carried out.
    """

    key: RequestKey
    service: Service
    items: tuple[Get | Set | Action, ...]
    break_on_error: bool = False
    date_time: CosemDateTime | None = None


@frozen
class NotificationConfirmed:
    """A client has confirmed the DataNotification with this long invoke id."""

    server_wport: int
    client_wport: int
    long_invoke_id_and_priority: int


@frozen
class AssociationReleased:
    """A client has released its association."""

    profile: AssociationProfile


@frozen
class Discarded:
    """Something arrived that was answered by a fault or not at all, and had no effect."""

    reason: str
    cause: Cause = Cause.OTHER


ServerOutput = (
    AssociationOpened | AssociationRefused | Requested | NotificationConfirmed | AssociationReleased | Discarded
)

# --- what a server sends


ItemResult = Data | DataAccessResult | ActionOutcome
"""Of a Get a value or why there is none, of a Set how it ended, of an Action its outcome."""


@frozen
class Answer:
    """The application's answer: a result for each item of the Requested with this key, in their order.

    There may be fewer where the request breaks on an error. `date_time` is for ACCESS alone.
    """

    key: RequestKey
    results: tuple[ItemResult, ...]
    date_time: CosemDateTime | None = None

"""What an HTTP endpoint has to know of SOAP messages that come in, as pure functions: how they are read, and what refuses them.

What can't be read gets a SOAP fault whose detail is a FaultMessage; its reply code follows from the HTTP status where the message
was not read at all."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import TypeVar

from ami_cim import media, soap, wire, wsdl
from ami_cim.envelope import Delivered, Received
from ami_cim.errors import CimError, InvalidMessage, LocalError, UnsupportedMedia
from ami_cim.limits import Limits
from ami_cim.reading import SoapReading
from ami_cim.schema import Schemas
from ami_cim.spoken import Speech, spoken

W = TypeVar("W", Received, Delivered)

_CODES = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "3.1",
    HTTPStatus.SERVICE_UNAVAILABLE: "5.1",
    HTTPStatus.UNAUTHORIZED: "7.2",
    HTTPStatus.TOO_MANY_REQUESTS: "7.1",
}
"""Any other that blames the message is 1.8. Not 4.1 for one that comes too late: in a reply it says that a meter did not answer."""


class Incoming(SoapReading[W]):
    """Messages of one kind at an endpoint."""

    error = CimError
    media_types = soap.MEDIA_TYPES
    content_type = soap.CONTENT_TYPE
    codings = media.ACCEPTED_CODINGS

    @property
    def max_octets(self) -> int:
        """Of a body. Who may send as much is seen when it is read."""
        return self.limits.largest

    def content(self, octets: bytes, headers: Mapping[str, str]) -> tuple[bytes, str | None]:
        """The document in a body, and the charset that its header names."""
        return media.content(octets, headers, self.limits)

    def refusal(self, status: HTTPStatus, reason: str, details: str | None = None) -> CimError:
        """The error of a message that was not read, or that we failed at."""
        if status is HTTPStatus.INTERNAL_SERVER_ERROR:
            return LocalError(reason, details)
        kind = CimError if status is HTTPStatus.SERVICE_UNAVAILABLE else InvalidMessage
        return kind(_CODES.get(status, "1.8"), reason, details)

    def status(self, problem: CimError) -> HTTPStatus:
        """500 is SOAP's own for every fault; 415 says more."""
        unread = isinstance(problem, UnsupportedMedia)
        return HTTPStatus.UNSUPPORTED_MEDIA_TYPE if unread else HTTPStatus.INTERNAL_SERVER_ERROR

    def fault(self, problem: CimError, message: W | None) -> bytes:
        """A SOAP fault, typed as the message was."""
        if message is not None and problem.wrapper is None:
            problem.wrapper = message.wrapper.text
        octets = wire.write_fault(problem)
        return spoken(octets, Speech(spelling=message.spelling)) if isinstance(message, Received) else octets

    def description(self, name: str, location: str) -> bytes | None:
        """A WSDL by the name of its service, or a schema by its file name."""
        return wsdl.resolve(name, location) if name in wsdl.names() else None


def requests(schemas: Schemas, limits: Limits, understood: frozenset[str] = frozenset()) -> Incoming[Received]:
    """What comes to a head-end; `understood` names (Clark) the SOAP header blocks that it deals with."""
    return Incoming("request", schemas, limits, understood)


def deliveries(schemas: Schemas, limits: Limits, understood: frozenset[str] = frozenset()) -> Incoming[Delivered]:
    """What comes to a ReplyAddress."""
    return Incoming("delivery", schemas, limits, understood)

"""The one exception that work on a meter ends with, and the border where all others become it.

What a peer, a socket or a clock does wrong is named here once, by the rows of the mapping's fault table; above this
module no code catches an exception of `dlms` or of the operating system.
"""

from enum import IntEnum
from typing import Self

from ami_dlms.apdu.faults import ExceptionResponse
from ami_dlms.association import OpenRefused, PeerFault
from ami_dlms.enums import AcseServiceProviderDiagnostic, AcseServiceUserDiagnostic, DiagnosticSource, ServiceError
from ami_dlms.errors import ForeignTitleError, LinkError, LocalError, ProofError, RemoteError, SecurityError
from ami_dlms.security import ReplayError
from ami_mapping.faults import Fault, explain, fault_rules


class MeterFault(Exception):
    """Work on a meter could not go on; `kind` and `name` choose the row of the fault table."""

    def __init__(self, kind: str, name: str, *, where: str = "", detail: str = "") -> None:
        super().__init__(kind, name, where, detail)
        self.kind = kind
        self.name = name
        self.where = where
        self.detail = detail

    def add_detail(self, more: str) -> Self:
        """Note more of what was seen."""
        self.detail = "; ".join(filter(None, (self.detail, more)))
        return self

    def explained(self, *, attempted: bool | None, switches: bool = True) -> Fault:
        """Code, level and reason; `attempted` when a control may have reached the meter, None when none is in question."""
        said = {"where": self.where, "detail": self.detail}
        return explain(self.kind, self.name, attempted=attempted, switches=switches, **said)

    def __str__(self) -> str:
        return self.explained(attempted=None).reason


class CounterRefused(MeterFault):
    """The meter takes no invocation counter below `expected`; it is not proved that the meter says so."""

    def __init__(self, expected: int, *, where: str, detail: str) -> None:
        super().__init__("exception", ServiceError.INVOCATION_COUNTER_ERROR.name, where=where, detail=detail)
        self.expected = expected


FOREIGN = (OSError, LinkError, RemoteError, LocalError)
"""What the way to a meter and back may raise; TimeoutError is an OSError."""


def fault_of(error: Exception, where: str) -> MeterFault:
    """As what one of these exceptions leaves the border."""
    match error:
        case TimeoutError():
            return MeterFault("deadline", "no-answer", where=where, detail=str(error))
        case OSError() | LinkError():
            detail = getattr(error, "strerror", None) or str(error)
            return MeterFault("transport", "lost", where=where, detail=detail)
        case ReplayError():
            return MeterFault("security", "replayed", where=where, detail=str(error))
        case ForeignTitleError():
            return MeterFault("security", "foreign-title", where=where, detail=str(error))
        case ProofError():
            return MeterFault("security", "not-proved", where=where, detail=str(error))
        case SecurityError():
            return MeterFault("security", "unprotected", where=where, detail=str(error))
        case RemoteError():
            return MeterFault("protocol", "other", where=where, detail=str(error))
    return MeterFault("protocol", "local", where=where, detail=str(error))


def refused(event: OpenRefused, where: str) -> MeterFault:
    """The meter refused an association; a code means what the list of its source says."""
    kind, names = _DIAGNOSTICS[event.source]
    name = names(event.diagnostic).name if event.diagnostic in set(names) else "other"
    if (kind, name) not in fault_rules():
        name = "other"
    return MeterFault(kind, name, where=where, detail=event.reason)


_DIAGNOSTICS: dict[DiagnosticSource, tuple[str, type[IntEnum]]] = {
    DiagnosticSource.ACSE_SERVICE_USER: ("association", AcseServiceUserDiagnostic),
    DiagnosticSource.ACSE_SERVICE_PROVIDER: ("association-provider", AcseServiceProviderDiagnostic),
}


def peer_fault(event: PeerFault, where: str) -> MeterFault:
    """The meter answered with an exception."""
    match event.fault:
        case ExceptionResponse(invocation_counter=int(expected)):
            return CounterRefused(expected, where=where, detail=event.reason)
        case ExceptionResponse(service_error=service_error):
            return MeterFault("exception", service_error.name, where=where, detail=event.reason)
        case _:
            return MeterFault("exception", "other", where=where, detail=event.reason)

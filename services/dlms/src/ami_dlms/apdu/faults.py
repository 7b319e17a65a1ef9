"""How a server says that it will not do a service at all: ExceptionResponse and ConfirmedServiceError (IEC 62056-5-3)."""

from __future__ import annotations

from typing import Annotated

from ami_dlms.apdu.codec import UNSIGNED32, Codec, Enumerated
from ami_dlms.apdu.fields import ConfirmedServiceCode, ErrorClassCode, Unsigned8
from ami_dlms.cursor import Reader
from ami_dlms.enums import ErrorClass, InitiateErrorCode, ServiceError, StateError
from ami_dlms.errors import LocalError
from ami_dlms.frozen import frozen

_ANNOUNCED = bytes((ServiceError.INVOCATION_COUNTER_ERROR,))


class ExpectedCounter(Codec[int | None]):
    """There only when the octet before, the service-error, announces it; alone, without one, it is not there."""

    __slots__ = ()
    smallest = 0

    def read(self, reader: Reader) -> int | None:
        announced = reader.octets[max(reader.offset - 1, 0) : reader.offset]
        return reader.u32() if announced == _ANNOUNCED else None

    def write(self, out: bytearray, value: int | None) -> None:
        if value is not None:
            UNSIGNED32.write(out, value)


@frozen
class ExceptionResponse:
    """Exception-Response; the invocation counter that the server wants next comes with INVOCATION_COUNTER_ERROR only."""

    state_error: Annotated[StateError, Enumerated(StateError)]
    service_error: Annotated[ServiceError, Enumerated(ServiceError)]
    invocation_counter: Annotated[int | None, ExpectedCounter()] = None

    def __post_init__(self) -> None:
        if (self.invocation_counter is not None) != (self.service_error is ServiceError.INVOCATION_COUNTER_ERROR):
            raise LocalError("an invocation counter goes with invocation-counter-error and with nothing else")

    @property
    def reason(self) -> str:
        """For a person."""
        counter = "" if self.invocation_counter is None else f" (expected counter {self.invocation_counter})"
        return f"{_words(self.state_error.name)}, {_words(self.service_error.name)}{counter}"


@frozen
class ConfirmedServiceError:
    """ConfirmedServiceError: which service, which kind of error, and its code within that kind."""

    service: ConfirmedServiceCode
    error: ErrorClassCode
    value: Unsigned8

    @property
    def reason(self) -> str:
        """For a person."""
        code = str(self.value)
        if self.error is ErrorClass.INITIATE and self.value in set(InitiateErrorCode):
            code = _words(InitiateErrorCode(self.value).name)
        return f"{_words(self.service.name)}: {_words(self.error.name)} {code}"


def _words(name: str) -> str:
    return name.lower().replace("_", "-")

"""What a meter gave back: an APDU, or one of the ways in which there is none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, unique

from ami_dlms.apdu import Apdu
from ami_dlms.apdu.acse import Aare
from ami_dlms.apdu.action import ActionResponseNormal
from ami_dlms.apdu.faults import ConfirmedServiceError, ExceptionResponse
from ami_dlms.apdu.get import GetResponseNormal, GetResponseWithDataBlock, GetResponseWithList
from ami_dlms.apdu.set import SetResponseNormal
from ami_dlms.data import Data
from ami_dlms.enums import AssociationResult, DataAccessResult


@unique
class Kind(Enum):
    """The value is for a person."""

    APDU = "an APDU"
    SILENCE = "no answer"
    CLOSED = "the connection was closed"
    GARBAGE = "octets that can't be read"
    UNTRUSTED = "an answer whose protection is wrong"


@dataclass(frozen=True, slots=True)
class Answer:
    """`octets` are those of the APDU without protection; `protected` whether it had one."""

    kind: Kind
    apdu: Apdu | None = None
    octets: bytes = b""
    reason: str = ""
    protected: bool = False

    @property
    def silent(self) -> bool:
        return self.kind is Kind.SILENCE

    @property
    def nothing(self) -> bool:
        """No answer, and perhaps no connection any more."""
        return self.kind in (Kind.SILENCE, Kind.CLOSED)

    @property
    def fault(self) -> bool:
        """An exception instead of the service."""
        return isinstance(self.apdu, ExceptionResponse | ConfirmedServiceError)

    @property
    def accepted(self) -> bool:
        """An AARE that opens, or that asks for the proof."""
        return isinstance(self.apdu, Aare) and self.apdu.result is AssociationResult.ACCEPTED

    @property
    def rejected(self) -> bool:
        """An AARE that refuses."""
        return isinstance(self.apdu, Aare) and not self.accepted

    @property
    def result(self) -> object:
        """The result or the value of one attribute or method; None for anything else."""
        match self.apdu:
            case GetResponseNormal(result=found) | SetResponseNormal(result=found) | ActionResponseNormal(result=found):
                return found
            case GetResponseWithDataBlock(result=DataAccessResult() as found):
                return found
        return None

    @property
    def has_data(self) -> bool:
        """Whether a value came."""
        match self.apdu:
            case GetResponseNormal(result=Data()):
                return True
            case GetResponseWithDataBlock(result=bytes()):
                return True
            case GetResponseWithList(results=results):
                return any(isinstance(one, Data) for one in results)
        return False

    @property
    def done(self) -> bool:
        """Whether something was carried out: a value came, or a SET or ACTION was a success."""
        return self.has_data or (not isinstance(self.result, Data) and self.result == 0 and self.result is not None)

    def __str__(self) -> str:
        if self.apdu is None:
            return f"{self.kind.value}{f' ({self.reason})' if self.reason else ''}"
        match self.apdu:
            case ExceptionResponse() | ConfirmedServiceError():
                return f"{type(self.apdu).__name__} ({self.apdu.reason})"
            case Aare():
                word = self.apdu.result.name.lower().replace("_", "-")
                return f"AARE {word} ({self.apdu.diagnostic.reason})"
        found = self.result
        if isinstance(found, Data):
            return f"{type(self.apdu).__name__} with {found.tag.name.lower().replace('_', '-')}"
        if found is not None:
            return f"{type(self.apdu).__name__} with {getattr(found, 'name', str(found)).lower().replace('_', '-')}"
        return type(self.apdu).__name__

"""OperationSet (IEC 61968-100 ed. 1): several operations in one message, each with a verb, a noun and a payload of its own."""

from dataclasses import dataclass

from ami_cim.payloads import Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation; in a response, what came of it that a Reply can't say."""

    operation_id: int
    noun: str | None = None
    verb: str | None = None
    element_operation: bool = False
    """Whether it is about elements of an object, and not about the whole."""
    payload: Payload | None = None
    """The payload, or the query profile of a get."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationSet(Payload):
    """The operations in their order."""

    enforce_sequence: bool = False
    """enforceMsgSequence"""
    enforce_integrity: bool = False
    """enforceTransactionalIntegrity: all of them or none."""
    operations: tuple[Operation, ...] = ()

"""A payload that can't be read here: another noun, an OperationSet. Kept so that the answer can be honest and correlated."""

from dataclasses import dataclass, field

from ami_cim.payloads import Payload


@dataclass(frozen=True, slots=True)
class OpaquePayload(Payload):
    """`tag` is the Clark name of the element, `octets` its XML."""

    tag: str
    octets: bytes = field(default=b"", repr=False)

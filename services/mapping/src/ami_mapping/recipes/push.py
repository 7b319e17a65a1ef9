"""Where a push setup (class 40) sends what it pushes: send_destination_and_method is written and read back (M-155)."""

from dataclasses import dataclass

from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data, enum, octet_string, structure
from ami_dlms.enums import DataTag
from ami_dlms.obis import Obis
from ami_mapping.recipes.steps import Recipe, Refusal, done, failed, needed, read, write

PUSH_SETUP = 40
SEND_DESTINATION_AND_METHOD = 3
TRANSPORTS = {"tcp": 0, "udp": 1}
"""transport_service by its word."""
A_XDR_ENCODED = 0
"""message_type."""
PARTS = 3


@dataclass(frozen=True, slots=True)
class PushTarget:
    """What a push setup is to have."""

    setup: str
    """Its logical name."""
    destination: str
    """`host:port`."""
    transport: str = "tcp"
    """A word of TRANSPORTS."""

    @property
    def value(self) -> Data:
        """send_destination_and_method."""
        where = octet_string(self.destination.encode("ascii"))
        return structure(enum(TRANSPORTS[self.transport]), where, enum(A_XDR_ENCODED))


def push_target(target: PushTarget) -> Recipe:
    """Written where it is another one; OK is what the meter shows afterwards."""
    where = AttributeDescriptor(PUSH_SETUP, Obis.parse(target.setup), SEND_DESTINATION_AND_METHOD)
    before = needed((yield from read(where))[0], where)
    if _parts(before) == _parts(target.value):
        return done(f"{target.setup} pushes to {target.destination} already")
    yield from write(where, target.value)
    after = (yield from read(where))[0]
    if not isinstance(after, Refusal) and _parts(after) == _parts(target.value):
        return done(f"{target.setup} pushes to {target.destination}")
    return failed("not-as-asked", f"{where} was written, and it shows another destination")


def _parts(value: Data) -> tuple[object, ...] | None:
    """The three elements, whichever way a meter types them; None for no structure of three."""
    if value.tag is not DataTag.STRUCTURE or len(value.value) != PARTS:
        return None
    return tuple(part.value for part in value.value)

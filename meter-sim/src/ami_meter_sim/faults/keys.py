"""Faults of keys, titles and invocation counters.

No value of an invocation counter is ever used twice for different octets: a meter's own counter goes forward under every fault, and
what is replayed is a frame that was sent before, octet for octet.
"""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, ClassVar, Literal

from pydantic import Field, PrivateAttr

from ami_dlms import data
from ami_dlms.association import Action, AssociationProfile, Get, ItemResult, Security
from ami_dlms.data import Data
from ami_dlms.enums import ApduTag, DataTag
from ami_dlms.security import GlobalKeys
from ami_dlms.security.counters import COUNTER_END
from ami_meter_sim.effects import Effect, Send
from ami_meter_sim.faults.answers import success
from ami_meter_sim.faults.fault import FRAME_HEADER, Direction, Fault, FrameFault, Item, Occasion

SECURITY_SETUP = 64
KEY_TRANSFER = 2
GENERAL = {
    ApduTag.GENERAL_GLO_CIPHERING,
    ApduTag.GENERAL_DED_CIPHERING,
    ApduTag.GENERAL_CIPHERING,
    ApduTag.GENERAL_SIGNING,
}
CIPHERED = frozenset(int(tag) for tag in ApduTag if tag in GENERAL or tag.name.startswith(("GLO_", "DED_")))
"""First octets of APDUs that end with a tag or a signature."""


class AssociationFault(Fault):
    """A fault of an association that is about to be opened."""

    about: ClassVar[dict[str, Any]] = {"service": "association"}

    def on_profile(self, profile: AssociationProfile) -> AssociationProfile:
        """The same with other security, if it has any."""
        if profile.security is None:
            return profile
        return replace(profile, security=self.changed(profile.security))

    def changed(self, security: Security) -> Security:
        """What it has instead."""
        return security


class WrongKey(AssociationFault):
    """Have another key than the head-end."""

    key: Literal["encryption", "authentication", "both"] = "both"
    """Which one."""

    def changed(self, security: Security) -> Security:
        """Keys that follow from the right ones and are none of them."""
        keys = security.keys
        encryption, authentication = keys.encryption_key, keys.authentication_key
        if self.key != "authentication":
            encryption = _another(encryption)
        if self.key != "encryption":
            authentication = _another(authentication)
        wrong = GlobalKeys(encryption, authentication, keys.broadcast_encryption_key, keys.master_key)
        return replace(security, keys=wrong)


class WrongTitle(AssociationFault):
    """Have another system title than the head-end knows."""

    def changed(self, security: Security) -> Security:
        """The title of another serial number."""
        title = security.system_title
        return replace(security, system_title=title[:-1] + bytes((title[-1] ^ 0x80,)))


class CounterAhead(Fault):
    """Accept only invocation counters above those that the head-end uses, as if another client had used the key."""

    about: ClassVar[dict[str, Any]] = {"service": "association"}

    by: int = Field(default=1000, ge=1, le=1_000_000)
    """How far ahead, once; after that the client has to go on from there."""
    _done: bool = PrivateAttr(default=False)

    def on_profile(self, profile: AssociationProfile) -> AssociationProfile:
        """The counter of this association has moved, once."""
        counter = profile.receive_counter
        if counter is not None and not self._done and counter.lowest_acceptable + self.by < COUNTER_END:
            self._done = True
            counter.accept(counter.lowest_acceptable + self.by - 1)
        return profile


class CounterBehind(Fault):
    """Show an invocation counter (0-0:43.1.x) below the one it last accepted, so that a client that goes on from it is refused."""

    by: int = Field(default=100, ge=1, le=1_000_000)
    """How far below."""

    def concerns(self, occasion: Occasion) -> bool:
        """A reading of a counter."""
        return any(map(_asks_for_a_counter, occasion.items))

    def on_result(self, item: Item, result: ItemResult) -> ItemResult:
        """The lower value."""
        if not (_asks_for_a_counter(item) and isinstance(result, Data) and isinstance(result.value, int)):
            return result
        return Data(result.tag, max(result.value - self.by, 0))


class Replays(Fault):
    """Send an earlier answer once more before the true one, octet for octet."""

    about: ClassVar[dict[str, Any]] = {"service": ["get", "set", "action"]}

    instead: bool = False
    """In place of the true one."""
    _earlier: bytes | None = PrivateAttr(default=None)

    def on_frame(self, leaving: Sequence[Effect], occasion: Occasion) -> Sequence[Effect]:
        """The earlier one; the first time there is none."""
        earlier, self._earlier = self._earlier, _octets_of(leaving) or self._earlier
        if earlier is None:
            return leaving
        return (Send(earlier),) if self.instead else (Send(earlier), *leaving)


class TamperedTag(FrameFault):
    """Change the last octet of every ciphered APDU, which belongs to its authentication tag."""

    def disturbed(self, frame: bytes, occasion: Occasion) -> Sequence[Effect]:
        """A plain one is left as it is."""
        if len(frame) <= FRAME_HEADER or frame[FRAME_HEADER] not in CIPHERED:
            return (Send(frame),)
        return (Send(frame[:-1] + bytes((frame[-1] ^ 0x01,))),)


class KeyChangeHalfDone(Fault):
    """Answer a key transfer (class 64, method 2) with success and take only the first half of the keys; of a single one, none."""

    directions: ClassVar[tuple[Direction, ...]] = ("request",)
    about: ClassVar[dict[str, Any]] = {"service": "action", "class": SECURITY_SETUP, "method": KEY_TRANSFER}

    def on_request(self, item: Item) -> Item | ItemResult | None:
        """What the meter carries out: the same with fewer keys."""
        if not isinstance(item, Action) or item.parameters is None or item.parameters.tag != DataTag.ARRAY:
            return None
        keys: tuple[Data, ...] = item.parameters.value
        taken = keys[: len(keys) // 2]
        return Action(item.descriptor, data.array(*taken)) if taken else success(item)


def _another(key: bytes) -> bytes:
    return sha256(b"another key" + key).digest()[: len(key)]


def _octets_of(leaving: Sequence[Effect]) -> bytes | None:
    return b"".join(effect.octets for effect in leaving if isinstance(effect, Send)) or None


def _asks_for_a_counter(item: Item) -> bool:
    """0-b:43.1.e, the value."""
    if not isinstance(item, Get) or item.descriptor.attribute_id != 2:
        return False
    medium, _, quantity, kind, *_ = item.descriptor.instance_id
    return (medium, quantity, kind) == (0, 43, 1)

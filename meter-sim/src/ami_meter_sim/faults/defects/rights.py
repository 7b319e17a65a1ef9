"""Defects of access rights: what the object list grants and what is granted differ."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pydantic import PrivateAttr

from ami_dlms.association import AssociationProfile, AttributeAccess, Get, ItemResult, Set
from ami_dlms.association.access_rights import AccessRights, MethodAccess
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import DataAccessResult
from ami_meter_sim.faults.defects.defect import Defect
from ami_meter_sim.faults.fault import Item
from ami_packs.model import PUBLIC_CLIENT_WPORT

READ, WRITE = AttributeAccess.READ, AttributeAccess.WRITE


@dataclass(frozen=True, slots=True)
class OtherRights:
    """The rights of an association, but for those of attributes."""

    true: AccessRights
    other: Callable[[AttributeAccess | None], AttributeAccess | None]

    def attribute(self, descriptor: AttributeDescriptor) -> AttributeAccess | None:
        """What is granted in place of what is right."""
        return self.other(self.true.attribute(descriptor))

    def method(self, descriptor: MethodDescriptor) -> bool | MethodAccess | None:
        """As it is right."""
        return self.true.method(descriptor)


class ListGrantsTooMuch(Defect):
    """Deny reading the time zone of the clock, which the object list grants."""

    about: ClassVar[dict[str, Any]] = {"service": "get", "class": 8, "attribute": 3}

    def on_request(self, item: Item) -> Item | ItemResult | None:
        """No, whoever asks."""
        return DataAccessResult.READ_WRITE_DENIED


class WritesWithoutRight(Defect):
    """Let every client write what it may only read."""

    _written: dict[AttributeDescriptor, Data] = PrivateAttr(default_factory=dict)

    def on_profile(self, profile: AssociationProfile) -> AssociationProfile:
        """Writing goes with reading."""
        return replace(profile, access=OtherRights(profile.access, lambda right: right and right | WRITE))

    def on_request(self, item: Item) -> Item | ItemResult | None:
        """What was written is there."""
        return self._written.get(item.descriptor) if isinstance(item, Get) else None

    def on_result(self, item: Item, result: ItemResult) -> ItemResult:
        """Success in place of a refusal, and the value stays."""
        if not isinstance(item, Set) or result is not DataAccessResult.READ_WRITE_DENIED:
            return result
        self._written[item.descriptor] = item.value
        return DataAccessResult.SUCCESS


class PublicReadsAll(Defect):
    """Let the public client read every object, though its list names a few."""

    def on_profile(self, profile: AssociationProfile) -> AssociationProfile:
        """Reading, whatever is listed."""
        if profile.client_wport != PUBLIC_CLIENT_WPORT:
            return profile
        return replace(
            profile, access=OtherRights(profile.access, lambda right: READ if right is None else right | READ)
        )

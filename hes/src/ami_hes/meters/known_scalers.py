"""The scaler_unit of each attribute of a meter as it was when it was first read, remembered over restarts (docs/mapping.md, M-133).

A meter does not change it, and a value that is wrong by a power of ten looks plausible: so another one is doubted until somebody has the
first one forgotten. It is known of the device and not of its name in the registry. Meters of one model share theirs in memory.
"""

from collections.abc import Mapping, Sequence

from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.quantity import ScalerUnit
from ami_dlms.data import Data
from ami_dlms.errors import DlmsError
from ami_dlms.obis import Obis
from ami_hes.events import ScalerDiffers
from ami_hes.meters.registry import Meter
from ami_hes.store.ports import ScalerUnits
from ami_process.environment import Environment
from ami_process.store.errors import StoreUnavailable

SPARE = 100
Known = dict[AttributeDescriptor, ScalerUnit]


class KnownScalers:
    """Those of all meters; without a store they are known in this life of the process alone. `load` before the first use."""

    def __init__(self, store: ScalerUnits | None, environment: Environment) -> None:
        self._store = store
        self._environment = environment
        self._texts: dict[str, str] = {}
        self._shared: dict[str, Known] = {}
        self._alike: dict[str, tuple[Sequence[AttributeDescriptor], Sequence[object]]] = {}

    async def load(self) -> None:
        """What earlier lives have kept."""
        if self._store is not None:
            kept = await self._store.load()
            same = {text: text for text in kept.values()}
            self._texts = {device: same[text] for device, text in kept.items()}
            self._shared = {text: _parse(text) for text in same}

    async def differing(self, meter: Meter, given: Mapping[AttributeDescriptor, Data]) -> set[AttributeDescriptor]:
        """Those of these scaler_units that are others than the first ones; first ones are kept, if the store takes them."""
        now = {one: unit for one, value in given.items() if (unit := _decoded(value)) is not None}
        device = meter.logical_device_name
        known = self._of(device)
        if not now.keys() <= known.keys():
            await self._keep(device, now | known)
        return {one for one, unit in now.items() if known.get(one, unit) != unit}

    def are_as_before(self, meter: Meter, names: Sequence[AttributeDescriptor], units: Sequence[object]) -> bool:
        """Whether a meter of which the same is known has given the same, and none differed: so it is with nearly all of a fleet."""
        text = self._texts.get(meter.logical_device_name)
        return text is not None and self._alike.get(text) == (names, units)

    def are_alike(self, meter: Meter, names: Sequence[AttributeDescriptor], units: Sequence[object]) -> None:
        """None of these differed, which `are_as_before` may say of the next meter; of what is not kept it says nothing."""
        text = self._texts.get(meter.logical_device_name)
        if text is not None and self._shared[text].keys() >= set(names):
            if len(self._alike) > SPARE:
                self._alike.clear()
            self._alike[text] = (names, units)

    def report(
        self, meter: Meter, differing: set[AttributeDescriptor], given: Mapping[AttributeDescriptor, Data]
    ) -> None:
        """That the meter insists on another one, for each."""
        known = self._of(meter.logical_device_name)
        for one in sorted(differing, key=str):
            unit = _decoded(given[one])
            if unit is not None and one in known:
                event = ScalerDiffers(meter=meter.name, attribute=str(one), kept=_shown(known[one]), given=_shown(unit))
                self._environment.emit(event)

    async def forget(self, meter: Meter) -> int:
        """What the meter says next is what is known of it; how many were forgotten. Raises StoreUnavailable."""
        device = meter.logical_device_name
        if self._store is not None:
            await self._store.forget(device)
        return len(self._shared.get(self._texts.pop(device, ""), {}))

    def _of(self, device: str) -> Known:
        return self._shared.get(self._texts.get(device, ""), {})

    async def _keep(self, device: str, known: Known) -> None:
        """A store that takes nothing now is asked again with the next read."""
        text = _format(known)
        if self._store is not None:
            try:
                await self._store.keep(device, text)
            except StoreUnavailable:
                return
        self._texts[device] = self._share(text)

    def _share(self, text: str) -> str:
        """The one text of all meters that have the same."""
        if len(self._shared) > 2 * len(self._texts) + SPARE:  # of which no meter has some any more
            self._shared = {one: self._shared[one] for one in self._texts.values()}
        if text not in self._shared:
            self._shared[text] = _parse(text)
        return text


def _decoded(value: Data) -> ScalerUnit | None:
    try:
        return ScalerUnit.decode(value)
    except DlmsError:
        return None


def _shown(unit: ScalerUnit) -> str:
    return f"scaler {unit.scaler}, unit {unit.unit}"


def _format(known: Known) -> str:
    """In one order, so that meters of one model have the same text."""
    words = ((one.class_id, one.instance_id, one.attribute_id, unit.scaler, unit.unit) for one, unit in known.items())
    return "; ".join(sorted(" ".join(map(str, each)) for each in words))


def _parse(text: str) -> Known:
    known: Known = {}
    for each in text.split("; "):
        class_id, obis, attribute, scaler, unit = each.split()
        known[AttributeDescriptor(int(class_id), Obis.parse(obis), int(attribute))] = ScalerUnit(int(scaler), int(unit))
    return known

"""The simulated meters of a system: what each is, and the hand that makes something happen to it."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from ami_testkit.errors import KitError
from ami_testkit.rest import Rest

METERS = "/api/v1/meters"
FAULTS = "/api/v1/faults"
PAGE = 1_000


class Meter:
    """One of them, by the simulator's REST API; nothing here goes by DLMS, so that it can be compared with what the head-end says."""

    def __init__(self, name: str, rest: Rest, entry: Mapping[str, Any]) -> None:
        self.name = name
        self.entry = entry
        """Its entry of `[[meters]]`, as a head-end has to know it: address, wrapper ports, keys; empty at a simulator that the kit has not started."""
        self._rest = rest
        self._path = f"{METERS}/{quote(name, safe='')}"

    def __repr__(self) -> str:
        return f"Meter({self.name!r})"

    @property
    def mrid(self) -> str:
        """By which CIM knows it."""
        return str(self.entry.get("mrid", ""))

    @property
    def state(self) -> dict[str, Any]:
        """Identity, switch, clock, energy, power, counters, faults."""
        found: dict[str, Any] = self._rest.get(self._path)
        return found

    @property
    def connected(self) -> bool:
        """Whether its switch lets current through."""
        return bool(self.state["switch"]["output_state"])

    @property
    def import_wh(self) -> int:
        """Its import register."""
        return int(self.state["import_wh"])

    @property
    def counter(self) -> int:
        """The invocation counter that it sends next."""
        return int(self.state["next_sent_counter"])

    def attribute(self, class_id: int, instance: str, attribute: int) -> Any:
        """The value of an attribute as the meter itself sees it."""
        return self._rest.get(f"{self._path}/objects/{class_id}/{quote(instance, safe='')}/{attribute}")

    def set_attribute(self, class_id: int, instance: str, attribute: int, value: Mapping[str, Any]) -> None:
        """Set it, as `{"type": "enum", "value": 2}`, as the meter itself could."""
        self._rest.put(f"{self._path}/objects/{class_id}/{quote(instance, safe='')}/{attribute}", **value)

    def press(self, button: str) -> None:
        """`disconnect` or `connect` by hand."""
        self._rest.post(f"{self._path}/button", button=button)

    def condition(self, name: str, there: bool = True) -> None:
        """`terminal_cover`, `meter_cover`, `magnet` and others begin or end; logged and alarmed as the model says."""
        self._rest.post(f"{self._path}/conditions", condition=name, there=there)

    def occurrence(self, name: str) -> None:
        """Anything else that event lists name happens once, as `watchdog_reset`."""
        self._rest.post(f"{self._path}/occurrences", occurrence=name)

    def load(self, power_w: float) -> None:
        """So much flows in addition from now on."""
        self._rest.post(f"{self._path}/load", power_w=power_w)

    def power(self, on: bool) -> None:
        """It loses power, or has it again."""
        self._rest.post("/api/v1/power", on=on, name=self.name)

    def fault(self, name: str, **parameters: Any) -> None:
        """From now on this fault happens to it (docs/faults.md); `when={...}`, `probability` and `seed` as in `[[faults]]`."""
        self._rest.post(FAULTS, fault=name, meters=[self.name], **parameters)


class Meters(Mapping[str, Meter]):
    """By name: `system.meters["M1001"]`."""

    def __init__(self, rest: Rest, entries: list[dict[str, Any]] | None) -> None:
        self._rest = rest
        found = {one["name"]: one for one in entries} if entries is not None else {name: {} for name in self._listed()}
        self._meters = {name: Meter(name, rest, entry) for name, entry in found.items()}

    def __getitem__(self, name: str) -> Meter:
        if name not in self._meters:
            names = list(self._meters)
            raise KitError(
                f"there is no meter {name!r}; there are {names[0]} to {names[-1]}" if names else "there are no meters"
            )
        return self._meters[name]

    def __contains__(self, name: object) -> bool:
        return name in self._meters

    def __iter__(self) -> Iterator[str]:
        return iter(self._meters)

    def __len__(self) -> int:
        return len(self._meters)

    def fault(self, name: str, **rule: Any) -> None:
        """A fault of many, as a table of `[[faults]]` says it: `meters=["M1*"]`, `share=0.2`, `when={...}`, `probability`, `seed`."""
        self._rest.post(FAULTS, fault=name, **rule)

    def heal(self) -> None:
        """No fault counts, no cover is open."""
        self._rest.delete(FAULTS)

    def _listed(self) -> Iterator[str]:
        skip = 0
        while page := self._rest.get(METERS, limit=PAGE, skip=skip)["meters"]:
            yield from (one["name"] for one in page)
            skip += len(page)

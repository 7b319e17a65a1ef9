"""How each meter stands, by what the CIS was told: the end of each request to it, and what the HES says has happened to it.

It is in memory and made anew at each start from the latest requests and events of the store, so it is what the CIS knows and no more:
a switch that nobody has asked about is unknown, and one that was moved by hand is what it was before, unless an event said so.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ami_cim.control_names import named_control
from ami_cis.meters import Meter, Place, Switch
from ami_cis.store import KeptDeviceEvent, KeptPlace, RequestLine

BY_CONTROL: Mapping[str, Switch] = {
    named_control("connect"): "connected",
    named_control("disconnect"): "disconnected",
    named_control("arm"): "ready",
}
BY_EVENT: Mapping[str, Switch] = {
    "31.0.42": "connected",
    "31.0.68": "disconnected",
    "31.26.42": "connected",
    "31.26.68": "disconnected",
    "15.26.42": "connected",
    "15.26.68": "disconnected",
}
"""By the EndDeviceEventType without its device type: ends of controls, and what the log of a meter says."""
POWER: Mapping[str, bool] = {"26.38.85": False, "26.38.49": True}
MOST_ENDED = 10_000
"""MessageIDs that are remembered, to count each request once."""
_SAYS_NOTHING_IS_WRONG = "0."
"""Reply codes that begin so."""


@dataclass(slots=True)
class Standing:
    """One meter. `answered`: whether the latest request to it was done; `code` and `reason` say why not."""

    meter: str
    mrid: str | None
    usage_points: tuple[str, ...]
    switch: Switch | None = None
    switched_at: datetime | None = None
    powered: bool | None = None
    power_at: datetime | None = None
    answered: bool | None = None
    asked_at: datetime | None = None
    code: str | None = None
    reason: str | None = None
    requests: int = 0
    failures: int = 0
    place: Place | None = None
    controlled: tuple[datetime, datetime] | None = None
    """When the control was sent that moved the switch last, and when it was answered."""

    def take_control(self, to: Switch, sent_at: datetime, answered_at: datetime) -> None:
        """A control was done between two moments. Of two at the same time, to different ends, it is not known which came last."""
        before = self.controlled
        if before is not None and answered_at < before[0]:
            return
        at_once = before is not None and sent_at < before[1] and self.switch != to
        self.switch = None if at_once else to
        self.switched_at = answered_at
        self.controlled = sent_at, answered_at


class Standings:
    """Of all meters that the configuration names."""

    def __init__(self, meters: Iterable[Meter]) -> None:
        self._by_meter = {one.name: Standing(one.name, one.mrid, one.usage_points) for one in meters}
        self._by_label = {
            label: one
            for one in self._by_meter.values()
            for label in (*one.usage_points, one.mrid, one.meter)
            if label is not None
        }
        self._by_point = {point: one for one in self._by_meter.values() for point in one.usage_points}
        self.changed: set[str] = set()
        """Names of the usage points that have changed and are in no frame yet; the live stream empties it."""
        self._ended: dict[str, datetime] = {}

    def __len__(self) -> int:
        return len(self._by_meter)

    def of(self, names: Iterable[str]) -> list[Standing]:
        """Those of them that there are."""
        return [self._by_meter[name] for name in names if name in self._by_meter]

    def part(self, offset: int, limit: int) -> list[Standing]:
        """In the order of the configuration."""
        return list(self._by_meter.values())[offset : offset + limit]

    def usage_point(self, name: str) -> str | None:
        """The name under which its place is kept; None for a usage point that the configuration does not name."""
        one = self._by_point.get(name)
        return None if one is None else one.usage_points[0]

    def take_places(self, places: Iterable[KeptPlace]) -> None:
        """Where usage points are; of those that the configuration names no more, nothing is noted."""
        for kept in places:
            if (one := self._by_point.get(kept.usage_point)) is not None:
                one.place = Place(latitude=kept.latitude, longitude=kept.longitude, main_address=kept.main_address)
                self.changed.add(one.meter)

    def forget_place(self, usage_point: str) -> None:
        """Nobody says any more where it is."""
        if (one := self._by_point.get(usage_point)) is not None:
            one.place = None
            self.changed.add(one.meter)

    def take_requests(self, lines: Iterable[RequestLine]) -> None:
        """Requests that have an end, the oldest first; one that was taken before says nothing new."""
        for line in lines:
            if line.result is None or line.replied_at is None or self._ended.get(line.message_id) == line.replied_at:
                continue
            first = line.message_id not in self._ended
            self._ended[line.message_id] = line.replied_at
            self._take_end(line, line.replied_at, first=first)
        while len(self._ended) > MOST_ENDED:
            del self._ended[next(iter(self._ended))]

    def take_events(self, events: Sequence[KeptDeviceEvent]) -> None:
        """In the order in which they happened."""
        for event in sorted(events, key=lambda one: one.at):
            one = self._by_meter.get(event.meter)
            kind = event.code.partition(".")[2]
            if (
                one is not None
                and kind in BY_EVENT
                and (one.switch is None or one.switched_at is None or one.switched_at <= event.at)
            ):
                one.switch, one.switched_at = BY_EVENT[kind], event.at
                self.changed.add(one.meter)
            if one is not None and kind in POWER and (one.power_at is None or one.power_at <= event.at):
                one.powered, one.power_at = POWER[kind], event.at
                self.changed.add(one.meter)

    def _take_end(self, line: RequestLine, at: datetime, *, first: bool) -> None:
        wrong = [error for error in line.errors if not (error["code"] or "").startswith(_SAYS_NOTHING_IS_WRONG)]
        by_label = {self._name(error["meter"]): error for error in wrong if error["meter"]}
        of_all = next((error for error in wrong if not error["meter"]), None)
        for label in line.meters:
            one = self._by_label.get(label)
            if one is None:
                continue
            error = by_label.get(one.meter) or (of_all if line.result == "FAILED" else None)
            one.answered, one.asked_at = error is None and line.result != "FAILED", at
            one.code, one.reason = (None, None) if error is None else (error["code"], error["reason"])
            one.requests += first
            one.failures += first and not one.answered
            if one.answered and line.code in BY_CONTROL and line.verb == "create":
                one.take_control(BY_CONTROL[line.code], line.sent_at, at)
            self.changed.add(one.meter)

    def as_named(self, label: str | None, labels: Iterable[str]) -> str | None:
        """That of the labels which is of the same meter: a reply may name by its mRID a meter that was asked for by its name."""
        name = self._name(label)
        return next((one for one in labels if self._name(one) == name), name)

    def _name(self, label: str | None) -> str | None:
        one = self._by_label.get(label or "")
        return label if one is None else one.meter

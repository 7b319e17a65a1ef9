"""One transport connection seen from the meters behind it: octets in, effects out, no I/O.

Strategy: `ami_dlms.association.ServerConnection` speaks the protocol, the meters answer, and this module stands at the edge
between them. It is the only place that knows of faults. What has to happen outside (writing, waiting, reporting, hanging
up, dying) comes out as values, in order, and the caller carries it out.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ami_dlms.association import (
    Action,
    ActionOutcome,
    AssociationOpened,
    AssociationRefused,
    AssociationReleased,
    Discarded,
    Get,
    NotificationConfirmed,
    ServerConnection,
)
from ami_dlms.association.events import Answer, RequestKey, ServerOutput
from ami_dlms.cosem.classes import method_name
from ami_dlms.cosem.selection import SelectiveAccess
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_dlms.errors import DlmsError
from ami_meter_sim import events
from ami_meter_sim.faults import Death, Silence
from ami_meter_sim.meter.requests import Item, Requested, Result, answer_to, items_of, stops_at
from ami_meter_sim.meter.simulated_meter import DISCONNECT_CONTROL, Meter
from ami_meter_sim.objects.cosem_object import ReadContext
from ami_meter_sim.objects.disconnect_control import Switch
from ami_process.events import Event

HEADER = 8


@dataclass(frozen=True, slots=True)
class Send:
    """Write these octets."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """Write this event."""

    event: Event


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the connection."""


@dataclass(frozen=True, slots=True)
class Die:
    """End the process at once."""


Effect = Send | Wait | Report | HangUp | Die


class Session:
    """The meters behind one address, by server wrapper port, on one connection."""

    def __init__(
        self, meters: Mapping[int, Meter], *, now: Callable[[], datetime], random_bytes: Callable[[int], bytes]
    ) -> None:
        self._meters = meters
        self._now = now
        self._titles: dict[tuple[int, int], bytes | None] = {}
        profiles = (profile for meter in meters.values() for profile in meter.profiles)
        self._connection = ServerConnection(
            {(one.server_wport, one.client_wport): one for one in profiles}, random_bytes=random_bytes
        )
        self._talking: set[int] = set()
        self._open: set[tuple[int, int]] = set()

    @property
    def associated(self) -> bool:
        """Whether an association is open."""
        return bool(self._open)

    def receive_data(self, octets: bytes) -> Iterator[Effect]:
        """What follows from these octets."""
        try:
            self._connection.receive_data(octets)
            while (event := self._connection.next_event()) is not None:
                if self._locked_out(event):
                    yield Report(events.LockedOut(meter=self._only_name()))
                    yield HangUp()
                    return
                yield from self._outgoing(self._connection.data_to_send())
                yield from self._happened(event)
            yield from self._outgoing(self._connection.data_to_send())
        except DlmsError as error:
            yield Report(events.Discarded(meter=self._only_name(), reason=str(error)))
            yield HangUp()
        for server_wport in self._talking:
            self._meters[server_wport].reserve_counters()
        if self._connection.closed:
            yield HangUp()

    def _locked_out(self, event: ServerOutput) -> bool:
        """Count wrong keys; whether this attempt meets a closed port, right or wrong, and stays unanswered."""
        match event:
            case AssociationOpened(profile):
                server_wport, client_wport, right = profile.server_wport, profile.client_wport, True
            case AssociationRefused(server_wport, client_wport):
                right = False
            case _:
                return False
        meter = self._meters.get(server_wport)
        if meter is None or client_wport in meter.open_clients:
            return False
        if meter.lock_out.locks(self._now()):
            return True
        if right:
            meter.lock_out.succeeded()
        else:
            meter.lock_out.failed(self._now())
        return False

    def _only_name(self) -> str:
        return next(iter(self._meters.values())).name if len(self._meters) == 1 else ""

    def _happened(self, event: ServerOutput) -> Iterator[Effect]:
        match event:
            case AssociationOpened(profile, title):
                self._titles[profile.server_wport, profile.client_wport] = title
                self._open.add((profile.server_wport, profile.client_wport))
                yield self._association(profile.server_wport, profile.client_wport, "opened")
            case AssociationRefused(server_wport, client_wport, reason):
                self._open.discard((server_wport, client_wport))
                yield self._association(server_wport, client_wport, "refused", reason)
            case AssociationReleased(profile):
                self._open.discard((profile.server_wport, profile.client_wport))
                yield self._association(profile.server_wport, profile.client_wport, "released")
            case Discarded(reason):
                yield Report(events.Discarded(meter=self._only_name(), reason=reason))
            case NotificationConfirmed():
                pass
            case _:
                yield from self._serve(event)

    def _serve(self, event: Requested) -> Iterator[Effect]:
        """Carry out a request item by item, and answer; or break down before the answer, as the faults want it."""
        meter = self._meters[event.key.server_wport]
        results: list[Result] = []
        switched = False
        for item in items_of(event):
            switched = switched or _is_switching(item)
            results.append((yield from self._carry_out(meter, event.key, item)))
            if stops_at(event, results[-1]):
                break
        after_action = meter.setup.faults.after_action
        if switched and after_action is not Death.NOTHING:
            yield HangUp() if after_action is Death.CONNECTION else Die()
        else:
            yield from self._answer(meter, answer_to(event, results))

    def _carry_out(self, meter: Meter, key: RequestKey, item: Item) -> Generator[Effect, None, Result]:
        if isinstance(item, Get):
            return meter.get(item.descriptor, self._context(meter, key, item.selection), self._now())
        if isinstance(item, Action):
            return (yield from self._act(meter, item))
        if item.selection is not None:
            return DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
        return meter.set(item.descriptor, item.value, self._now())

    def _association(
        self,
        server_wport: int,
        client_wport: int,
        what: Literal["opened", "refused", "released"],
        reason: str | None = None,
    ) -> Report:
        meter = self._meters.get(server_wport)
        name = meter.name if meter is not None else ""
        return Report(events.Association(meter=name, client_wport=client_wport, what=what, reason=reason))

    def _context(self, meter: Meter, key: RequestKey, selection: SelectiveAccess | None) -> ReadContext:
        association = meter.associations[key.client_wport]
        title = self._titles.get((key.server_wport, key.client_wport))
        return ReadContext(association.name, association.profile, title, selection)

    def _act(self, meter: Meter, item: Action) -> Generator[Effect, None, ActionOutcome]:
        faults = meter.setup.faults
        if _is_switching(item) and faults.refuse_action is not None:
            return ActionOutcome(faults.refuse_action, None)
        if _is_switching(item) and faults.lie_about_action:
            return ActionOutcome(ActionResult.SUCCESS, None)
        before = meter.switch
        outcome = meter.act(item.descriptor, item.parameters, self._now())
        if meter.switch != before:
            method, after = method_name(item.descriptor), describe_switch(meter.switch)
            yield Report(events.Switched(meter=meter.name, method=method, before=describe_switch(before), after=after))
        return outcome

    def _answer(self, meter: Meter, answer: Answer) -> Iterator[Effect]:
        octets = self._connection.send(answer)
        if meter.setup.faults.silence is Silence.NEVER:
            yield from self._outgoing(octets)
        else:
            meter.reserve_counters()

    def _outgoing(self, octets: bytes) -> Iterator[Effect]:
        """Frames on their way out: each leaves as its meter's faults allow, its counters being on disk before."""
        while octets:
            end = HEADER + int.from_bytes(octets[6:8], "big")
            frame, octets = octets[:end], octets[end:]
            meter = self._meters.get(int.from_bytes(frame[2:4], "big"))
            if meter is None:
                yield Send(frame)
                continue
            self._talking.add(meter.setup.server_wport)
            meter.reserve_counters()
            if meter.setup.faults.silence is Silence.ALWAYS:
                continue
            if meter.setup.faults.answer_delay_s:
                yield Wait(meter.setup.faults.answer_delay_s)
            yield Send(frame)


def _is_switching(item: Item) -> bool:
    return isinstance(item, Action) and item.descriptor.class_id == DISCONNECT_CONTROL


def describe_switch(switch: Switch) -> events.SwitchState:
    """A switch in the words that all services use."""
    return events.SwitchState(switch.output_state, int(switch.control_state), switch.control_mode)

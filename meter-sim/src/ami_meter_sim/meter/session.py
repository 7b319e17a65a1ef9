"""One transport connection seen from the meters behind it: octets in, effects out, no I/O.

Strategy: `ami_dlms.association.ServerConnection` speaks the protocol, the meters answer, and this module stands at the edge
between them. It is the only place that calls the hooks of faults. What has to happen outside (writing, waiting, reporting, hanging
up, dying) comes out as values, in order, and the caller carries it out.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal

from ami_dlms.association import (
    Action,
    ActionOutcome,
    Answer,
    AssociationOpened,
    AssociationProfile,
    AssociationRefused,
    AssociationReleased,
    Discarded,
    Get,
    ItemResult,
    NotificationConfirmed,
    Requested,
    RequestKey,
    ServerConnection,
    ServerOutput,
)
from ami_dlms.cosem.classes import method_name
from ami_dlms.cosem.selection import SelectiveAccess
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_dlms.errors import DlmsError
from ami_dlms.framing.hdlc_framing import HdlcServerFraming
from ami_meter_sim import events
from ami_meter_sim.effects import Effect, HangUp, Report, Send
from ami_meter_sim.faults import Item
from ami_meter_sim.meter.communication import WRAPPER, CommunicationProfile
from ami_meter_sim.meter.simulated_meter import Meter
from ami_meter_sim.objects.cosem_object import ReadContext
from ami_meter_sim.objects.switch import Switch


class Session:
    """The meters behind one address, by server wrapper port, on one connection."""

    def __init__(
        self,
        meters: Mapping[int, Meter],
        *,
        now: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
        communication: CommunicationProfile = WRAPPER,
    ) -> None:
        self._meters = meters
        self._now = now
        self._titles: dict[tuple[int, int], bytes | None] = {}
        self._framing = communication.framing(meters)
        self._frames = communication.frames
        self._connection = ServerConnection(self._profile, random_bytes=random_bytes, framing=self._framing)
        self._talking: set[int] = set()
        self._open: set[tuple[int, int]] = set()

    @property
    def associated(self) -> bool:
        """Whether an association is open."""
        return bool(self._open)

    def _profile(self, client_wport: int, server_wport: int) -> AssociationProfile | None:
        meter = self._meters.get(server_wport)
        association = None if meter is None else meter.associations.get(client_wport)
        return None if association is None else association.profile

    def receive_data(self, octets: bytes) -> Iterator[Effect]:
        """What follows from these octets."""
        self._connection.receive_data(octets)
        return self._react()

    def inactive(self) -> Iterator[Effect]:
        """What follows from a silence that is longer than an HDLC link may be idle; over the wrapper nothing does."""
        if not isinstance(self._framing, HdlcServerFraming):
            return iter(())
        self._framing.silence()
        self._framing.timeout()
        return self._react()

    def _react(self) -> Iterator[Effect]:
        try:
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
            case Requested():
                yield from self._serve(event)
            case NotificationConfirmed():
                pass

    def _serve(self, event: Requested) -> Iterator[Effect]:
        """Carry out a request item by item, and answer; or break down before the answer, as the faults want it."""
        meter = self._meters[event.key.server_wport]
        items: list[Item] = []
        results: list[ItemResult] = []
        for item in event.items:
            items.append(item)
            results.append((yield from self._carry_out(meter, event.key, item)))
            if event.break_on_error and not _succeeded(results[-1]):
                break
        breakdowns = (fault.on_outcome(items) for fault in meter.setup.faults)
        instead = next((one for one in breakdowns if one is not None), None)
        if instead is not None:
            yield instead
        else:
            yield from self._outgoing(self._connection.send(Answer(event.key, tuple(results))), answers=True)

    def _carry_out(self, meter: Meter, key: RequestKey, item: Item) -> Generator[Effect, None, ItemResult]:
        for fault in meter.setup.faults:
            if (wrong := fault.on_request(item)) is not None:
                return wrong
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
        before = meter.switch
        outcome = meter.act(item.descriptor, item.parameters, self._now())
        if meter.switch != before:
            method, after = method_name(item.descriptor), describe_switch(meter.switch)
            yield Report(events.Switched(meter=meter.name, method=method, before=describe_switch(before), after=after))
        return outcome

    def _outgoing(self, octets: bytes, answers: bool = False) -> Iterator[Effect]:
        """Frames on their way out: each leaves as its meter's faults allow, its counters being on disk before."""
        for server_wport, frame in self._frames(octets):
            meter = self._meters.get(server_wport)
            if meter is None:
                yield Send(frame)
                continue
            self._talking.add(server_wport)
            meter.reserve_counters()
            leaving: Sequence[Effect] = (Send(frame),)
            for fault in meter.setup.faults:
                leaving = fault.on_frame(leaving, answers)
            yield from leaving


def _succeeded(result: ItemResult) -> bool:
    if isinstance(result, ActionOutcome):
        return result.result is ActionResult.SUCCESS
    return isinstance(result, Data) or result is DataAccessResult.SUCCESS


def describe_switch(switch: Switch) -> events.SwitchState:
    """A switch in the words that all services use."""
    return events.SwitchState(switch.output_state, int(switch.control_state), switch.control_mode)

"""One transport connection seen from the meters behind it: octets in, effects out, no I/O.

Strategy: `ami_dlms.association.ServerConnection` speaks the protocol, the meters answer, and this module is the edge
between them, where the hooks of faults are called. What has to happen outside (writing, waiting, reporting, hanging up, dying)
comes out as values, in order, and the caller carries it out.
"""

import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, TypeVar

from ami_dlms.association import (
    Action,
    ActionOutcome,
    Answer,
    ApduCounts,
    AssociationOpened,
    AssociationProfile,
    AssociationRefused,
    AssociationReleased,
    Cause,
    Discarded,
    Get,
    ItemResult,
    Requested,
    RequestKey,
    ServerConnection,
    ServerOutput,
    Set,
)
from ami_dlms.cosem.selection import SelectiveAccess
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_dlms.errors import DlmsError
from ami_dlms.framing.framing import Framing, LinkLost, WrapperPdu
from ami_meter_sim import events
from ami_meter_sim.effects import Effect, HangUp, Report, Send
from ami_meter_sim.faults import Active, Faults, Item, Occasion
from ami_meter_sim.faults.answers import refusal
from ami_meter_sim.faults.fault import AnsweredAtOnce, Arrived
from ami_meter_sim.meter.arrivals import ArrivalsByFaults
from ami_meter_sim.meter.communication import WRAPPER, CommunicationProfile, pdu_size, source_of, wrapper_pdus
from ami_meter_sim.meter.simulated_meter import Meter
from ami_meter_sim.objects.cosem_object import ReadContext
from ami_meter_sim.objects.switch import Switch
from ami_packs.event_list import Occurrence

T = TypeVar("T")

ATTACKS = {Cause.PROTECTION: Occurrence.DECRYPTION_FAILED, Cause.REPLAY: Occurrence.REPLAY}
ATTACK_LOGGED_ONCE_IN = timedelta(minutes=1)
OF_AN_OPENING = (AssociationOpened, AssociationRefused)
OF_ARRIVALS = ("on_octets", "on_pdu", "on_challenge")
OF_A_REQUEST = ("on_arrival", "on_request", "on_result", "on_outcome", "on_frame")


class Session:
    """The meters behind one address, by server wrapper port, on one connection."""

    def __init__(
        self,
        meters: Mapping[int, Meter],
        *,
        now: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
        communication: CommunicationProfile = WRAPPER,
        faults: Faults | None = None,
        counts: ApduCounts | None = None,
    ) -> None:
        self._meters = meters
        self._alone = len(meters) == 1
        self._only: Meter | None = None
        self._now = now
        self._faults = faults or Faults()
        self._decided: dict[int, bool] = {}
        self._reports: list[Report] = []
        self._answers = self._octets = 0
        self._begun = False
        self._found: dict[str, tuple[Active, ...]] = {}
        self._generation = -1
        self._power_cycles: dict[str, int] = {}
        self._titles: dict[tuple[int, int], bytes | None] = {}
        self._line = communication.line(meters)
        framing: Framing = self._line
        self._changes_arrivals = self._faults.any_has(*OF_ARRIVALS)
        if (
            self._changes_arrivals
        ):  # from the beginning of a connection or not at all, so that others have one call less
            framing, random_bytes = ArrivalsByFaults(self._line, _arrived_at(self)), _challenge_of(self, random_bytes)
        self._connection = ServerConnection(_asking(self), random_bytes=random_bytes, framing=framing, counts=counts)
        self._talking: set[int] = set()
        self._open: set[tuple[int, int]] = set()
        self._restarts: dict[int, tuple[Meter, int]] = {}
        """Each meter that was addressed, and how often it had restarted before."""

    @property
    def meters(self) -> Iterable[Meter]:
        """Those that a client may address."""
        return self._meters.values()

    @property
    def associated(self) -> bool:
        """Whether an association is open."""
        return bool(self._open)

    def profile(self, client_wport: int, server_wport: int) -> AssociationProfile | None:
        """What a meter offers to a client, as its faults let it."""
        meter = self._meters.get(server_wport)
        association = None if meter is None else meter.association(client_wport)
        if meter is None or association is None:
            return None
        if server_wport not in self._restarts:
            self._restarts[server_wport] = meter, meter.communication.restarts
        profile = association.profile
        for active in self._happening(meter, (), "on_profile"):
            profile = active.fault.on_profile(profile)
        return profile

    @property
    def _restarted(self) -> bool:
        """Whether a meter of this connection has restarted since it began."""
        for meter, before in self._restarts.values():  # noqa: SIM110 - asked twice for each APDU: a generator costs more
            if meter.communication.restarts != before:
                return True
        return False

    def receive_data(self, octets: bytes) -> Iterator[Effect]:
        """What follows from these octets."""
        before = self._before(octets)
        if before is not None:
            return iter([*self._reported(), *before])
        self._connection.receive_data(self._disturbed_octets(octets) if self._changes_arrivals else octets)
        return self._react()

    def inactive(self) -> Iterator[Effect]:
        """What follows from a silence that is longer than an HDLC link may be idle; over the wrapper nothing does."""
        if self._changes_arrivals and (octets := self._held_back()):
            self._connection.receive_data(octets)
        return self._react() if self._line.inactive() else iter(())

    def _react(self) -> Iterator[Effect]:
        if self._restarted:
            yield HangUp()
            return
        connection = self._connection
        try:
            while (event := connection.next_event()) is not None:
                if isinstance(event, OF_AN_OPENING) and self._locked_out(event):
                    yield Report(events.LockedOut(meter=self._only_name()))
                    yield HangUp()
                    return
                if octets := connection.data_to_send():
                    yield from self._outgoing(octets)
                if isinstance(event, Requested):
                    yield from self._serve(event)
                else:
                    yield from self._happened(event)
            if octets := connection.data_to_send():
                yield from self._outgoing(octets)
            if octets := self._line.own_frames():
                yield from self._link_answers(octets)
            if self._reports:
                yield from self._reported()
        except DlmsError as error:
            yield Report(events.Discarded(meter=self._only_name(), reason=str(error)))
            yield HangUp()
        for server_wport in self._talking:
            self._meters[server_wport].reserve_counters()
        if connection.closed or self._restarted:
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
            if meter.lock_out.locks(self._now()):
                meter.occur(Occurrence.PORT_LOCKED, self._now())
        return False

    def _attacked(self, meter: Meter | None, cause: Cause, client_wport: int | None = None) -> None:
        """A meter logs what may be an attack on its keys: a foreign frame, an old one, a client that is not who it says."""
        if meter is not None and client_wport not in meter.open_clients:
            meter.occur_at_most(
                ATTACKS.get(cause, Occurrence.AUTHENTICATION_FAILED), self._now(), once_in=ATTACK_LOGGED_ONCE_IN
            )

    def _only_meter(self) -> Meter | None:
        """The meter behind this address where there is one alone, made by now at the latest."""
        if self._only is None and self._alone:
            self._only = next(iter(self._meters.values()))
        return self._only

    def _only_name(self) -> str:
        only = self._only_meter()
        return "" if only is None else only.name

    def _happened(self, event: ServerOutput) -> Iterable[Effect]:
        """What follows from anything but a request."""
        match event:
            case AssociationOpened(profile, title):
                self._titles[profile.server_wport, profile.client_wport] = title
                self._open.add((profile.server_wport, profile.client_wport))
                return (self._association(profile.server_wport, profile.client_wport, "opened"),)
            case AssociationRefused(server_wport, client_wport, reason, cause):
                self._open.discard((server_wport, client_wport))
                self._attacked(self._meters.get(server_wport), cause, client_wport)
                return (self._association(server_wport, client_wport, "refused", reason),)
            case AssociationReleased(profile):
                self._open.discard((profile.server_wport, profile.client_wport))
                return (self._association(profile.server_wport, profile.client_wport, "released"),)
            case Discarded(reason, cause):
                if cause in ATTACKS:
                    self._attacked(self._only_meter(), cause)
                return (Report(events.Discarded(meter=self._only_name(), reason=reason)),)
            case _:
                return ()

    def _serve(self, event: Requested) -> Iterator[Effect]:
        """Carry out a request item by item, and answer."""
        meter = self._meters[event.key.server_wport]
        if self._active(meter):
            yield from self._serve_with_faults(meter, event)
            return
        at_once = meter.communication.changes_at_once
        results: list[ItemResult] = []
        for item in event.items:
            results.append(self._said(meter, event.key, item))
            if meter.device.moves:
                yield from map(Report, switched(meter))
            if event.break_on_error and not _succeeded(results[-1]):
                break
        yield from self._outgoing(self._connection.send(Answer(event.key, tuple(results))), event.items, ())
        self._answered(meter, at_once)

    def _answered(self, meter: Meter, at_once: int) -> None:
        """An answer has left; `at_once`: how often keys had changed, to count at once, before its request."""
        self._answers += 1
        if meter.communication.changes_at_once != at_once:
            self._renew()

    def _serve_with_faults(self, meter: Meter, event: Requested) -> Iterator[Effect]:
        """The same, or what the faults that happen now make of it."""
        at_once = meter.communication.changes_at_once
        happening = self._happening(meter, event.items, *OF_A_REQUEST)
        if self._reports:
            yield from self._reported()
        if happening:
            arrivals = [one.fault.on_arrival() for one in happening if one.rule.direction == "request"]
            if None in arrivals:
                self._forget(event)
                return
            for effects in arrivals:
                yield from effects or ()
        results: list[ItemResult] = []
        for item in event.items:
            results.append((yield from self._carry_out(meter, event.key, item, happening)))
            if event.break_on_error and not _succeeded(results[-1]):
                break
        for one in happening:
            if (instead := one.fault.on_outcome(self._occasion(event.items))) is not None:
                yield from instead
                return
        octets = self._connection.send(Answer(event.key, tuple(results)))
        yield from self._outgoing(octets, event.items, happening)
        self._answered(meter, at_once)

    def _renew(self) -> None:
        """The meter's new keys count from the next request on."""
        for server_wport, client_wport in self._open:
            self._connection.renew(server_wport, client_wport)

    def _forget(self, event: Requested) -> None:
        """A request that is lost: the connection has to get rid of it, and nothing of that leaves."""
        refusals = tuple(refusal(item, ActionResult.TEMPORARY_FAILURE) for item in event.items)
        self._connection.send(Answer(event.key, refusals))

    def _carry_out(
        self, meter: Meter, key: RequestKey, item: Item, happening: Sequence[Active]
    ) -> Generator[Effect, None, ItemResult]:
        concerned = [one.fault for one in happening if one.rule.when.covers(item)]
        for fault in concerned:
            instead = fault.on_request(item)
            if isinstance(instead, Get | Set | Action):
                item = instead
            elif instead is not None:
                return instead
        result = yield from self._result(meter, key, item)
        for fault in concerned:
            result = fault.on_result(item, result)
        return result

    def _result(self, meter: Meter, key: RequestKey, item: Item) -> Generator[Effect, None, ItemResult]:
        """What the meter itself says."""
        result = self._said(meter, key, item)
        if meter.device.moves:
            yield from map(Report, switched(meter))
        return result

    def _said(self, meter: Meter, key: RequestKey, item: Item) -> ItemResult:
        if isinstance(item, Get):
            return meter.get(item.descriptor, self._context(meter, key, item.selection), self._now())
        if isinstance(item, Action):
            return meter.act(item.descriptor, item.parameters, self._now(), self._context(meter, key, None))
        if item.selection is not None:
            return DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
        return meter.set(item.descriptor, item.value, self._now(), self._context(meter, key, None))

    # --- faults

    def _occasion(self, items: Sequence[Item] = ()) -> Occasion:
        return Occasion(self._now(), items, answers=self._answers, octets=self._octets)

    def _active(self, meter: Meter) -> tuple[Active, ...]:
        """The faults of a meter, looked up when the rules have changed."""
        if self._generation != self._faults.generation:
            self._generation = self._faults.generation
            self._found.clear()
        found = self._found.get(meter.name)
        if found is None:
            found = self._found[meter.name] = self._faults.of(meter.name)
        return found

    def _happening(self, meter: Meter, items: Sequence[Item], *hooks: str) -> Sequence[Active]:
        """The faults that have one of these hooks and happen now."""
        active = self._active(meter)
        if not active:
            return active
        occasion = self._occasion(items)
        return [
            one for one in active if not one.of_the_line and one.has(*hooks) and self._happens(meter, one, occasion)
        ]

    def _happens(self, meter: Meter, one: Active, occasion: Occasion) -> bool:
        """Whether a fault happens now; then it is counted and reported."""
        if not one.happens(occasion, self._decided):
            return False
        self._faults.happened(one)
        self._reports.append(Report(events.FaultHappened(meter=meter.name, fault=one.rule.fault, rule=one.number)))
        return True

    def _reported(self) -> Iterator[Effect]:
        reports, self._reports = self._reports, []
        yield from reports

    def _before(self, octets: bytes) -> list[Effect] | None:
        """What happens in place of a reaction, where the meter has no power, restarts, or is not there."""
        meter = self._addressed(octets)
        if meter is None:
            return None
        if not meter.powered:
            return []
        if self._power_cycles.setdefault(meter.name, meter.power_cycles) != meter.power_cycles:
            return [HangUp(abrupt=True)]
        if not (faults := self._active(meter)):
            return None
        if any(one.is_down(self._now()) for one in faults):
            return [HangUp(abrupt=True)]
        happening = [] if self._begun else [*_of_arrivals(faults), *self._happening(meter, (), "on_connection")]
        self._begun = True
        return next(([end] for one in happening if (end := one.fault.on_connection()) is not None), None)

    # --- faults of what arrives

    def _disturbed_octets(self, octets: bytes) -> bytes:
        only = self._only_meter()
        for one in () if only is None else self._deciding(only, "on_octets"):
            octets = self._noticed(one, octets, one.fault.on_octets(octets))
        return octets

    def _held_back(self) -> bytes:
        only = self._only_meter()
        return b"" if only is None else b"".join(one.fault.on_silence() for one in _of_arrivals(self._active(only)))

    def arrived(self, pdu: WrapperPdu | LinkLost) -> Sequence[Arrived]:
        """What the faults of its meter make of a PDU, or of the end of a link."""
        meter = self._meters.get(pdu.destination) or self._only_meter()
        if meter is None:
            return (pdu,)
        offered = meter.association(pdu.source)
        profile = None if offered is None else offered.profile
        there: list[Arrived] = [pdu]
        for one in self._deciding(meter, "on_pdu"):
            before, there = there, []
            for arrived in before:
                if isinstance(arrived, AnsweredAtOnce):
                    there.append(arrived)
                else:
                    there += self._noticed(one, (arrived,), tuple(one.fault.on_pdu(arrived, profile)))
        return there

    def challenge(self, octets: bytes) -> bytes:
        """A challenge of HLS, as the faults of the only meter here have it."""
        only = self._only_meter()
        for one in () if only is None else self._deciding(only, "on_challenge"):
            octets = self._noticed(one, octets, one.fault.on_challenge(octets))
        return octets

    def _deciding(self, meter: Meter, hook: str) -> Iterator[Active]:
        occasion = self._occasion()
        return (one for one in self._active(meter) if one.has(hook) and one.happens(occasion, self._decided))

    def _noticed(self, one: Active, before: object, after: T) -> T:
        """Such a fault is asked at each APDU, and has happened where it changed something."""
        if before != after:
            self._faults.happened(one)
            self._reports.append(Report(events.FaultHappened(meter=one.meter, fault=one.rule.fault, rule=one.number)))
        return after

    def _addressed(self, octets: bytes) -> Meter | None:
        """Whom these octets are for, if that can be seen: the only meter, or that of the destination."""
        if self._alone:
            return self._only_meter()
        server_wport = self._line.addressed(octets)
        return None if server_wport is None else self._meters.get(server_wport)

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
        association = meter.association(key.client_wport)
        if association is None:
            raise LookupError(f"no association of client {key.client_wport} was opened")
        title = self._titles.get((key.server_wport, key.client_wport))
        return ReadContext(association.name, association.profile, title, selection)

    def _outgoing(
        self, octets: bytes, items: Sequence[Item] = (), happening: Sequence[Active] | None = None
    ) -> Iterable[Effect]:
        """Frames on their way out: each leaves as its meter's faults allow, its counters being on disk before.

        `happening` are the faults that happen to the request of these items; for all other frames they are found here.
        """
        if len(octets) == pdu_size(octets):  # one frame, as nearly always: without a generator
            meter = self._speaks(source_of(octets))
            if meter is not None and not self._active(meter):
                return self._undisturbed(octets)
        return self._frames_out(octets, items, happening)

    def _speaks(self, server_wport: int) -> Meter | None:
        """The meter that a frame leaves from, its counters being on disk; None where there is none."""
        meter = self._meters.get(server_wport)
        if meter is not None:
            self._talking.add(server_wport)
            meter.reserve_counters()
        return meter

    def _frames_out(self, octets: bytes, items: Sequence[Item], happening: Sequence[Active] | None) -> Iterator[Effect]:
        for server_wport, frame in wrapper_pdus(octets):
            meter = self._speaks(server_wport)
            if meter is None:
                yield from self._line.on_line((Send(frame),))
                continue
            if not self._active(meter):
                yield from self._undisturbed(frame)
                continue
            found = self._happening(meter, (), "on_frame") if happening is None else happening
            if self._reports:
                yield from self._reported()
            leaving: Sequence[Effect] = (Send(frame),)
            for one in found:
                if one.rule.direction == "answer":
                    leaving = one.fault.on_frame(leaving, self._occasion(items))
            yield from self._over_the_line(meter, self._line.on_line(leaving), items)

    def _undisturbed(self, frame: bytes) -> Iterable[Effect]:
        """A frame of a meter without faults, as it goes over the line."""
        leaving = tuple(self._line.on_line((Send(frame),)))
        for effect in leaving:
            if isinstance(effect, Send):
                self._octets += len(effect.octets)
        return leaving

    def _over_the_line(self, meter: Meter, effects: Iterable[Effect], items: Sequence[Item] = ()) -> Iterator[Effect]:
        """What becomes of frames on the line: the faults of the line happen to each of them."""
        faults = [one for one in self._active(meter) if one.of_the_line]
        for effect in effects:
            if not isinstance(effect, Send):
                yield effect
                continue
            for frame in self._line.frames(effect.octets) if faults else (effect.octets,):
                leaving: Sequence[Effect] = (Send(frame),)
                now = self._occasion(items)
                for one in faults:
                    if leaving and self._happens(meter, one, now):
                        leaving = one.fault.on_frame(leaving, now)
                self._octets += sum(len(one.octets) for one in leaving if isinstance(one, Send))
                yield from self._reported()
                yield from leaving

    def _link_answers(self, octets: bytes) -> Iterator[Effect]:
        """Frames of the data link itself. They leave as they are, unless the only meter here sends nothing at all now."""
        leaving: Sequence[Effect] = (Send(octets),)
        if (only := self._only_meter()) is not None:
            for one in self._happening(only, (), "on_frame"):
                if one.rule.direction == "answer" and not one.fault.on_frame(leaving, self._occasion()):
                    leaving = ()
            yield from self._reported()
            yield from self._over_the_line(only, leaving)
            return
        yield from leaving


def _asking(session: Session) -> Callable[[int, int], AssociationProfile | None]:
    """Looks up profiles for the connection of a session, which then does not keep its session in memory."""
    its = weakref.ref(session)

    def profile(client_wport: int, server_wport: int) -> AssociationProfile | None:
        found = its()
        return None if found is None else found.profile(client_wport, server_wport)

    return profile


def _arrived_at(session: Session) -> Callable[[WrapperPdu | LinkLost], Sequence[Arrived]]:
    """The same for what arrives."""
    its = weakref.ref(session)

    def arrived(pdu: WrapperPdu | LinkLost) -> Sequence[Arrived]:
        found = its()
        return () if found is None else found.arrived(pdu)

    return arrived


def _challenge_of(session: Session, random_bytes: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """The same for challenges, for which alone a server takes random octets."""
    its = weakref.ref(session)

    def challenge(length: int) -> bytes:
        found, octets = its(), random_bytes(length)
        return octets if found is None else found.challenge(octets)

    return challenge


def _succeeded(result: ItemResult) -> bool:
    if isinstance(result, ActionOutcome):
        return result.result is ActionResult.SUCCESS
    return isinstance(result, Data) or result is DataAccessResult.SUCCESS


def switched(meter: Meter) -> Iterator[events.Switched]:
    """What the switch of a meter has done since somebody asked last, as events."""
    for one in meter.take_moves():
        before, after = describe_switch(one.before), describe_switch(one.after)
        yield events.Switched(meter=meter.name, method=one.trigger, before=before, after=after)


def describe_switch(switch: Switch) -> events.SwitchState:
    """A switch in the words that all services use."""
    return events.SwitchState(switch.output_state, int(switch.control_state), switch.control_mode)


def _of_arrivals(faults: Sequence[Active]) -> Iterator[Active]:
    """Those of the line that see the octets which arrive: what they keep is of one connection."""
    return (one for one in faults if one.of_the_line and one.has("on_octets"))

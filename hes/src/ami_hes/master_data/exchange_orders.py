"""MeterServiceRequests: a meter is put in the place of another one at its usage point, with the last readings of the old one and the first of the new one.

Both readings are requests of their own, as any client would ask, under MessageIDs that follow from that of the order; the links change in one
transaction. So an order that comes again, or that a restart interrupts, goes on from what is so.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID, uuid5

from ami_cim.codes import Level, Verb
from ami_cim.errors import CimError
from ami_cim.identity import EndDevice, Identifier, Name, is_uuid
from ami_cim.message import Header, Reply, ReplyError, RequestMessage
from ami_cim.payloads.get_meter_readings import AskedReading, GetMeterReadings
from ami_cim.payloads.meter_readings import MeterReadings
from ami_cim.payloads.meter_service_requests import (
    MeterServiceRequests,
    MeterServiceWork,
    ServicedMeter,
    ServicedReadings,
)
from ami_hes.master_data.problems import Problem
from ami_hes.meters import Meter
from ami_hes.meters.meter_index import Table
from ami_hes.nouns import Ask, Refused, Report, RequestContext, error
from ami_hes.nouns.devices import meter_of_device
from ami_hes.registry import Amendment, KeptRegistry, NotAmended
from ami_hes.store import Results

NOUN = "MeterServiceRequests"
_NAMESPACE = UUID("b7f5a9a2-5d0c-4a86-8c4b-0d3b1c6e7f21")
"""Of the MessageIDs of readings; another one would have orders that come again read meters again."""
REMOVAL, INSTALLATION = "removal", "installation"
"""Readings/reason."""
KINDS = frozenset({None, "meter", "other", "service"})
"""MeterServiceWork/kind of what may be an exchange."""


@dataclass(frozen=True, slots=True)
class ExchangeOrders:
    """Carries out messages of this noun; each may come twice."""

    kept: KeptRegistry
    results: Results
    ask: Ask

    async def __call__(self, context: RequestContext, message: RequestMessage) -> Report:
        """The Reply with the meter and its usage point, and the work with the readings; raises Refused, CimError and StoreUnavailable."""
        work = checked(message)
        old, new = self._known(work.old_meter, "OldMeter"), self._known(work.meter, "Meter")
        points = _points(old, new)
        await self._check_so_already(old, new, points)
        final = await self._final(message, work, old)
        await self._relink(context, old, new, points)
        first, errors = await self._first(message, new)
        done = replace(
            work,
            meter=_serviced(new, first),
            old_meter=_serviced(old, final),
        )
        identifiers = (Identifier(value=new.mrid, kind="uuid", object_type="Meter"), _point(points))
        notes = () if old.usage_points else (_so_already(new, points),)
        reply = Reply(result="PARTIAL" if errors else "OK", errors=(*errors, *notes), identifiers=identifiers)
        return reply, MeterServiceRequests(works=(done,))

    def _known(self, asked: ServicedMeter | None, where: str) -> Meter:
        pointer = EndDevice() if asked is None else EndDevice(asked.mrid, asked.names)
        found = meter_of_device(pointer, self.kept.registry)
        if isinstance(found, ReplyError):
            raise Refused(replace(found, reason=f"{where}: {found.reason}"))
        return found

    async def _final(self, message: RequestMessage, work: MeterServiceWork, old: Meter) -> tuple[ServicedReadings, ...]:
        """Those that the order brings, as of a meter that can't be read any more, else those that are read now."""
        given = work.old_meter.meter_readings if work.old_meter else ()
        if given:
            return given
        readings, errors = await self._read(message, old, REMOVAL)
        if errors:
            reason = f"Nothing was changed: the last readings of {old.name} were not had, and the order has none"
            raise Refused(error(errors[0].code, f"{reason}: {errors[0].reason}"))
        return readings

    async def _check_so_already(self, old: Meter, new: Meter, points: tuple[str, ...]) -> None:
        """That a new meter is at a usage point says nothing of which one was there before: only an exchange that is kept does. Raises Refused."""
        if old.usage_points or await self.results.has_noted(NOUN, _pair(old, new, points)):
            return
        reason = (
            f"The meter {old.name} is at no usage point, and no exchange of it for {new.name} at {points[0]} is kept"
        )
        raise Refused(error("2.13", f"Nothing was changed: {reason}."))

    async def _relink(self, context: RequestContext, old: Meter, new: Meter, points: tuple[str, ...]) -> None:
        """Both entries in one transaction, and neither where one can't be changed; nothing where it is so already."""
        if not old.usage_points:
            return
        await self.results.note(context.request_id, _pair(old, new, points))

        def left(table: Table | None) -> Table:
            there = _there(table, old, points)
            return {field: value for field, value in there.items() if field != "usage_points"}

        def come(table: Table | None) -> Table:
            return {**_there(table, new, new.usage_points), "usage_points": list(points)}

        changes = [Amendment(old.mrid, left), Amendment(new.mrid, come)]
        for outcome in await self.kept.amend(changes, whole=True):
            if isinstance(outcome, NotAmended):
                raise Refused(error("5.2", f"Nothing was changed: {outcome}."))

    async def _first(
        self, message: RequestMessage, new: Meter
    ) -> tuple[tuple[ServicedReadings, ...], tuple[ReplyError, ...]]:
        readings, errors = await self._read(message, new, INSTALLATION)
        if not errors:
            return readings, ()
        said = f"{new.name} is at the usage point, and its first readings were not had"
        return (), tuple(replace(one, level=Level.WARNING, reason=f"{said}: {one.reason}") for one in errors)

    async def _read(
        self, message: RequestMessage, meter: Meter, reason: str
    ) -> tuple[tuple[ServicedReadings, ...], tuple[ReplyError, ...]]:
        """All registers of a meter as they are now; errors where not all were had."""
        try:
            answer, _ = await self.ask(_request(message, meter, reason))
        except CimError as problem:
            if problem.code == "5.1":
                raise
            return (), (error(problem.code, problem.reason),)
        payload = answer.payload
        if answer.reply.result != "OK" or not isinstance(payload, MeterReadings):
            return (), answer.reply.errors or (error("5.3", "no values came"),)
        groups = [[replace(value, reason=reason) for value in one.readings] for one in payload.meter_readings]
        return tuple(ServicedReadings(readings=tuple(one)) for one in groups), ()


def checked(message: RequestMessage) -> MeterServiceWork:
    """The work of a message that can be begun; raises Refused for one of which nothing may be done."""
    if message.header.verb != Verb.CREATE:
        raise Refused(error("2.9", f"The verb {message.header.verb} is not served for {NOUN}. Served is: create."))
    asked = message.payload
    if not isinstance(asked, MeterServiceRequests) or not asked.works:
        raise Refused(error("1.7", f"The Payload has no {NOUN} with a MeterServiceWork."))
    if len(asked.works) > 1:
        raise Refused(error("3.1", f"One MeterServiceWork by a message is carried out here; {len(asked.works)} came."))
    (work,) = asked.works
    if work.old_meter is None or work.kind not in KINDS:
        raise Refused(error("5.2", "Carried out here is the exchange of an OldMeter for a Meter, and no other work."))
    return work


def _points(old: Meter, new: Meter) -> tuple[str, ...]:
    """The usage point that is meant; raises Refused where there is none, or where the new meter is at another one."""
    if old.mrid == new.mrid:
        raise Refused(error("5.2", "OldMeter and Meter are the same meter."))
    if old.usage_points and new.usage_points:
        raise Refused(
            error("2.13", f"The meter {new.name} is at the usage point {new.usage_points[0]}: unlink it first.")
        )
    points = old.usage_points or new.usage_points
    if not points:
        raise Refused(error("2.13", f"The meter {old.name} is at no usage point."))
    return points


def _pair(old: Meter, new: Meter, points: tuple[str, ...]) -> str:
    """As it is noted with an order before its links change."""
    return json.dumps(["exchange", old.mrid, new.mrid, *points])


def _so_already(new: Meter, points: tuple[str, ...]) -> ReplyError:
    reason = f"{new.name} was at the usage point {points[0]} already: no link was changed."
    return ReplyError(code="0.0", level=Level.INFORM, reason=reason)


def _there(table: Table | None, meter: Meter, points: Sequence[str]) -> Table:
    """The entry as it is now; raises Problem where it has another place than when the exchange was looked at, since readings took a while."""
    if table is None:
        raise Problem("2.4", f"the meter {meter.name} is not known here any more")
    if list(table.get("usage_points", ())) != list(points):
        raise Problem("2.13", f"the meter {meter.name} was linked or unlinked meanwhile")
    return table


def _request(message: RequestMessage, meter: Meter, reason: str) -> RequestMessage:
    """A question for the registers of a meter, which comes again as the same one."""
    outer = message.header
    header = Header(
        verb=Verb.GET,
        noun="MeterReadings",
        timestamp=outer.timestamp,
        source=outer.source,
        user=outer.user,
        message_id=str(uuid5(_NAMESPACE, f"{outer.message_id}\n{reason}")),
        correlation_id=outer.correlation_id or outer.message_id,
    )
    query = GetMeterReadings(end_devices=(EndDevice(mrid=meter.mrid),), readings=(AskedReading(reason=reason),))
    return RequestMessage(header=header, query=query)


def _serviced(meter: Meter, readings: tuple[ServicedReadings, ...]) -> ServicedMeter:
    return ServicedMeter(
        mrid=meter.mrid, serial_number=meter.device_id, meter_readings=readings, names=(Name(name=meter.name),)
    )


def _point(points: tuple[str, ...]) -> Identifier:
    if (mrid := next(filter(is_uuid, points), None)) is not None:
        return Identifier(value=mrid, kind="uuid", object_type="UsagePoint")
    return Identifier(value=points[0], kind="name", object_type="UsagePoint")

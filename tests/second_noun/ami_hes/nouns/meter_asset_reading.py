"""MeterAssetReading: a get reads one register of each meter that it names; the values are the payload of the answer."""

from collections.abc import Sequence

from ami_cim.identity import EndDevice
from ami_cim.message import ReplyError, RequestMessage
from ami_cim.payloads.meter_asset_reading import (
    GetMeterAssetReading,
    MeterAssetReading,
    MeterReading,
    Reading,
)
from ami_hes.commands import Command, MeterId
from ami_hes.meters import Registry
from ami_hes.nouns.devices import devices_of, meter_of_device
from ami_hes.nouns.header import error
from ami_hes.nouns.partners import STANDARD, Partner
from ami_hes.nouns.plans import Plan, Refused, Report, RequestContext, Worked
from ami_hes.nouns.replies import reply_of
from ami_hes.operations import read_register


def size(message: RequestMessage, partner: Partner = STANDARD) -> int:
    return len(devices_of(message.query.end_devices, partner)) if isinstance(message.query, GetMeterAssetReading) else 0


def plan(context: RequestContext, message: RequestMessage, registry: Registry) -> Plan:
    if message.header.verb != "get" or not isinstance(message.query, GetMeterAssetReading):
        raise Refused(
            error("2.9", "MeterAssetReading is served for the verb get, with GetMeterAssetReading in its Request.")
        )
    kinds = [one.mrid or "" for one in message.query.reading_types]
    if len(kinds) != 1 or kinds[0] not in read_register.REGISTERS:
        raise Refused(error("5.2", f"Read is one ReadingType at a time, of: {', '.join(read_register.REGISTERS)}."))
    found = [meter_of_device(device, registry) for device in devices_of(message.query.end_devices, context.partner)]
    meters = dict.fromkeys(MeterId(one.name, one.mrid) for one in found if not isinstance(one, ReplyError))
    commands = tuple(Command(context.request_id, meter, read_register.NAME, kinds[0]) for meter in meters)
    return Plan(commands, tuple(one for one in found if isinstance(one, ReplyError)), kinds[0])


def report(context: RequestContext, errors: Sequence[ReplyError], worked: Sequence[Worked]) -> Report:
    read = tuple(
        MeterReading(meter=EndDevice(mrid=one.command.meter.mrid), readings=(_reading(one),))
        for one in worked
        if one.outcome.ok
    )
    return reply_of(context, errors, worked), MeterAssetReading(read) if read else None


def _reading(one: Worked) -> Reading:
    return Reading(reading_type=one.command.body, value=one.outcome.payload)

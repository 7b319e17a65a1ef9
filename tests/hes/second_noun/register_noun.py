"""RegisterReadings: one command for the meter that is named, and the value that was read as the payload of the answer."""

import json
from collections.abc import Sequence
from datetime import datetime

from register_operation import NAME
from register_payload import RegisterReading, format, parse

from ami_cim.codes import Level
from ami_cim.message import Reply, ReplyError, RequestMessage
from ami_cim.payloads.opaque import OpaquePayload
from ami_hes.commands import Command, MeterId
from ami_hes.meters import Registry
from ami_hes.nouns import STANDARD, Partner, Plan, Refused, Report, Worked, error


def size(message: RequestMessage, partner: Partner = STANDARD) -> int:
    return 1


def plan(message: RequestMessage, registry: Registry, *, now: datetime, partner: Partner = STANDARD) -> Plan:
    if message.header.verb != "get" or not isinstance(message.payload, OpaquePayload):
        raise Refused(error("2.9", "RegisterReadings are got."))
    asked = parse(message.payload)
    meter = registry.find_by_mrid(asked.mrid)
    if meter is None:
        raise Refused(error("2.4", f"The meter with mRID {asked.mrid} is not known here."))
    return Plan((Command(message.header.message_id or "", MeterId(meter.name, meter.mrid), NAME, asked.obis),))


def report(errors: Sequence[ReplyError], worked: Sequence[Worked]) -> Report:
    (one,) = worked
    outcome = one.outcome
    if not outcome.ok:
        failed = ReplyError(code=outcome.code or "5.3", level=Level.FATAL, reason=outcome.reason)
        return Reply(result="FAILED", errors=(failed,)), None
    reading = RegisterReading(one.command.meter.mrid, one.command.body, json.loads(outcome.payload)["value"])
    return Reply(result="OK"), format(reading)

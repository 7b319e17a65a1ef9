"""What a request has to be allowed to: for each route of the API, and for each noun of a message, the role that it takes.

A route that has no row here is for admins alone, and a test fails.
"""

from collections.abc import Iterator

from ami_cim.codes import Verb
from ami_cim.message import RequestMessage
from ami_cim.payloads.end_device_controls import EndDeviceControls
from ami_cim.payloads.operation_set import OperationSet
from ami_hes.api import paths
from ami_hes.operation_sets import NOUN as SET
from ami_process.clock_api import PATH as CLOCK
from ami_process.principal_api import PATH as PRINCIPAL
from ami_process.principals import Role, Roles

_READ, _OPERATE, _CONTROL, _SECURE, _ADMINISTER = (
    Role.READER,
    Role.OPERATOR,
    Role.CONTROLLER,
    Role.SECURITY_OFFICER,
    Role.ADMIN,
)

ROUTES: Roles = {
    (PRINCIPAL, "GET"): _READ,
    (CLOCK, "GET"): _READ,
    (CLOCK, "POST"): _ADMINISTER,
    (paths.METERS, "GET"): _READ,
    (paths.METERS, "POST"): _SECURE,
    (paths.METER, "GET"): _READ,
    (paths.METER, "DELETE"): _SECURE,
    (paths.GROUPS, "GET"): _READ,
    (paths.QUARANTINE, "GET"): _READ,
    (paths.CALLER, "GET"): _READ,
    (paths.CALLER, "POST"): _SECURE,
    (paths.CALLER, "DELETE"): _SECURE,
    (paths.SCALERS_OF, "DELETE"): _OPERATE,
    (paths.REQUESTS, "GET"): _READ,
    (paths.REQUEST, "GET"): _READ,
    (paths.JOBS, "GET"): _READ,
    (paths.JOBS_OF, "DELETE"): _CONTROL,
    (paths.TRACES, "GET"): _READ,
    (paths.PUSHES, "GET"): _READ,
    (paths.TRACE, "GET"): _READ,
    (paths.METRICS, "GET"): _READ,
    (paths.CONTACTS, "GET"): _READ,
    (paths.LIVE, "GET"): _READ,
    (paths.OPENAPI, "GET"): _READ,
    (paths.CAMPAIGNS, "GET"): _READ,
    (paths.KEY_ROLLS, "POST"): _SECURE,
    (paths.FIRMWARE_STARTS, "POST"): _SECURE,
    (paths.EVENT_LOG_READINGS, "POST"): _OPERATE,
    (paths.CAMPAIGN, "GET"): _READ,
    (paths.CAMPAIGN_PAUSE, "POST"): _OPERATE,
    (paths.CAMPAIGN_RESUME, "POST"): _SECURE,
    (paths.CAMPAIGN_CANCEL, "POST"): _OPERATE,
    (paths.IMAGES, "GET"): _READ,
    (paths.IMAGES, "POST"): _SECURE,
    (paths.IMAGE, "GET"): _READ,
    (paths.IMAGE, "DELETE"): _SECURE,
    (paths.IMAGE_PARTS, "POST"): _SECURE,
    (paths.COMMISSIONINGS, "POST"): _SECURE,
    (paths.SCHEDULES, "GET"): _READ,
    (paths.SCHEDULE, "PUT"): _OPERATE,
    (paths.SCHEDULE, "DELETE"): _OPERATE,
    (paths.DEVICE_EVENTS, "GET"): _READ,
    (paths.DEVICE_EVENT_STREAM, "GET"): _READ,
    (paths.CONTROLS, "POST"): _CONTROL,
    (paths.READINGS, "GET"): _READ,
    (paths.READINGS, "POST"): _OPERATE,
    (paths.OUTAGES, "GET"): _READ,
    (paths.OUTAGE_PING, "POST"): _OPERATE,
    (paths.DEAD_LETTERS, "GET"): _READ,
    (paths.DEAD_LETTERS, "POST"): _OPERATE,
    (paths.DEAD_LETTERS, "DELETE"): _OPERATE,
    (paths.GUARD, "GET"): _READ,
    (paths.GUARD_CHECK, "POST"): _READ,
    (paths.GUARD_USES, "GET"): _READ,
    (paths.CONTROLS_STOP, "GET"): _READ,
    (paths.CONTROLS_STOP, "POST"): _CONTROL,
    (paths.CONTROLS_RESUME, "POST"): _SECURE,
    (paths.APPROVALS, "GET"): _READ,
    (paths.APPROVAL, "GET"): _READ,
    (paths.APPROVE, "POST"): _SECURE,
    (paths.REJECT, "POST"): _SECURE,
    (paths.AUDIT, "GET"): _SECURE,
    (paths.AUDIT_SEARCH, "GET"): _SECURE,
    (paths.AUDIT_CHECK, "GET"): _SECURE,
    (paths.AUDIT_CHECK, "POST"): _SECURE,
    (paths.SUBSCRIBERS, "GET"): _READ,
    (paths.REPLAY, "POST"): _OPERATE,
}

CONTROLS = "EndDeviceControls"
NOUNS = {
    CONTROLS: _CONTROL,
    "MeterReadings": _OPERATE,
    "MeterReadSchedule": _OPERATE,
    "EndDeviceEvents": _OPERATE,
    "MeterConfig": _OPERATE,
    "EndDeviceConfig": _OPERATE,
    "UsagePointConfig": _OPERATE,
    "MasterDataLinkageConfig": _OPERATE,
    "MeterServiceRequests": _OPERATE,
}
"""What each verb but get takes; what is not here takes an admin."""

SECURITY_DOMAINS = frozenset({"11", "12"})
"""Of an EndDeviceControlType: firmware and security. Such controls are the security officer's."""


def needed(message: RequestMessage) -> frozenset[Role]:
    """All roles that a message takes: it is the verb and the noun of its Header that say what is done, whatever its payload is."""
    return frozenset(_needed(message.header.verb, message.header.noun, message.payload))


def _needed(verb: str, noun: str, payload: object) -> Iterator[Role]:
    if verb == Verb.EXECUTE and noun == SET and isinstance(payload, OperationSet):
        yield _READ
        for one in payload.operations:
            yield from _needed(one.verb or verb, one.noun or noun, one.payload)
    elif verb == Verb.GET:
        yield _READ
    elif noun == CONTROLS and isinstance(payload, EndDeviceControls) and payload.controls:
        for control in payload.controls:
            yield _SECURE if SECURITY_DOMAINS.intersection(control.control_type.split(".")[1:2]) else _CONTROL
    else:
        yield NOUNS.get(noun, _ADMINISTER)

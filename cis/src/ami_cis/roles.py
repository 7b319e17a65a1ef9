"""What a request to the CIS has to be allowed to: the role that each route of its API takes, and that of messages to it.

A route that has no row here is for admins alone, and a test fails.
"""

from ami_cis.api import OPENAPI
from ami_cis.api_values.controls import CONTROL, CONTROLS
from ami_cis.api_values.device_events import ACKNOWLEDGE, DEVICE_EVENTS
from ami_cis.api_values.meters import HES_USAGE_POINT, HES_USAGE_POINTS, METER, METER_EXCHANGES, METERS
from ami_cis.api_values.readings import READINGS
from ami_cis.api_values.requests import LIVE, REQUEST, REQUESTS, USAGE_POINTS
from ami_cis.api_values.schedules import SCHEDULE, SCHEDULES
from ami_cis.places_api import PLACE, PLACES
from ami_process.clock_api import PATH as CLOCK
from ami_process.principal_api import PATH as PRINCIPAL
from ami_process.principals import Role, Roles

_READ, _OPERATE, _CONTROL = Role.READER, Role.OPERATOR, Role.CONTROLLER

ROUTES: Roles = {
    (PRINCIPAL, "GET"): _READ,
    (CLOCK, "GET"): _READ,
    (CLOCK, "POST"): Role.ADMIN,
    (CONTROLS, "POST"): _CONTROL,
    (CONTROL, "GET"): _READ,
    (CONTROL, "DELETE"): _CONTROL,
    (OPENAPI, "GET"): _READ,
    (READINGS, "GET"): _READ,
    (READINGS, "POST"): _OPERATE,
    (DEVICE_EVENTS, "GET"): _READ,
    (DEVICE_EVENTS, "POST"): _OPERATE,
    (ACKNOWLEDGE, "POST"): _OPERATE,
    (METERS, "GET"): _READ,
    (HES_USAGE_POINTS, "GET"): _READ,
    (HES_USAGE_POINT, "GET"): _READ,
    (REQUESTS, "GET"): _READ,
    (REQUEST, "GET"): _READ,
    (USAGE_POINTS, "GET"): _READ,
    (PLACES, "POST"): _OPERATE,
    (PLACE, "DELETE"): _OPERATE,
    (LIVE, "GET"): _READ,
    (METER, "GET"): _READ,
    (METER_EXCHANGES, "POST"): _OPERATE,
    (SCHEDULES, "GET"): _READ,
    (SCHEDULES, "POST"): _OPERATE,
    (SCHEDULE, "GET"): _READ,
    (SCHEDULE, "DELETE"): _OPERATE,
}

MESSAGES = _OPERATE
"""What replies and events take, whatever they are about."""

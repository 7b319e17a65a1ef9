"""The pages of the head-end's console. Each is a frame with a script beside this, which asks the REST API for what it shows."""

from ami_console import Page, Site
from ami_hes.api import paths

_ROOM = "ami_hes"
PAGES = (
    Page(path="/requests", title="Requests", nav="Requests", script=f"{_ROOM}/requests.js"),
    Page(path="/requests/{message_id:path}", title="Request", under="/requests", script=f"{_ROOM}/request.js"),
    Page(path="/traces", title="Traces", nav="Traces", script=f"{_ROOM}/traces.js"),
    Page(
        path="/traces/{message_id:path}",
        title="Trace",
        under="/traces",
        template="trace_page.html",
        styles=("console/trace.css",),
        script="console/trace.js",
    ),
    Page(path="/meters", title="Meters", nav="Meters", script=f"{_ROOM}/meters.js"),
    Page(path="/meters/{name:path}", title="Meter", under="/meters", script=f"{_ROOM}/meter.js"),
    Page(path="/events", title="Events", nav="Events", script=f"{_ROOM}/events.js"),
    Page(path="/pushes", title="Pushes", nav="Pushes", script=f"{_ROOM}/pushes.js"),
    Page(path="/outages", title="Outages", nav="Outages", script=f"{_ROOM}/outages.js"),
    Page(path="/schedules", title="Schedules", nav="Schedules", script=f"{_ROOM}/schedules.js"),
    Page(
        path="/schedules/{name:path}", title="Schedule", under="/schedules", script=f"{_ROOM}/schedule.js", chart=True
    ),
    Page(path="/campaigns", title="Campaigns", nav="Campaigns", script=f"{_ROOM}/campaigns.js"),
    Page(path="/campaigns/{name}", title="Campaign", under="/campaigns", script=f"{_ROOM}/campaign.js", chart=True),
    Page(path="/approvals", title="Approvals", nav="Approvals", script=f"{_ROOM}/approvals.js"),
    Page(path="/approvals/{message_id:path}", title="Approval", under="/approvals", script=f"{_ROOM}/approval.js"),
    Page(path="/limits", title="Limits", nav="Limits", script=f"{_ROOM}/limits.js"),
    Page(path="/audit", title="Audit log", nav="Audit", script=f"{_ROOM}/audit.js"),
    Page(path="/quarantine", title="Quarantine", nav="Quarantine", script=f"{_ROOM}/quarantine.js"),
    Page(path="/jobs", title="Jobs", nav="Jobs", script=f"{_ROOM}/jobs.js"),
    Page(path="/dead-letters", title="Dead letters", nav="Dead letters", script=f"{_ROOM}/letters.js"),
    Page(path="/api", title="REST API", nav="API", script="console/api.js"),
)
SITE = Site(
    process="HES", package=_ROOM, pages=PAGES, api=paths.OPENAPI, live=paths.LIVE, scripts=(f"{_ROOM}/stop.js",)
)

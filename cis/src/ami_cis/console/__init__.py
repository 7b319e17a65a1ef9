"""The pages of the CIS's console. Each is a frame with a script beside this, which asks the REST API for what it shows."""

from ami_cis.api import OPENAPI
from ami_cis.api_values.requests import LIVE
from ami_console import Page, Site

_ROOM = "ami_cis"
PAGES = (
    Page(path="/usage-points", title="Usage points", nav="Usage points", script=f"{_ROOM}/points.js"),
    Page(
        path="/usage-points/{name:path}",
        title="Usage point",
        under="/usage-points",
        script=f"{_ROOM}/point.js",
        chart=True,
    ),
    Page(path="/requests", title="Requests", nav="Requests", script=f"{_ROOM}/requests.js"),
    Page(
        path="/requests/{message_id:path}", title="Request", under="/requests", script=f"{_ROOM}/request.js", chart=True
    ),
    Page(path="/events", title="Events", nav="Events", script=f"{_ROOM}/events.js"),
    Page(path="/api", title="REST API", nav="API", script="console/api.js"),
)
SITE = Site(process="CIS", package=_ROOM, pages=PAGES, api=OPENAPI, live=LIVE)

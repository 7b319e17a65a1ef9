"""The pages of the simulator's console. Each is a frame with a script beside this, which asks the API for what it shows."""

from ami_console import Page, Site

_ROOM = "ami_meter_sim"
BASE = "/api/v1"
LIVE = f"{BASE}/live"
PAGES = (
    Page(path="/meters", title="Meters", nav="Meters", script=f"{_ROOM}/fleet.js"),
    Page(path="/meters/{name:path}", title="Meter", under="/meters", script=f"{_ROOM}/meter.js"),
    Page(path="/faults", title="Faults", nav="Faults", script=f"{_ROOM}/faults.js"),
    Page(path="/scenarios", title="Scenarios", nav="Scenarios", script=f"{_ROOM}/scenarios.js"),
    Page(path="/api", title="REST API", nav="API", script="console/api.js"),
)
SITE = Site(process="Simulator", package=_ROOM, pages=PAGES, api=f"{BASE}/openapi.json", live=LIVE)

"""Take the pictures of the README anew: python tests/console/take_pictures.py docs/pictures.

They show a system of processes at work, with meters that were switched, that fail, and that do not answer; nothing in them is drawn.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

import httpx
from browsing import Browser, Page, browser, picture, visit
from free_ports import free_port
from harness import System, system
from patience import PATIENCE_S

from ami_meter_sim.population.topology import Topology

METERS = 90
NETWORK = Topology(meters_per_transformer=6, transformers_per_feeder=3, feeders_per_substation=5)
DARK = ("M1021", "M1022", "M1023", "M1024", "M1025")
CUT_OFF = ("M1003", "M1009", "M1041")
STUCK = "M1012"


def work(ami: System, cis: httpx.Client, simulator: httpx.Client) -> str:
    """What customers of an evening are: read, disconnected, without power; the MessageID of a disconnect that one meter does not carry out."""
    names = [one["name"] for one in ami.config["meters"]]
    cis.post("/api/v1/controls", json={"code": "connect", "meters": names})
    cis.post("/api/v1/readings", json={"meters": names, "reading_types": ["import"]})
    cis.post("/api/v1/controls", json={"code": "disconnect", "meters": CUT_OFF})
    for name in DARK:
        simulator.post("/api/v1/power", json={"on": False, "name": name}).raise_for_status()
    cis.post("/api/v1/readings", json={"meters": names, "reading_types": ["import"]})
    order = {"code": "disconnect", "meters": ["M1003", STUCK], "message_id": "e4d0c5c6-3f43-4d38-8f0e-6a1c9a1f3f10"}
    assert cis.post("/api/v1/controls", json=order).json()["result"] == "PARTIAL"
    cis.post("/api/v1/controls", json={"code": "connect", "meters": ["M1003", STUCK]})
    cis.post("/api/v1/readings", json={"meters": names[:12], "reading_types": ["import"]})
    return order["message_id"]


def shot(page: Page, path: Path) -> None:
    page.mouse.move(1, 1)
    page.evaluate("document.fonts.ready")
    page.screenshot(path=path)


def take(chromium: Browser, ami: System, cis: str, message_id: str, directory: Path) -> None:
    with visit(chromium, "dark") as seen:
        page = seen.open(f"{cis}/usage-points#map")
        page.set_viewport_size({"width": 1360, "height": 720})
        page.wait_for_selector(f"canvas.map[data-dots='{METERS}']")
        for name in CUT_OFF[:2]:
            page.check(f"input[aria-label='Select {name}']")
        shot(page, directory / "console-usage-points.png")
    with visit(chromium) as seen:
        page = seen.open(f"{ami.hes_url}/requests")
        page.set_viewport_size({"width": 1360, "height": 560})
        page.locator(".vrow:visible").first.wait_for()
        shot(page, directory / "console-requests.png")
        pushes = seen.open(f"{ami.hes_url}/pushes")
        pushes.locator(".vrow:visible").first.wait_for()
        picture(pushes, "hes-pushes-of-many-light")
        page = seen.open(f"{ami.hes_url}/traces/{message_id}")
        page.set_viewport_size({"width": 1360, "height": 820})
        page.get_by_text("action-request-normal: disconnect_control").first.click()
        page.locator("#t-hex").get_by_text("0000").first.wait_for()
        shot(page, directory / "console-trace.png")


def main(directory: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch, system(Path(scratch), meters=METERS) as ami, browser() as chromium:
        port = ami.config["meter_sim"]["port"] = free_port()
        ami.config["hes"]["traces"] = {"keep": "everything"}
        ami.meter(STUCK)["simulated"]["refuse_action"] = "hardware-fault"
        for index, meter in enumerate(ami.config["meters"]):
            at = NETWORK.place(index)
            meter |= {"latitude": at.latitude, "longitude": at.longitude, "main_address": at.main_address}
            meter["simulated"]["push_to"] = f"tcp://127.0.0.1:{ami.config['hes']['dlms_port']}"
        ami.start_together()
        ami.start_cis("--no-loop").wait_for("ready")
        cis = f"http://127.0.0.1:{ami.config['cis']['port']}"
        with (
            httpx.Client(base_url=cis, timeout=PATIENCE_S) as asked,
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S) as simulator,
        ):
            take(chromium, ami, cis, work(ami, asked, simulator), directory)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

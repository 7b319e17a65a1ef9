"""The map of usage points in the CIS's console: dots where they are, moved by mouse and keys, one selection and one filter with the list, live.

Ten thousand of them are drawn at the size acceptance, some hundred otherwise; the CIS is a process of its own, told by events as a HES tells it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import httpx
import pytest
import sizes
from patience import PATIENCE_S

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from browsing import Browser, Page, browser, inaccessible, picture, visit
from harness import System, system
from test_outage import LONGEST_TASK_MS, tasks_ms

from ami_cim import envelope, wire
from ami_cim.identity import EndDevice
from ami_cim.message import EventMessage, Header
from ami_cim.payloads.end_device_events import EndDeviceEvent, EndDeviceEvents
from ami_cim.schema import Schemas
from ami_meter_sim.population.topology import Topology

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.ci]

SCHEMAS = Schemas()
CONNECTED, DISCONNECTED, NO_POWER = "3.31.0.42", "3.31.0.68", "3.26.38.85"


@pytest.fixture(scope="module")
def points() -> int:
    return 10_000 if sizes.chosen == "acceptance" else 600


@pytest.fixture(scope="module")
def cis(tmp_path_factory: pytest.TempPathFactory, points: int) -> Iterator[str]:
    """The address of a CIS of that many usage points, of which the first has no place."""
    directory, topology = tmp_path_factory.mktemp("map"), Topology()
    rows = []
    for index in range(points):
        at = topology.place(index)
        place = {"latitude": at.latitude, "longitude": at.longitude, "main_address": at.main_address}
        names = {"name": f"M{index}", "mrid": str(UUID(int=index + 1)), "usage_points": [f"UP-{index}"]}
        rows.append(names | (place if index else {}))
    (directory / "shipment.json").write_text(json.dumps({"format": 1, "meters": rows}))
    with system(directory, meters=1) as one:
        one.config["meters"] = []
        one.config["cis"]["shipments"] = [str(directory / "shipment.json")]
        one.start_cis("--no-loop").wait_for("ready")
        yield base(one)


def base(one: System) -> str:
    return f"http://127.0.0.1:{one.config['cis']['port']}"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as one:
        yield one


def happened(cis: str, code: str, *indexes: int) -> None:
    """The HES tells the CIS of it."""
    now = datetime.now(UTC)
    events = tuple(
        EndDeviceEvent(
            mrid=f"{code} of {index} at {now}",
            event_type=code,
            created_at=now,
            reason="told by a test",
            asset=EndDevice(str(UUID(int=index + 1))),
        )
        for index in indexes
    )
    name = f"{code}-{now.isoformat()}"
    head = Header(verb="created", noun="EndDeviceEvents", timestamp=now, message_id=name, correlation_id=name)
    message = EventMessage(header=head, payload=EndDeviceEvents(events))
    octets = wire.write_event(message, envelope.typed_wrapper("created", "EndDeviceEvents"), SCHEMAS)
    types = {"Content-Type": "text/xml; charset=utf-8"}
    answer = httpx.post(f"{cis}/cim", content=octets, headers=types, timeout=PATIENCE_S)
    assert wire.read_response(answer.content, SCHEMAS).reply.result == "OK"


def dots(page: Page, number: int) -> None:
    """Wait until the map has drawn as many."""
    page.wait_for_selector(f"canvas.map[data-dots='{number}']")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_large_map_shows_each_place_once_and_is_accessible(
    cis: str, chromium: Browser, points: int, theme: str
) -> None:
    happened(cis, DISCONNECTED, 595)
    with visit(chromium, theme) as seen:
        page = seen.open(f"{cis}/usage-points#map")
        dots(page, points - 1)
        assert page.get_by_role("button", name="Larger map").get_attribute("aria-pressed") == "true"
        assert page.get_by_text("1 without a place is in the list alone.").is_visible()
        picture(page, f"cis-usage-points-map-{theme}")
        assert inaccessible(page) == []
        page.get_by_role("button", name="Larger map").click()
        assert page.url == f"{cis}/usage-points"
        dots(page, points - 1)


def test_list_and_map_share_what_is_found_filtered_and_selected(cis: str, chromium: Browser) -> None:
    with visit(chromium) as seen:
        page = seen.open(f"{cis}/usage-points#map")
        page.locator("#find").fill("alder street, s1-f1")
        dots(page, 39)
        page.get_by_role("button", name="Show all").click()
        page.get_by_role("button", name="Select what the map shows").click()
        assert page.locator(".bulk b").inner_text() == "39"
        page.locator("canvas.map").focus()
        page.keyboard.press("Escape")
        page.locator(".bulk").wait_for(state="hidden")
        page.locator("#find").fill("")
        page.locator("[data-filter=Disconnected]").click()
        dots(page, int(page.locator("[data-filter=Disconnected] b").inner_text()))


def test_a_dot_that_is_clicked_is_selected_and_read_from_the_list(cis: str, chromium: Browser) -> None:
    with visit(chromium) as seen:
        page = seen.open(f"{cis}/usage-points#map")
        page.locator("#find").fill("1 Birch Street, S1-F1")
        page.locator(".vrow:visible").nth(0).wait_for()
        page.get_by_role("button", name="Show all").click()
        middle = page.evaluate(
            """async () => {
                await new Promise(requestAnimationFrame);
                await new Promise(requestAnimationFrame);
                const map = document.querySelector("canvas.map");
                const { data, width } = map.getContext("2d").getImageData(0, 0, map.width, map.height);
                const wanted = getComputedStyle(document.documentElement).getPropertyValue("--idle").trim();
                const [r, g, b] = [1, 3, 5].map((at) => parseInt(wanted.slice(at, at + 2), 16));
                for (let at = 0; at < data.length; at += 4)
                    if (data[at] === r && data[at + 1] === g && data[at + 2] === b && data[at + 3] === 255) {
                        const place = at / 4;
                        return [(place % width) / devicePixelRatio, Math.floor(place / width) / devicePixelRatio];
                    }
                return null;
            }"""
        )
        assert middle is not None, "a dot of the state unknown is drawn"
        page.locator("canvas.map").hover(position={"x": middle[0], "y": middle[1]})
        assert "Birch Street" in page.locator(".tip").inner_text()
        page.locator("canvas.map").click(position={"x": middle[0], "y": middle[1]})
        assert page.locator(".bulk b").inner_text() == "1"
        page.locator(".vrow.sel:visible").wait_for()  # the list is drawn in the frame after
        assert page.locator(".vrow.sel:visible").count() == 1
        page.locator("canvas.map").click(position={"x": middle[0], "y": middle[1]})
        page.locator(".bulk").wait_for(state="hidden")


def test_it_is_moved_by_mouse_and_keys_and_a_rectangle_selects(cis: str, chromium: Browser, points: int) -> None:
    with visit(chromium) as seen:
        page = seen.open(f"{cis}/usage-points#map")
        dots(page, points - 1)
        room = page.locator("canvas.map").bounding_box()
        assert room is not None
        rule = page.locator(".scalebar")
        far = rule.inner_text()
        page.locator("canvas.map").focus()
        for _ in range(12):
            page.keyboard.press("+")
        page.locator(".scalebar", has_text=" m").wait_for()
        assert rule.inner_text() != far
        page.keyboard.press("ArrowRight")
        page.keyboard.press("0")
        dots(page, points - 1)
        page.mouse.move(room["x"] + room["width"] / 2, room["y"] + room["height"] / 2)
        page.mouse.wheel(0, -2_000)
        page.keyboard.press("0")
        dots(page, points - 1)
        page.mouse.move(room["x"] + 2, room["y"] + 2)
        page.keyboard.down("Shift")
        page.mouse.down()
        page.mouse.move(room["x"] + room["width"] - 2, room["y"] + room["height"] - 2, steps=3)
        page.mouse.up()
        page.keyboard.up("Shift")
        assert page.locator(".bulk b").inner_text() == f"{points - 1:,}"
        page.mouse.move(room["x"] + 300, room["y"] + 300)
        page.mouse.down()
        page.mouse.move(room["x"] + 4_000, room["y"] + 300, steps=2)
        page.mouse.up()
        dots(page, 0)
        page.get_by_role("button", name="Show all").click()
        dots(page, points - 1)


def test_what_happens_and_who_gets_a_place_is_seen_at_once(cis: str, chromium: Browser, points: int) -> None:
    with visit(chromium) as seen:
        page = seen.open(f"{cis}/usage-points#map")
        page.wait_for_selector("#live.on", state="attached")
        page.locator("[data-filter='No answer']").click()
        dots(page, 0)
        happened(cis, NO_POWER, 590, 591, 592)
        dots(page, 3)
        said = {"places": [{"usage_point": "UP-0", "latitude": 0.0, "longitude": 0.0}]}
        assert httpx.post(f"{cis}/api/v1/places", json=said, timeout=PATIENCE_S).status_code == 200
        page.locator("[data-filter='All']").click()
        dots(page, points)
        assert httpx.delete(f"{cis}/api/v1/places/UP-0", timeout=PATIENCE_S).json() == {"usage_points": 1}
        dots(page, points - 1)


def test_no_task_of_the_page_is_long(cis: str, chromium: Browser, points: int) -> None:
    with visit(chromium) as seen:
        page = seen.open(f"{cis}/usage-points#map")
        page.wait_for_selector("#live.on", state="attached")
        dots(page, points - 1)
        chromium.start_tracing(page=page, categories=["toplevel", "disabled-by-default-devtools.timeline"])
        page.locator("canvas.map").focus()
        for key in ("+", "+", "ArrowLeft", "ArrowUp", "-", "0") * 3:
            page.keyboard.press(key)
        page.locator("#find").fill("street")
        page.get_by_role("button", name="Select what the map shows").click()
        happened(cis, CONNECTED, *range(1, 500))
        page.locator("[data-filter='Connected']").click()
        page.locator("[data-filter='Connected'] b", has_text="499").wait_for()
        longest = tasks_ms(chromium.stop_tracing())
        print(f"longest tasks of {points} dots, ms of their threads: {[round(one) for one in longest[:5]]}")
        assert longest, "the trace has tasks"
        assert longest[0] < LONGEST_TASK_MS, f"the longest tasks took {[round(one) for one in longest[:5]]} ms"

"""An outage of 10,000 meters while people watch: pages stay quick and small, and what they show is what has happened.

How long a task of a page takes is measured in time of its own thread, so a machine that is busy with other things is no slow page.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from patience import PATIENCE_S

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from browsing import Browser, Page, browser, picture, visit
from free_ports import free_port
from harness import System, configuration

from ami_cli import populations

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.ci]

METERS = 10_000
LONGEST_TASK_MS = 100.0
MOST_HEAP = 120_000_000
"""Octets of JavaScript; the rows of 10,000 meters are a tenth of it."""
MOST_ELEMENTS = 2_500
OVER_S = 5.0
MANY_MS = 3 * PATIENCE_S * 1000
"""For all meters to lose their power, on a machine that has other things to do: that of a test is for one of them."""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A simulator of so many meters that push their last gasps, and the HES that takes them."""
    directory = tmp_path_factory.mktemp("town")
    document = configuration(directory) | {"meters": []}
    document["meter_sim"]["port"] = free_port()
    push = {"to": f"udp://127.0.0.1:{document['hes']['dlms_port']}", "on": ["power-down", "power-up"]}
    table = {
        "name": "town",
        "count": METERS,
        "seed": "town",
        "port": free_port(),
        "model": "single-phase",
        "push": push,
    }
    document["populations"] = [table]
    populations.ship(document, directory)
    one = System(directory, document)
    try:
        yield one.start_together()
    finally:
        one.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as one:
        yield one


def tasks_ms(trace: bytes) -> list[float]:
    """CPU time of each task of the main threads of pages, the longest first."""
    found: list[dict[str, Any]] = json.loads(trace)["traceEvents"]
    mains = {
        (one["pid"], one["tid"])
        for one in found
        if one.get("name") == "thread_name" and one["args"]["name"] == "CrRendererMain"
    }
    durations = [
        one["tdur"] / 1000
        for one in found
        if one.get("name", "").endswith("RunTask") and "tdur" in one and (one["pid"], one["tid"]) in mains
    ]
    return sorted(durations, reverse=True)


def size(page: Page) -> tuple[int, int]:
    """Octets of the heap behind a collection of what is not used, and the number of elements."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")["usedSize"]
    return int(used), int(page.evaluate("document.querySelectorAll('*').length"))


def test_an_outage_of_all_meters_is_watched(town: System, chromium: Browser) -> None:
    simulator = f"http://127.0.0.1:{town.config['meter_sim']['port']}"
    with visit(chromium) as seen:
        fleet = seen.open(f"{simulator}/meters")
        meters, events, outages = (seen.open(f"{town.hes_url}/{page}") for page in ("meters", "events", "outages"))
        pages = (fleet, meters, events, outages)
        for page in pages:
            page.wait_for_selector("#live.on", state="attached")
        assert fleet.locator("[data-filter=All] b").inner_text() == f"{METERS:,}"
        chromium.start_tracing(page=fleet, categories=["toplevel", "disabled-by-default-devtools.timeline"])
        order = {"on": False, "spread_s": OVER_S}
        assert httpx.post(f"{simulator}/api/v1/power", json=order, timeout=PATIENCE_S).json() == {"meters": METERS}
        fleet.locator("[data-filter='No power'] b", has_text=f"{METERS:,}").wait_for(timeout=MANY_MS)
        dark = outages.locator("dl div", has_text="Meters without power").locator("dd")
        told = int(httpx.get(f"{town.hes_url}/api/v1/outages", timeout=PATIENCE_S).json()["dark"])
        assert told > 0
        outages.wait_for_selector(".vrow:visible")
        trace = chromium.stop_tracing()
        assert int(dark.inner_text().replace(",", "")) > 0
        events.locator(".vrow:visible .st.odd").first.wait_for()
        longest = tasks_ms(trace)
        assert longest, "the trace has tasks"
        print(f"longest tasks, ms of their threads: {[round(one) for one in longest[:5]]}")
        assert longest[0] < LONGEST_TASK_MS, f"the longest tasks took {[round(one) for one in longest[:5]]} ms"
        for page in pages:
            heap, elements = size(page)
            print(f"{page.url}: {heap:,} octets of JavaScript, {elements:,} elements")
            assert heap < MOST_HEAP and elements < MOST_ELEMENTS, (page.url, heap, elements)
        picture(outages, "hes-outage-light")
        picture(fleet, "simulator-outage-light")

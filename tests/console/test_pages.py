"""The consoles in a real browser: every page loads without an error and without a foreign request, is accessible in both themes, and lives.

One running system and one browser serve all tests of this module.
"""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from patience import PATIENCE_S

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from browsing import READY, Browser, browser, inaccessible, picture, visit
from free_ports import free_port
from harness import System, system, until
from stranger import CONNECT, DISCONNECT, Stranger, by_mrid

from ami_cis.console import SITE as CIS
from ami_console import Site
from ami_dlms import apdu
from ami_dlms.apdu.ciphered import GeneralGloCiphering
from ami_dlms.framing import wrapper
from ami_hes.console import SITE as HES
from ami_meter_sim.console import SITE as SIMULATOR

pytestmark = pytest.mark.needs("chromium")

METERS = 4
TURNED = "\u202e"
"""What stands behind it is shown from right to left."""
READ_BY_PEOPLE = """
document.body.innerText + [...document.querySelectorAll("[title], [aria-label]")].map((one) => `${one.title} ${one.ariaLabel}`).join()
"""
PROTECTED = "M1004"
SECTIONS = {"CIS": "cis", "HES": "hes", "Simulator": "meter_sim"}
ENERGY = "0.0.2.4.1.1.12.0.0.0.0.0.0.0.0.3.72.0"
EXAMPLES = {
    ("HES", "/requests/{message_id:path}"): "/requests/{request}",
    ("HES", "/traces/{message_id:path}"): "/traces/{request}",
    ("HES", "/meters/{name:path}"): "/meters/M1001",
    ("HES", "/schedules/{name:path}"): "/schedules/hourly",
    ("HES", "/campaigns/{name}"): "/campaigns/{campaign}",
    ("HES", "/approvals/{message_id:path}"): "/approvals/{approval}",
    ("CIS", "/usage-points/{name:path}"): "/usage-points/M1001",
    ("CIS", "/requests/{message_id:path}"): "/requests/{sent}",
    ("Simulator", "/meters/{name:path}"): "/meters/M1001",
}
"""Of pages that are about one thing."""
PAGES = [(site, one) for site in (CIS, HES, SIMULATOR) for one in site.pages]


@pytest.fixture(scope="module")
def ami(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with system(tmp_path_factory.mktemp("consoles"), meters=METERS) as one:
        one.config["meter_sim"]["port"] = free_port()
        one.meter(PROTECTED)["tags"] = {"protected": "yes"}
        one.config["hes"]["guard"]["keys"] = {"per_principal": 1}
        one.start_together()
        one.start_cis("--no-loop").wait_for("ready")
        yield one


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as one:
        yield one


@pytest.fixture(scope="module")
def asked(ami: System) -> str:
    """The MessageID of a request that has its answer."""
    meters = [by_mrid(one) for one in ami.config["meters"]]
    assert Stranger(ami.hes_url).switch(CONNECT, meters).result == "OK"
    found = httpx.get(f"{ami.hes_url}/api/v1/requests", timeout=PATIENCE_S).json()["requests"]
    return str(found[0]["message_id"])


@pytest.fixture(scope="module")
def examples(ami: System, asked: str) -> dict[str, str]:
    """What pages about one thing are about."""
    schedule = {"reading_types": [ENERGY], "meters": ["M1001"], "every": "hour", "time_zone": "Europe/Berlin"}
    api = f"{ami.hes_url}/api/v1"
    assert httpx.put(f"{api}/schedules/hourly", json=schedule, timeout=PATIENCE_S).status_code == 200
    campaign = httpx.post(f"{api}/campaigns/event-logs", json={"meters": ["M1001", "M1002"]}, timeout=PATIENCE_S)
    roll = {"meters": ["M1001", "M1002"], "key": "encryption"}
    approval = httpx.post(f"{api}/campaigns/keys", json=roll, timeout=PATIENCE_S).json()
    assert approval["state"] == "waiting for approval", approval
    read = {"meters": ["M1001"], "reading_types": ["import"], "message_id": "read-of-a-test"}
    ended = httpx.post(f"{base(ami, 'CIS')}/api/v1/readings", json=read, timeout=PATIENCE_S)
    assert ended.json()["result"] == "OK"
    return {"request": asked, "campaign": campaign.json()["id"], "approval": approval["id"], "sent": "read-of-a-test"}


def base(ami: System, process: str) -> str:
    return f"http://127.0.0.1:{ami.config[SECTIONS[process]]['port']}"


@pytest.mark.ci
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("process", "path"), [(site.process, one.path) for site, one in PAGES])
def test_every_page_is_there_without_an_error_and_accessible(
    ami: System, chromium: Browser, examples: dict[str, str], process: str, path: str, theme: str
) -> None:
    address = EXAMPLES.get((process, path), path).format(**examples)
    with visit(chromium, theme) as seen:
        page = seen.open(base(ami, process) + address)
        assert page.locator("h1").first.inner_text().strip()
        assert page.locator("html").get_attribute("data-theme") == theme
        name = "-".join(part for part in path.split("/") if part and "{" not in part) + ("-one" if "{" in path else "")
        picture(page, f"{process.lower()}-{name}-{theme}")
        assert inaccessible(page) == []


@pytest.mark.parametrize("site", [CIS, HES, SIMULATOR], ids=lambda site: site.process)
def test_the_root_of_each_process_leads_to_its_console(ami: System, site: Site) -> None:
    address = base(ami, site.process)
    root = httpx.get(address, timeout=PATIENCE_S)
    assert (root.status_code, root.headers["location"]) == (303, site.pages[0].path)
    page = httpx.get(address + root.headers["location"], timeout=PATIENCE_S)
    assert page.status_code == 200 and f"{site.process} console" in page.text


@pytest.mark.parametrize("site", [CIS, HES, SIMULATOR], ids=lambda site: site.process)
def test_a_small_window_hides_no_page_and_a_smaller_one_not_the_one_that_is_shown(
    ami: System, chromium: Browser, site: Site
) -> None:
    in_sight = """one => {
        const all = one.closest("nav").getBoundingClientRect(), it = one.getBoundingClientRect();
        return it.left >= all.left - 1 && it.right <= all.right + 1;
    }"""
    with visit(chromium) as seen:
        for width in (1280, 640):
            page = seen.context.new_page()
            page.set_viewport_size({"width": width, "height": 800})
            page.goto(f"{base(ami, site.process)}/api")
            page.wait_for_selector(READY, state="attached")
            page.evaluate("document.fonts.ready")
            wanted = ".top nav a" if width == 1280 else ".top nav a[aria-current]"
            page.wait_for_function(f"[...document.querySelectorAll('{wanted}')].every({in_sight})")
            assert page.locator(wanted).count() > 0


def test_a_request_that_no_meter_was_asked_for_has_no_bar_and_no_number(ami: System, chromium: Browser) -> None:
    shown = """async (asked) => {
        const address = performance.getEntriesByType("resource").map((one) => one.name).find((one) => one.endsWith("/ami_hes/words.js"));
        const { progress, targets } = await import(address), put = document.createElement("p");
        put.append(progress(asked), " ", targets(asked));
        return put.textContent;
    }"""
    with visit(chromium) as seen:
        page = seen.open(f"{ami.hes_url}/requests")
        assert page.evaluate(shown, {"meters": 0, "done": 0, "ok": 0}) == "– –"
        assert page.evaluate(shown, {"meters": 2, "done": 2, "ok": 2}) == "2 of 2 2 meters"


def test_a_request_is_seen_as_it_comes_and_ends(ami: System, chromium: Browser, asked: str) -> None:
    with visit(chromium) as seen:
        page = seen.open(f"{ami.hes_url}/requests")
        page.wait_for_selector("#live.on", state="attached")
        before = page.locator(".vrow:visible").count()
        reply = Stranger(ami.hes_url).switch(DISCONNECT, [by_mrid(ami.meter("M1002"))])
        assert reply.result == "OK"
        page.locator(".vrow:visible").nth(before).wait_for()
        first = page.locator(".vrow:visible").first
        first.locator(".pill.OK").wait_for()
        page.goto(f"{ami.hes_url}/meters")
        page.locator(".vrow", has_text="M1002").locator(".st", has_text="Disconnected").wait_for()
        Stranger(ami.hes_url).switch(CONNECT, [by_mrid(ami.meter("M1002"))])
        page.locator(".vrow", has_text="M1002").locator(".st", has_text="Connected").wait_for()


def test_a_text_of_a_sender_moves_nothing_beside_it_and_is_no_markup(ami: System, chromium: Browser) -> None:
    """A character of the direction of writing would have it read as another text, on the page of an approval too."""
    hostile = f"{TURNED}devorppa <img src=x onerror=alert(1)>"
    order = {"control": "connect", "meters": ["M1001"], "message_id": hostile}
    answer = httpx.post(f"{ami.hes_url}/api/v1/controls", json=order, timeout=PATIENCE_S)
    assert answer.status_code == 200, answer.text
    with visit(chromium) as seen:
        for path in ("/requests", f"/requests/{quote(hostile, safe='')}", f"/traces/{quote(hostile, safe='')}"):
            page = seen.open(ami.hes_url + path)
            page.get_by_text("\ufffddevorppa <img").first.wait_for(state="attached")
            texts = page.evaluate(READ_BY_PEOPLE)
            assert TURNED not in texts
            assert page.locator("img[src=x]").count() == 0


@pytest.mark.ci
def test_eight_tabs_live_on_one_stream(ami: System, chromium: Browser, asked: str) -> None:
    """HTTP/1.1 allows six connections per host: with a stream each, the seventh tab would never load."""
    with visit(chromium) as seen:
        tabs = [seen.open(f"{ami.hes_url}/meters") for _ in range(8)]
        for tab in tabs:
            tab.wait_for_selector("#live.on", state="attached")
        assert seen.requests.count("/api/v1/live") == 1
        Stranger(ami.hes_url).switch(DISCONNECT, [by_mrid(ami.meter("M1003"))])
        for tab in tabs:
            tab.locator(".vrow", has_text="M1003").locator(".st", has_text="Disconnected").wait_for()
        tabs[0].close()
        Stranger(ami.hes_url).switch(CONNECT, [by_mrid(ami.meter("M1003"))])
        for tab in tabs[1:]:
            tab.locator(".vrow", has_text="M1003").locator(".st", has_text="Connected").wait_for()
        assert seen.requests.count("/api/v1/live") == 2, "the next tab has taken over"


@pytest.mark.ci
def test_a_list_is_read_by_keys_alone(ami: System, chromium: Browser, asked: str) -> None:
    with visit(chromium) as seen:
        page = seen.open(f"{ami.hes_url}/meters")
        page.keyboard.press("/")
        page.keyboard.type("m1002")
        page.locator(".vrow:visible").nth(1).wait_for(state="detached")
        assert page.locator(".vrow:visible").count() == 1
        page.keyboard.press("Control+A")
        page.keyboard.press("Backspace")
        page.locator("[role=grid]").focus()
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url("**/meters/M1002")


@pytest.mark.ci
def test_the_theme_is_switched_and_kept(ami: System, chromium: Browser) -> None:
    with visit(chromium) as seen:
        page = seen.open(f"{ami.hes_url}/api")
        page.click("#theme")
        assert page.locator("html").get_attribute("data-theme") == "dark"
        page.reload()
        page.wait_for_selector("html[data-theme=dark][data-ready]", state="attached")


@pytest.mark.ci
def test_customers_are_disconnected_when_somebody_has_said_yes(ami: System, chromium: Browser) -> None:
    with visit(chromium) as seen:
        page = seen.open(f"{base(ami, 'CIS')}/usage-points")
        page.check("input[aria-label='Select M1001']")
        page.check("input[aria-label='Select M1002']")
        page.click("[data-action=Disconnect]")
        dialog = page.locator("dialog")
        assert dialog.locator("h2").inner_text() == "Disconnect 2 customers?"
        assert "M1001, M1002" in dialog.inner_text()
        dialog.get_by_text("Cancel").click()
        dialog.wait_for(state="detached")
        assert "/api/v1/controls" not in seen.requests, "nothing was ordered"
        page.click("[data-action=Disconnect]")
        dialog.get_by_role("button", name="Disconnect 2 customers").click()
        for name in ("M1001", "M1002"):
            page.locator(".vrow", has_text=name).locator(".st", has_text="Disconnected").wait_for()
        page.locator(".rqs li", has_text="disconnect").first.locator(".pill.OK").wait_for()
        page.locator(".toast", has_text="Disconnect: OK").wait_for()
        picture(page, "cis-disconnected-light")
        assert seen.requests.count("/api/v1/controls") == 1


@pytest.mark.ci
def test_a_caller_that_nobody_knows_is_taken_in(ami: System, chromium: Browser) -> None:
    titles = ("58595a0000001b59", "58595a0000001b60")
    with visit(chromium) as seen, socket.create_connection(("127.0.0.1", ami.config["hes"]["dlms_port"])) as line:
        page = seen.open(f"{ami.hes_url}/quarantine")
        for title in titles:
            octets = apdu.encode(GeneralGloCiphering(bytes.fromhex(title), bytes((0x30,)) + bytes(20)))
            line.sendall(wrapper.encode(wrapper.WrapperPdu(1, 1, octets)))
        address = f"{ami.hes_url}/api/v1/quarantine"
        until(lambda: len(httpx.get(address, timeout=PATIENCE_S).json()["callers"]) == 2, "the callers")
        page.reload()
        taken, forgotten = (page.locator(".vrow:visible", has_text=title) for title in titles)
        taken.get_by_role("button", name="Take in").click()
        page.get_by_label("Name of the meter").fill("M9001")
        page.get_by_label("mRID", exact=True).fill("5f0c9a52-0000-4000-8000-000000009001")
        page.get_by_label("Device id, as it has to show it").fill("9001")
        page.get_by_label("Logical device name, as it has to show it").fill("AMI0000000009001")
        picture(page, "hes-quarantine-taking-in-light")
        page.get_by_role("button", name="Take it in").click()
        page.locator(".toast", has_text="M9001 is in the registry").wait_for()
        taken.wait_for(state="detached")
        forgotten.get_by_role("button", name="Forget").click()
        page.locator("dialog").get_by_role("button", name="Forget it").click()
        page.get_by_text("Nobody has called who is in no entry.").wait_for()
        removed = httpx.delete(f"{ami.hes_url}/api/v1/meters/M9001", timeout=PATIENCE_S)
        assert removed.status_code == 200, "the other tests count on their meters"


@pytest.mark.ci
def test_an_event_is_acknowledged(ami: System, chromium: Browser, asked: str) -> None:
    with visit(chromium) as seen:
        other = seen.open(f"{base(ami, 'CIS')}/events")
        other.wait_for_selector("#live.on", state="attached")
        page = seen.open(f"{base(ami, 'CIS')}/events")
        page.get_by_role("button", name="Ask the head-end").click()
        row = page.locator(".vrow:visible").first
        row.wait_for()
        page.get_by_role("button", name="Group").click()
        row.locator("input").check()
        page.click("[data-action=Acknowledge]")
        page.locator(".toast", has_text="1 event acknowledged").wait_for()
        row.get_by_text("local").wait_for()
        other.get_by_role("button", name="Group").click()
        other.locator(".vrow:visible", has_text="local").first.wait_for()
        picture(page, "cis-events-acknowledged-light")
        assert inaccessible(page) == []


@pytest.mark.ci
def test_what_the_head_end_keeps_back_is_sent_again_to_wait_for_a_second_person(ami: System, chromium: Browser) -> None:
    with visit(chromium) as seen:
        page = seen.open(f"{base(ami, 'CIS')}/usage-points")
        page.check(f"input[aria-label='Select {PROTECTED}']")
        page.click("[data-action=Disconnect]")
        page.locator("dialog").get_by_role("button", name="Disconnect 1 customer").click()
        again = page.locator("dialog", has_text="Send it again, to wait for a second person?")
        again.wait_for()
        assert "Nothing was done" in again.inner_text() and "protected" in again.inner_text()
        picture(page, "cis-sent-again-light")
        again.get_by_role("button", name="Send it, to wait").click()
        page.locator(".toast", has_text="Disconnect waits").wait_for()
        sent = page.locator(".rqs li", has_text="disconnect").first
        sent.locator(".pill:not(.FAILED)").wait_for()  # the one before it, which has failed, was the first until now
        waiting = seen.open(f"{ami.hes_url}/approvals")
        waiting.locator(".vrow", has_text="Disconnect 1 customer").get_by_role("link").click()
        waiting.get_by_role("button", name="Reject").click()
        waiting.locator("dialog input").fill("that is a hospital")
        waiting.locator("dialog").get_by_role("button", name="Reject it").click()
        waiting.locator(".sum .st", has_text="Rejected").wait_for()
        sent.locator(".pill.FAILED").wait_for()
        sent.get_by_role("link").click()
        page.get_by_text("that is a hospital").first.wait_for()


@pytest.mark.ci
def test_a_read_shows_its_values_in_words_with_zones_and_a_profile_as_a_line(
    ami: System, chromium: Browser, examples: dict[str, str]
) -> None:
    api = f"{base(ami, 'CIS')}/api/v1/readings"
    now = datetime.now(UTC)
    period = {"from": (now - timedelta(hours=6)).isoformat(), "to": now.isoformat()}
    order = {"meters": ["M1002"], "reading_types": ["load-profile"], "message_id": "profile-of-a-test"} | period
    assert httpx.post(api, json=order, timeout=PATIENCE_S).json()["result"] == "OK"
    with visit(chromium) as seen:
        page = seen.open(f"{base(ami, 'CIS')}/requests/{examples['sent']}")
        row = page.locator(".vrow:visible").first
        assert "active energy import" in row.inner_text() and "kWh" in row.inner_text()
        assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d\d:\d\d", row.inner_text())
        assert page.locator(".chart canvas").count() == 0, "one value is no profile"
        page = seen.open(f"{base(ami, 'CIS')}/requests/profile-of-a-test")
        page.locator(".chart[data-drawn] canvas").wait_for()
        assert page.locator(".vrow:visible").count() > 3
        picture(page, "cis-profile-of-a-request-light")
        assert inaccessible(page) == []


@pytest.mark.ci
def test_a_profile_is_drawn_and_compared_and_taken_along(
    ami: System, chromium: Browser, examples: dict[str, str]
) -> None:
    with visit(chromium) as seen:
        page = seen.open(f"{base(ami, 'CIS')}/usage-points/M1001")
        page.locator(".chart[data-drawn] canvas").wait_for()
        page.locator("select").select_option("load-profile")
        page.get_by_role("button", name="Show").click()
        page.get_by_text("No value of that time is kept: read this period from the meter.").wait_for()
        assert page.locator(".chart canvas").count() == 0, "what was drawn before is of another type"
        page.get_by_text("Read this period from the meter", exact=True).click()
        page.locator(".toast", has_text="Read: OK").wait_for()
        page.locator(".chart[data-drawn] canvas").wait_for()
        with page.expect_download() as started:
            page.get_by_role("button", name="CSV").click()
        rows = Path(started.value.path()).read_text("utf-8").splitlines()
        assert rows[0] == "meter,reading_type,start,at,value,unit,qualities,source"
        assert len(rows) > 1 and all(row.startswith("M1001,") for row in rows[1:])


@pytest.mark.ci
def test_a_meter_is_handled_and_its_fleet_shows_it(ami: System, chromium: Browser) -> None:
    with visit(chromium) as seen:
        fleet = seen.open(f"{base(ami, 'Simulator')}/meters")
        meter = seen.open(f"{base(ami, 'Simulator')}/meters/M1003#8/0-0:1.0.0*255")
        assert "Clock" in meter.locator("[aria-label=Object] h2").first.inner_text()
        meter.locator("#f-slow").check()
        fleet.locator(".vrow", has_text="M1003").get_by_text("slow").wait_for()
        meter.locator("#f-slow").uncheck()
        fleet.locator(".vrow", has_text="M1003").get_by_text("slow").wait_for(state="detached")
        meter.get_by_role("button", name="Take its power").click()
        fleet.locator(".vrow", has_text="M1003").locator(".st", has_text="No power").wait_for()
        fleet.get_by_role("button", name="Power back").click()
        fleet.locator(".vrow", has_text="M1003").locator(".st", has_text="No power").wait_for(state="detached")


def test_the_sign_in_leads_to_no_other_site(ami: System, chromium: Browser) -> None:
    """Browsers drop tabs out of an address and take a backslash for a slash."""
    foreign = (
        "//foreign.example/",
        "/\t/foreign.example/",
        "/\\foreign.example/",
        "/.//foreign.example/",
        "javascript:0",
    )
    with visit(chromium) as seen:
        for asked in foreign:
            page = seen.context.new_page()
            page.goto(f"{ami.hes_url}/login?next={quote(asked, safe='')}")
            page.wait_for_url(lambda url: "/login" not in url)
            assert page.url.startswith(f"{ami.hes_url}/")
        seen.problems[:] = [one for one in seen.problems if one.startswith("foreign")]  # one leads to no page of ours


def test_each_page_about_one_thing_has_an_example() -> None:
    assert set(EXAMPLES) == {(site.process, one.path) for site, one in PAGES if "{" in one.path}

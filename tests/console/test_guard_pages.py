"""Mass switching in the browser: what one principal has asked for waits, a second one looks at it and approves it; and the stop of all controls.

Each of them has a browser of their own, and has signed in with the token of a principal.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import tomli_w
import zeep
from patience import PATIENCE_S

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from browsing import Browser, Page, Visit, browser, inaccessible, picture, visit
from free_ports import free_port
from harness import Receiver, System, system, until
from stranger import CONNECT, DISCONNECT, Stranger
from test_population import ship, shipment, town

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.needs("loopback-block")]

PEOPLE = {
    "Ann": ("controller", "security-officer"),
    "Olga": ("security-officer",),
    "Rob": ("reader",),
}


def token(name: str) -> str:
    return f"{name.lower()}-" + "0" * 40


class Ann(Stranger):
    """Who asks in CIM, with a token."""

    def __init__(self, hes_url: str) -> None:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {token('Ann')}"
        transport = zeep.Transport(session=session, timeout=PATIENCE_S, operation_timeout=PATIENCE_S)
        address = f"{hes_url}/cim/ExecuteEndDeviceControls?wsdl"
        self.client = zeep.Client(address, transport=transport, settings=zeep.Settings(strict=True))


@dataclass
class Town:
    """A head-end with people who may do different things, and many meters."""

    ami: System
    chromium: Browser
    rows: list[dict[str, Any]]
    visits: ExitStack

    def signed_in(self, name: str, theme: str = "light") -> Visit:
        """A browser of one of them."""
        seen = self.visits.enter_context(visit(self.chromium, theme))
        page = seen.open(f"{self.ami.hes_url}/login")
        page.fill("#token", token(name))
        page.click("button[type=submit]")
        page.wait_for_url("**/requests")
        return seen

    def get(self, path: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token('Ann')}"}
        answer = httpx.get(f"{self.ami.hes_url}/api/v1/{path}", headers=headers, timeout=PATIENCE_S)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found


@contextmanager
def town_of(directory: Path, count: int) -> Iterator[Town]:
    """With the limits that are there where nobody names others."""
    with system(directory) as ami, browser() as chromium, ExitStack() as visits:
        principals = [
            {"name": name, "roles": list(roles), "token_sha256": sha256(token(name).encode()).hexdigest()}
            for name, roles in PEOPLE.items()
        ]
        file = directory / "principals.toml"
        file.write_text(tomli_w.dumps({"principals": principals}))
        file.chmod(0o600)
        ami.config["hes"] |= {
            "principals": str(file),
            "max_meters_per_request": count,
            "deadline_s": max(60.0, count / 10),
            "guard": {},
        }
        ship(ami, "json", town(free_port(), count=count, model="single-phase"))
        ami.start_meters()
        ami.start_hes()
        rows = json.loads(shipment(ami.path, "--for", "cis").stdout)["meters"]
        yield Town(ami, chromium, rows, visits)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town_of(tmp_path_factory.mktemp("guarded"), 60) as one:
        yield one


@pytest.mark.ci
def test_a_mass_disconnect_is_approved_by_a_second_person_in_the_browser(small: Town) -> None:
    approved_in_the_browser(small, PATIENCE_S)


@pytest.mark.acceptance
@pytest.mark.timeout(3_600)
def test_ten_thousand_meters_are_stopped_and_approved_in_the_browser(tmp_path: Path) -> None:
    with town_of(tmp_path, 10_000) as one:
        approved_in_the_browser(one, 2_000.0)


def approved_in_the_browser(one: Town, patience_s: float) -> None:
    receiver, count = Receiver(), len(one.rows)
    seen, other, third = (one.signed_in(name) for name in PEOPLE)
    meters = [{"mRID": row["mrid"]} for row in one.rows]
    waiting = other.open(f"{one.ami.hes_url}/approvals")
    waiting.wait_for_selector("#live.on", state="attached")
    accepted = Ann(one.ami.hes_url).switch(
        DISCONNECT, meters, message_id="blackout", AsyncReplyFlag=True, ReplyAddress=receiver.url
    )
    assert accepted.codes == ["0.3"]
    words = f"Disconnect {count:,} customers"
    waiting.locator(".vrow", has_text=words).locator(".st", has_text="Waiting").wait_for()  # without a reload
    waiting.locator("#waiting", has_text="1").wait_for()
    picture(waiting, "hes-approvals-waiting-light")
    own = seen.open(f"{one.ami.hes_url}/approvals/blackout")
    assert "somebody else than who asked has to approve it" in own.locator(".sum").inner_text()
    looking = third.open(f"{one.ami.hes_url}/approvals/blackout")
    assert "takes the role security officer; Rob has reader" in looking.locator(".sum").inner_text()
    assert looking.locator(".sum button:enabled").count() == 0
    page = other.open(f"{one.ami.hes_url}/approvals/blackout")
    text = page.locator("main").inner_text()
    for said in (words, "Ann", f"Meters, {count:,}", f"{count:,} disconnects beside 0 in the last hour"):
        assert said in text, said
    assert inaccessible(page) == []
    page.get_by_role("button", name="Approve").click()
    dialog = page.locator("dialog")
    assert dialog.locator("h2").inner_text() == f"{words}?"
    picture(page, "hes-approve-dialog-light")
    dialog.locator("input").fill("the dam breaks")
    dialog.get_by_role("button", name=f"Approve: disconnect {count:,} customers").click()
    page.locator(".sum .st", has_text="Approved").wait_for()
    own.locator(".sum .st", has_text="Approved").wait_for()
    until(lambda: receiver.bodies, "the reply", patience_s)
    assert b">OK</" in receiver.bodies[0]
    page.locator("dt", has_text="Begun as").wait_for()
    page.locator("dd a[href^='/requests/']").last.click()
    page.locator(".sum .pill.OK").wait_for()
    picture(page, "hes-approve-done-light")
    audited(one, other, count)
    receiver.close()
    assert Ann(one.ami.hes_url).switch(CONNECT, meters[:50]).result == "OK"


def audited(one: Town, other: Visit, count: int) -> None:
    """All of it, found in the browser, in a chain that is whole."""
    page = other.open(f"{one.ami.hes_url}/audit?request=blackout")
    shown = page.locator("[role=rowgroup], .scroll").first.inner_text()
    for said in ("approval wanted", "approved", "Ann, bearer", "Olga, bearer", f"{count:,}"):
        assert said in shown, said
    page.get_by_role("button", name="Check all of it").click()
    page.locator("#verdict .st", has_text=re.compile("Whole: [1-9]")).wait_for()
    picture(page, "hes-audit-checked-light")
    assert page.locator("dd.mono, dd .mono").first.inner_text().split(":")[0].isdecimal()
    said = {json.loads(entry["entry"])["what"] for entry in one.get("audit?limit=1000")["entries"]}
    assert {"signed-in", "approval-wanted", "approved", "accepted", "ended"} <= said


@pytest.mark.ci
def test_all_controls_are_stopped_and_every_page_says_so(small: Town) -> None:
    seen, third = small.signed_in("Ann", "dark"), small.signed_in("Rob")
    page = seen.open(f"{small.ami.hes_url}/limits")
    others: list[Page] = [third.open(f"{small.ami.hes_url}/{name}") for name in ("meters", "api", "limits")]
    page.get_by_role("button", name="Stop all controls").click()
    page.locator("dialog input").fill("controls that nobody here has sent")
    page.locator("dialog").get_by_role("button", name="Stop all controls").click()
    for one in (page, *others):
        one.locator("#stopped", has_text="by Ann since").wait_for()
        assert "controls that nobody here has sent" in one.locator("#stopped").inner_text()
        assert inaccessible(one) == []
    assert "takes the role security officer" in others[0].locator("#stopped").inner_text()
    picture(page, "hes-limits-stopped-dark")
    picture(others[0], "hes-meters-stopped-light")
    meter = [{"mRID": small.rows[0]["mrid"]}]
    refused = Ann(small.ami.hes_url).switch(CONNECT, meter)
    assert refused.codes == ["5.2"] and "stopped" in refused.reasons
    audited = seen.open(f"{small.ami.hes_url}/audit?what=refused")
    audited.locator("a.mono[href^='/traces/']").first.click()
    audited.locator("main", has_text="stopped").wait_for()
    audited.close()
    page.locator("#stopped").get_by_role("button", name="Resume controls").click()
    page.locator("dialog").get_by_role("button", name="Resume controls").click()
    for one in (page, *others):
        one.locator("#stopped").wait_for(state="hidden")
    assert Ann(small.ami.hes_url).switch(CONNECT, meter).result == "OK"


@pytest.mark.ci
def test_what_would_become_of_an_order_is_seen_before(small: Town) -> None:
    page = small.signed_in("Rob").open(f"{small.ami.hes_url}/limits")
    page.get_by_label("or a group").fill("model=single-phase")
    page.get_by_label("Asked by").fill("somebody")
    page.get_by_role("button", name="Look ahead").click()
    page.locator(".verdict .st", has_text="It would wait for a second person").wait_for()
    assert "for 60 meters. Nothing was done or counted." in page.locator(".verdict").inner_text()
    picture(page, "hes-limits-looked-ahead-light")
    refused = small.signed_in("Rob").open(f"{small.ami.hes_url}/audit")
    assert "The audit log takes the role security officer" in refused.locator("main").inner_text()

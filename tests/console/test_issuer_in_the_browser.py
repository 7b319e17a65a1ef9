"""Sign-in by an issuer of another site, in a browser that keeps the rules of cookies: to the issuer, back, on to the page that was wanted, and out."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from browsing import browser, inaccessible, visit
from harness import system
from oidc_issuer import AUDIENCE, CONSOLE, SECRET, OidcIssuer


@pytest.mark.ci
@pytest.mark.needs("chromium")
def test_a_person_signs_in_by_an_issuer_of_another_site_and_out_again(tmp_path: Path) -> None:
    """`localhost` and `127.0.0.1` are two sites, so the session's cookie (SameSite=Strict) does not come along from there."""
    with OidcIssuer().serving() as issuer, system(tmp_path) as ami, browser() as chromium:
        issuer.url = issuer.url.replace("127.0.0.1", "localhost")
        (tmp_path / "secret").write_text(SECRET)
        ami.config["hes"]["oidc"] = {
            "issuer": issuer.url,
            "audience": AUDIENCE,
            "roles": {"switching": ["controller"]},
            "client_id": CONSOLE,
            "client_secret": f"file:{tmp_path}/secret",
        }
        ami.start_hes()
        with visit(chromium) as seen:
            seen.context.route(f"{issuer.url}/**", lambda route: route.continue_())
            page = seen.open(f"{ami.hes_url}/meters?q=M1")
            assert "/login?next=" in page.url and inaccessible(page) == []
            page.get_by_role("link", name="Sign in by localhost").click()
            page.wait_for_url("**/meters?q=M1")
            page.wait_for_selector("html[data-ready]", state="attached")
            assert any(one.startswith("/authorize?") for one in issuer.asked)
            (session,) = seen.context.cookies()
            assert (session["sameSite"], session["httpOnly"]) == ("Strict", True)
            page.get_by_role("button", name="Sign out").click()
            page.wait_for_url("**/login**")
            assert seen.context.cookies() == []
            issuer.signed_in = {"nonce": "another"}
            page.get_by_role("link", name="Sign in by localhost").click()
            page.locator("#problem", has_text="The issuer did not let you in").wait_for()
            assert seen.context.cookies() == []

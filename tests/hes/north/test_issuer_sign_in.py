"""Sign-in at the head-end's console by an issuer, over real sockets: code and PKCE, and each way in which it is not believed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from north_bench import North, north
from oidc_issuer import AUDIENCE, CONSOLE, SECRET, OidcIssuer
from patience import PATIENCE_S

ROLES = {"switching": ["controller"], "keys": ["security-officer"], "looking": ["reader"]}


@pytest.fixture
def issuer() -> Iterator[OidcIssuer]:
    with OidcIssuer().serving() as serving:
        yield serving


def taking(issuer: OidcIssuer, directory: Path, **more: Any) -> dict[str, Any]:
    (directory / "secret").write_text(SECRET)
    of_us = {"client_id": CONSOLE, "client_secret": f"file:{directory}/secret"}
    return {"oidc": {"issuer": issuer.url, "audience": AUDIENCE, "roles": ROLES} | of_us | more}


async def begun(hes: North, browser: httpx.AsyncClient, following: str = "/meters") -> str:
    """The issuer's address to which a browser is sent, and the cookie of that sign-in is as it has to be."""
    answer = await browser.get(f"{hes.url}/session/oidc", params={"next": following})
    assert answer.status_code == 303, answer.text
    (cookie,) = SimpleCookie(answer.headers["set-cookie"]).values()
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "lax", "/session/oidc")
    return answer.headers["location"]


async def came_back(browser: httpx.AsyncClient, address: str) -> str:
    """Where the issuer sends the browser."""
    answer = await browser.get(address)
    assert answer.status_code == 302
    return answer.headers["location"]


def refused(answer: httpx.Response) -> str | None:
    """What the sign-in page is told; None: it is to go on."""
    assert answer.status_code == 303 and answer.headers["location"].startswith("/login?")
    return parse_qs(urlsplit(answer.headers["location"]).query).get("refused", [None])[0]


def a_browser() -> httpx.AsyncClient:
    return httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S)


async def told(hes: North, issuer: OidcIssuer, what: str) -> list[dict[str, Any]]:
    officer = {"Authorization": f"Bearer {issuer.token(roles=['keys'], sub='olga')}"}
    found = await hes.client.get(f"{hes.url}/api/v1/audit?limit=1000", headers=officer)
    entries = [json.loads(one["entry"]) for one in found.json()["entries"]]
    return [one for one in entries if one["what"] == what]


async def test_who_signs_in_has_a_session_with_the_roles_of_the_token(tmp_path: Path, issuer: OidcIssuer) -> None:
    async with north(tmp_path, **taking(issuer, tmp_path)) as hes, a_browser() as browser:
        page = (await browser.get(f"{hes.url}/login")).text
        assert 'id="by-issuer"' in page and "127.0.0.1" in page and "token_file" in page
        assert (await browser.get(f"{hes.url}/meters")).status_code == 303
        address = await begun(hes, browser)
        asked = {name: one[0] for name, one in parse_qs(urlsplit(address).query).items()}
        assert asked["code_challenge_method"] == "S256" and asked["redirect_uri"] == f"{hes.url}/session/oidc/callback"
        assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3
        assert all(len(asked[name]) == 43 for name in ("state", "nonce", "code_challenge"))
        back = await came_back(browser, address)
        done = await browser.get(back)
        assert refused(done) is None and done.headers["location"] == "/login?next=%2Fmeters"
        session, ended = (SimpleCookie(one) for one in done.headers.get_list("set-cookie"))
        (cookie,) = session.values()
        assert (cookie["httponly"], cookie["samesite"]) == (True, "strict")
        assert next(iter(ended.values()))["max-age"] == "0"
        assert (await browser.get(f"{hes.url}/meters")).status_code == 200
        who = (await browser.get(f"{hes.url}/api/v1/principal")).json()
        assert (who["name"], who["how"], who["roles"]) == ("oidc ada", "oidc", ["controller"])
        assert (await browser.get(f"{hes.url}/api/v1/audit")).status_code == 403
        assert [one["principal"] for one in await told(hes, issuer, "signed-in")] == ["oidc ada"]
        assert refused(await browser.get(back)) == "again", "the sign-in is over with its cookie"
        assert (await browser.delete(f"{hes.url}/session")).status_code == 204
        assert (await browser.get(f"{hes.url}/meters")).status_code == 303
        assert [one["principal"] for one in await told(hes, issuer, "signed-out")] == ["oidc ada"]


async def test_an_address_that_no_cookie_holds_keeps_nobody_from_signing_in(tmp_path: Path, issuer: OidcIssuer) -> None:
    """Browsers drop a cookie of more than 4,096 octets, and then a sign-in was not begun in them."""
    async with north(tmp_path, **taking(issuer, tmp_path)) as hes, a_browser() as browser:
        for following, led_to in (("/" + "a" * 1_499, "/" + "a" * 1_499), ("/" + "\u00e4" * 1_500, "/")):
            begins = await browser.get(f"{hes.url}/session/oidc", params={"next": following})
            assert len(begins.headers["set-cookie"].partition(";")[0]) < 4_096
            done = await browser.get(await came_back(browser, begins.headers["location"]))
            assert parse_qs(urlsplit(done.headers["location"]).query) == {"next": [led_to]}


async def test_whom_the_file_of_principals_knows_is_that_person(tmp_path: Path, issuer: OidcIssuer) -> None:
    file = tmp_path / "principals.toml"
    file.write_text('[[principals]]\nname = "Ada"\noidc = "ada"\nroles = ["security-officer"]\n')
    file.chmod(0o644)
    async with north(tmp_path, principals=file, **taking(issuer, tmp_path)) as hes, a_browser() as browser:
        assert refused(await browser.get(await came_back(browser, await begun(hes, browser)))) is None
        who = (await browser.get(f"{hes.url}/api/v1/principal")).json()
        assert (who["name"], who["roles"]) == ("Ada", ["security-officer"])


@pytest.mark.parametrize(
    ("claims", "word", "reason"),
    [
        ({"nonce": "another"}, "issuer", "nonce"),
        ({"nonce": None}, "issuer", "nonce"),
        ({"aud": AUDIENCE}, "issuer", "udience"),
        ({"aud": [CONSOLE, "another"]}, "issuer", "azp"),
        ({"azp": "another"}, "issuer", "azp"),
        ({"iss": "http://127.0.0.1:1"}, "issuer", "ssuer"),
        ({"exp": 1}, "issuer", "expired"),
        ({"roles": []}, "roles", "no role"),
    ],
)
async def test_an_id_token_that_is_not_right_begins_no_session(
    tmp_path: Path, issuer: OidcIssuer, claims: dict[str, Any], word: str, reason: str
) -> None:
    issuer.signed_in = claims
    async with north(tmp_path, **taking(issuer, tmp_path)) as hes, a_browser() as browser:
        assert refused(await browser.get(await came_back(browser, await begun(hes, browser)))) == word
        assert (await browser.get(f"{hes.url}/meters")).status_code == 303
        (entry,) = await told(hes, issuer, "sign-in-refused")
        assert reason in entry["reason"]


async def test_an_answer_of_another_sign_in_is_not_taken(tmp_path: Path, issuer: OidcIssuer) -> None:
    """Somebody's own code in the browser of somebody else, another state, another issuer's answer, an error, no code."""
    async with north(tmp_path, **taking(issuer, tmp_path)) as hes, a_browser() as browser, a_browser() as other:
        theirs = await came_back(other, await begun(hes, other))
        assert refused(await browser.get(theirs)) == "again", "nothing was begun in this browser"
        own = await came_back(browser, await begun(hes, browser))
        assert refused(await browser.get(theirs)) == "issuer", "with the state of another browser"
        for change in (
            lambda url: re.sub("state=[^&]+", "state=", url),
            lambda url: re.sub("iss=[^&]+", "iss=http%3A%2F%2Fevil.example", url),
        ):
            own = await came_back(browser, await begun(hes, browser))
            assert refused(await browser.get(change(own))) == "issuer"
        own = await came_back(browser, await begun(hes, browser))
        stolen = re.search("code=([^&]+)", theirs)
        assert stolen is not None
        mixed = re.sub("code=[^&]+", f"code={stolen[1]}", own)
        assert refused(await browser.get(mixed)) == "issuer", "the code of another one's verifier"
        assert (await browser.get(f"{hes.url}/meters")).status_code == 303
        assert refused(await other.get(theirs)) == "issuer", "its code is used up"
        own = await came_back(browser, await begun(hes, browser))
        assert refused(await browser.get(own)) is None, "wrong ones keep nobody out who is right"
        reasons = " ".join(one["reason"] for one in await told(hes, issuer, "sign-in-refused"))
        assert "(state)" in reasons and "(iss)" in reasons and "invalid_grant" in reasons
        assert SECRET not in reasons and "code-" not in reasons


async def test_an_issuer_that_is_away_or_leads_elsewhere_is_told(tmp_path: Path, issuer: OidcIssuer) -> None:
    async with north(tmp_path, **taking(issuer, tmp_path)) as hes, a_browser() as browser:
        issuer.changed = {"authorization_endpoint": "http://evil.example/authorize"}
        assert refused(await browser.get(f"{hes.url}/session/oidc")) == "issuer"
        issuer.away = True
        assert refused(await browser.get(f"{hes.url}/session/oidc?next=//evil.example/")) == "issuer"


async def test_without_a_client_there_is_no_such_way(tmp_path: Path, issuer: OidcIssuer) -> None:
    only_tokens = {"oidc": {"issuer": issuer.url, "audience": AUDIENCE, "roles": ROLES}}
    async with north(tmp_path, **only_tokens) as hes, a_browser() as browser:
        assert "by-issuer" not in (await browser.get(f"{hes.url}/login")).text
        assert (await browser.get(f"{hes.url}/session/oidc")).status_code == 404

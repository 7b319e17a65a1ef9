"""What each role may do at the head-end: every route and every noun has a row, and who lacks a role is refused over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from north_bench import DISCONNECT, GENERIC, Cis, North, control, north, octets, request, texts
from patience import PATIENCE_S
from starlette.routing import Route

from ami_cim.codes import Verb
from ami_cim.identity import Identifier
from ami_cim.message import RequestMessage
from ami_cim.nouns import NOUNS as ALL_NOUNS
from ami_cim.payloads.end_device_controls import EndDeviceControls
from ami_cim.payloads.operation_set import Operation, OperationSet
from ami_console.sessions import MOST as MOST_SESSIONS
from ami_hes import roles
from ami_hes.api import device_events
from ami_hes.app import northbound
from ami_hes.jobs.late_orders import MOST
from ami_hes.operation_sets import NOUN as SET
from ami_hes.roles import NOUNS, ROUTES, needed
from ami_process.principals import Role

TOKENS = {role: f"{role}-0123456789-0123456789-0123456789" for role in Role}


def principals(directory: Path) -> Path:
    file = directory / "principals.toml"
    entry = '[[principals]]\nname = "the {0}"\nroles = ["{0}"]\ntoken_sha256 = "{1}"\n'
    file.write_text("".join(entry.format(role, sha256(token.encode()).hexdigest()) for role, token in TOKENS.items()))
    file.chmod(0o644)
    return file


def bearer(role: Role | None) -> dict[str, str]:
    return {} if role is None else {"Authorization": f"Bearer {TOKENS[role]}"}


async def test_every_route_has_a_row_and_every_row_a_route(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[tuple[str, str]] = []
    create: Callable[..., Any] = northbound.create_api

    def seen(routes: list[Any], *arguments: Any, **options: Any) -> Any:
        for route in routes:
            assert isinstance(route, Route)
            served.extend((route.path, method) for method in route.methods or () if method != "HEAD")
        return create(routes, *arguments, **options)

    monkeypatch.setattr(northbound, "create_api", seen)
    async with north(tmp_path):
        assert set(served) == set(ROUTES)


def test_every_noun_has_a_row() -> None:
    assert set(NOUNS) == {noun.name for noun in ALL_NOUNS}


async def test_routes_are_served_to_who_has_their_role(tmp_path: Path) -> None:
    async with north(tmp_path, principals=principals(tmp_path)) as hes:

        async def status(method: str, path: str, role: Role | None) -> int:
            return (await hes.client.request(method, f"{hes.url}{path}", headers=bearer(role))).status_code

        readers = [await status("GET", "/api/v1/meters", role) for role in (None, *Role)]
        assert readers == [401, 200, 200, 200, 200, 200]
        forgetting = [await status("DELETE", "/api/v1/scalers/M1", role) for role in (None, *Role)]
        assert forgetting == [401, 403, 200, 403, 403, 200]
        removing = [await status("DELETE", "/api/v1/meters/none", role) for role in (None, *Role)]
        assert removing == [401, 403, 403, 403, 404, 404]
        refused = await hes.client.delete(f"{hes.url}/api/v1/meters/M1", headers=bearer(Role.CONTROLLER))
        assert refused.json() == {"error": "the controller may not do this: it takes the role security-officer"}
        assert await status("GET", "/metrics", None) == 401
        assert await status("HEAD", "/metrics", Role.READER) in (200, 405)


async def test_a_session_is_begun_by_the_token_of_a_principal_and_has_its_roles(tmp_path: Path) -> None:
    """At a loopback address too."""
    async with north(tmp_path, principals=principals(tmp_path)) as hes:
        refused = await hes.client.post(f"{hes.url}/session", json={"token": "anything"})
        assert refused.status_code == 401 and "set-cookie" not in refused.headers
        assert (await hes.client.get(f"{hes.url}/api/v1/meters")).status_code == 401
        assert (await hes.client.get(f"{hes.url}/session")).json() == {"signed_in": False}
        assert (await hes.client.get(f"{hes.url}/meters")).status_code == 303
        begun = await hes.client.post(f"{hes.url}/session", json={"token": TOKENS[Role.READER]})
        assert begun.status_code == 204
        assert (await hes.client.get(f"{hes.url}/meters")).status_code == 200
        assert (await hes.client.get(f"{hes.url}/api/v1/meters")).status_code == 200
        stop = await hes.client.post(f"{hes.url}/api/v1/guard/stop", json={})
        assert stop.status_code == 403 and "it takes the role controller" in stop.text


async def test_nobody_ends_sessions_of_others_by_beginning_many(tmp_path: Path) -> None:
    """There are so many at most; the least of roles may sign in as often as it likes."""
    async with north(tmp_path, principals=principals(tmp_path)) as hes, a_browser() as officer:
        url = f"{hes.url}/session"
        assert (await officer.post(url, json={"token": TOKENS[Role.SECURITY_OFFICER]})).status_code == 204
        for _ in range(MOST_SESSIONS):
            assert (await hes.client.post(url, json={"token": TOKENS[Role.READER]})).status_code == 204
        assert (await officer.get(f"{hes.url}/api/v1/meters")).status_code == 200
        assert (await hes.client.get(f"{hes.url}/api/v1/meters")).status_code == 200, "the oldest of its own went"


@pytest.mark.parametrize("others", ['prefs={"a": 1}', "a b", "=", "x" * 9_000, 'open="', "ami_hes=1; a[b]=\u00e9"])
async def test_cookies_of_other_servers_of_the_host_end_no_session(tmp_path: Path, others: str) -> None:
    """All ports of a host share them, and they have any form."""
    async with north(tmp_path, principals=principals(tmp_path)) as hes:
        begun = await hes.client.post(f"{hes.url}/session", json={"token": TOKENS[Role.READER]})
        own = begun.headers["set-cookie"].partition(";")[0]
        for cookies in (f"{others}; {own}", f"{own};{others}"):
            answer = await hes.client.get(f"{hes.url}/api/v1/meters", headers={b"Cookie": cookies.encode()})
            assert answer.status_code == 200, cookies[:50]


@pytest.mark.parametrize("stream", ["/api/v1/live", "/api/v1/events/stream"])
async def test_a_stream_lasts_no_longer_than_the_session_that_opened_it(
    stream: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else who has signed out, or whose twelve hours are over, goes on looking for as long as the connection stays."""
    monkeypatch.setattr(device_events, "QUIET_S", 0.05)
    async with north(tmp_path, principals=principals(tmp_path)) as hes, a_browser() as browser:
        begun = await browser.post(f"{hes.url}/session", json={"token": TOKENS[Role.READER]})
        assert begun.status_code == 204
        async with browser.stream("GET", f"{hes.url}{stream}") as answer:
            assert answer.status_code == 200
            lines = answer.aiter_lines()
            assert await anext(lines)
            assert (await browser.delete(f"{hes.url}/session")).status_code == 204
            order = {"reason": "of no concern to who has left"}
            stop = await hes.client.post(f"{hes.url}/api/v1/guard/stop", json=order, headers=bearer(Role.CONTROLLER))
            assert stop.status_code == 200
            told = [line async for line in until(lines, ("of no concern", ": nothing new"))]
        assert not [line for line in told if "of no concern" in line or ": nothing new" in line]
        assert (await browser.get(f"{hes.url}{stream}")).status_code == 401


async def test_a_stream_of_who_has_a_token_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_events, "QUIET_S", 0.05)
    async with (
        north(tmp_path, principals=principals(tmp_path)) as hes,
        a_browser() as client,
        client.stream("GET", f"{hes.url}/api/v1/events/stream", headers=bearer(Role.READER)) as answer,
    ):
        lines = answer.aiter_lines()
        for _ in range(3):
            assert ": nothing new" in [line async for line in until(lines, (": nothing new",))]


def a_browser() -> httpx.AsyncClient:
    return httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S)


async def until(lines: AsyncIterator[str], words: tuple[str, ...]) -> AsyncIterator[str]:
    """Lines up to the first that has one of these, or to the end."""
    async for line in lines:
        yield line
        if any(one in line for one in words):
            return


async def test_messages_are_taken_of_who_has_their_role(tmp_path: Path) -> None:
    async with north(tmp_path, principals=principals(tmp_path)) as hes:

        async def send(role: Role | None, code: str = DISCONNECT) -> httpx.Response:
            headers = {"Content-Type": "text/xml"} | bearer(role)
            content = octets(request(control(code, "M1"), message_id=f"{role} {code}"), GENERIC)
            return await hes.client.post(f"{hes.url}/cim", content=content, headers=headers)

        unknown = await send(None)
        assert (unknown.status_code, texts(unknown.content, "code")) == (401, ["7.2"])
        assert unknown.headers["www-authenticate"] == "Bearer"
        wrong = await hes.client.post(f"{hes.url}/cim", content=b"<a/>", headers={"Authorization": "Bearer no"})
        assert (wrong.status_code, texts(wrong.content, "code")) == (415, ["1.8"])
        for role in (Role.READER, Role.OPERATOR, Role.SECURITY_OFFICER):
            refused = await send(role)
            assert texts(refused.content, "code") == ["7.5"]
            assert f"the {role} may not do this: it takes the role controller" in refused.text
        assert hes.meters.commands == []
        for role in (Role.CONTROLLER, Role.ADMIN):
            assert texts((await send(role)).content, "Result") == ["OK"]
        described = await hes.client.get(f"{hes.url}/cim?wsdl")
        assert described.status_code == 200


async def test_the_audit_log_says_who_it_was_and_not_who_a_message_says_it_is(tmp_path: Path) -> None:
    async with north(tmp_path, principals=principals(tmp_path)) as hes:
        headers = {"Content-Type": "text/xml"} | bearer(Role.CONTROLLER)
        content = octets(request(control(DISCONNECT, "M1"), source="somebody else"), GENERIC)
        assert texts((await hes.client.post(f"{hes.url}/cim", content=content, headers=headers)).content, "Result") == [
            "OK"
        ]
        await hes.client.delete(f"{hes.url}/api/v1/scalers/M1", headers=bearer(Role.OPERATOR))
        assert (await hes.client.get(f"{hes.url}/api/v1/audit", headers=bearer(Role.READER))).status_code == 403
        log = await hes.client.get(f"{hes.url}/api/v1/audit", headers=bearer(Role.SECURITY_OFFICER))
        assert "the controller" in log.text and "the operator" in log.text
        assert "somebody else" not in log.text


async def test_a_message_of_who_lacks_its_role_is_in_the_log_the_audit_and_the_traces(tmp_path: Path) -> None:
    reported: list[Any] = []
    async with north(tmp_path, events=reported, principals=principals(tmp_path)) as hes:
        headers = {"Content-Type": "text/xml"} | bearer(Role.READER)
        content = octets(request(control(DISCONNECT, "M1"), message_id="m-1"), GENERIC)
        refused = await hes.client.post(f"{hes.url}/cim", content=content, headers=headers)
        assert texts(refused.content, "code") == ["7.5"]
        officer = bearer(Role.SECURITY_OFFICER)
        log = (await hes.client.get(f"{hes.url}/api/v1/audit", params={"request": "m-1"}, headers=officer)).json()
        trace = (await hes.client.get(f"{hes.url}/api/v1/traces/m-1", headers=bearer(Role.READER))).json()
    (entry,) = [json.loads(one["entry"]) for one in log["entries"]]
    assert (entry["what"], entry["principal"], entry["outcome"]) == ("refused", "the reader", "7.5")
    assert "it takes the role controller" in entry["reason"]
    (told,) = [one for one in reported if one["event"] == "request_refused"]
    assert (told["message_id"], told["errors"][0]["code"]) == ("m-1", "7.5")
    assert trace["outcome"] == "failed" and "7.5" in trace["spans"][-1]["text"]


async def test_whoever_is_refused_at_the_door_or_for_a_role_is_in_the_audit_log(tmp_path: Path) -> None:
    """401 and 403 of the REST API, looks among them, and of CIM messages; the page Audit of the console asks for the same."""
    async with north(tmp_path, principals=principals(tmp_path)) as hes:
        content = octets(request(control(DISCONNECT, "M1")), GENERIC)

        async def message(role: Role | None) -> httpx.Response:
            headers = {"Content-Type": "text/xml"} | bearer(role)
            return await hes.client.post(f"{hes.url}/cim", content=content, headers=headers)

        meters = f"{hes.url}/api/v1/meters"
        assert (await hes.client.get(meters)).status_code == 401
        assert (await hes.client.get(f"{hes.url}/api/v1/audit", headers=bearer(Role.READER))).status_code == 403
        assert (await hes.client.delete(f"{meters}/M1", headers=bearer(Role.OPERATOR))).status_code == 403
        assert (await hes.client.post(f"{hes.url}/session", json={"token": "x" * 40})).status_code == 401
        assert (await message(None)).status_code == 401
        assert texts((await message(Role.READER)).content, "code") == ["7.5"]
        address, who = f"{hes.url}/api/v1/audit/search", bearer(Role.SECURITY_OFFICER)
        expected = {
            ("refused", "unknown", "GET", "/api/v1/meters", "401"),
            ("refused", "the reader", "GET", "/api/v1/audit", "403"),
            ("refused", "the operator", "DELETE", "/api/v1/meters/M1", "403"),
            ("refused", "unknown", "", "", "7.2"),
            ("refused", "the reader", "create", "EndDeviceControls", "7.5"),
        }
        told: set[tuple[str, ...]] = set()
        async with asyncio.timeout(PATIENCE_S):  # entries of what was refused are written behind the answer
            while not (expected <= told and any(one[0] == "sign-in-refused" for one in told)):
                found = (await hes.client.get(address, params={"limit": 50}, headers=who)).json()["entries"]
                entries = [json.loads(one["entry"]) for one in found]
                names = ("what", "principal", "verb", "noun", "outcome")
                told = {tuple(one.get(name, "") for name in names) for one in entries}
                await asyncio.sleep(0)


KEY_CHANGE, FIRMWARE = "3.12.32.13", "0.11.283.26"


@pytest.mark.parametrize(
    ("codes", "roles_needed"),
    [
        ((DISCONNECT,), {Role.CONTROLLER}),
        ((KEY_CHANGE,), {Role.SECURITY_OFFICER}),
        ((FIRMWARE,), {Role.SECURITY_OFFICER}),
        ((DISCONNECT, KEY_CHANGE), {Role.CONTROLLER, Role.SECURITY_OFFICER}),
    ],
)
def test_keys_and_firmware_are_the_security_officers(codes: tuple[str, ...], roles_needed: set[Role]) -> None:
    assert needed(request(*(control(code, "M1") for code in codes))) == roles_needed


def test_a_set_of_operations_takes_what_each_of_them_takes() -> None:
    switch = EndDeviceControls(controls=(control(DISCONNECT, "M1"),))
    operations = OperationSet(
        operations=(
            Operation(operation_id=1, noun="MeterConfig", verb=Verb.GET),
            Operation(operation_id=2, noun="MeterConfig", verb=Verb.CREATE),
            Operation(operation_id=3, noun="EndDeviceControls", verb=Verb.CREATE, payload=switch),
            Operation(operation_id=4, noun="CustomerConfig", verb=Verb.CREATE),
        )
    )
    found = frozenset(roles._needed(Verb.EXECUTE, SET, operations))
    assert found == {Role.READER, Role.OPERATOR, Role.CONTROLLER, Role.ADMIN}


@pytest.mark.parametrize("operations", [(), (Operation(operation_id=1, noun="MeterReadings", verb=Verb.GET),)])
@pytest.mark.parametrize(
    ("noun", "role"), [("EndDeviceControls", Role.CONTROLLER), ("MeterReadSchedule", Role.OPERATOR)]
)
@pytest.mark.parametrize("verb", ["cancel", "close", "delete", "execute"])
def test_a_payload_of_another_noun_lowers_nothing(
    operations: tuple[Operation, ...], noun: str, role: Role, verb: str
) -> None:
    """What is taken back is named beside the payload, so a payload that only reads says nothing of it."""
    message = replace(request(noun=noun, verb=verb), payload=OperationSet(operations=operations))
    assert role in needed(message)


def test_controls_are_no_reason_to_ask_for_less_than_their_noun_takes() -> None:
    assert needed(request(control(DISCONNECT, "M1"), noun="MeterReadSchedule", verb="delete")) == {Role.OPERATOR}
    assert needed(request(control(DISCONNECT, "M1"), noun="CustomerConfig", verb="create")) == {Role.ADMIN}


async def test_who_has_proved_to_have_ordered_a_control_takes_it_back_alone(tmp_path: Path) -> None:
    """Somebody else of the same role says the same Source, and somebody with less says that it only reads."""
    cis = Cis()
    async with cis.serving(), north(tmp_path, principals=principals(tmp_path)) as hes:

        async def send(role: Role, message: RequestMessage) -> httpx.Response:
            headers = {"Content-Type": "text/xml"} | bearer(role)
            return await hes.client.post(f"{hes.url}{GENERIC}", content=octets(message, GENERIC), headers=headers)

        in_days = datetime.now(UTC) + timedelta(days=9)
        ordered = request(
            control(DISCONNECT, "M1", start_at=in_days),
            message_id="later",
            async_reply_flag=True,
            reply_address=cis.url,
        )
        assert texts((await send(Role.CONTROLLER, ordered)).content, "code") == ["0.3"]
        named = (Identifier(value="later", kind="transaction"),)
        taken_back = replace(request(verb="cancel"), payload=None, request_identifiers=named)
        disguised = replace(taken_back, payload=OperationSet())
        refused = await send(Role.READER, disguised)
        assert texts(refused.content, "code") == ["7.5"]
        refused = await send(Role.ADMIN, taken_back)
        assert texts(refused.content, "code") == ["7.7"]
        assert "later was ordered by the controller, who has proved it" in refused.text
        own = replace(taken_back, header=replace(taken_back.header, message_id="own"))
        assert texts((await send(Role.CONTROLLER, own)).content, "Result") == ["OK"]


async def test_who_has_proved_who_it_is_takes_no_more_places_by_other_sources(tmp_path: Path) -> None:
    """What waits for its time or for approval has so many places; a Source that costs nothing would fill them all. After a restart too."""
    cis, in_days = Cis(), datetime.now(UTC) + timedelta(days=9)

    async def taken(hes: North, role: Role, number: int) -> bool:
        message = request(
            control(DISCONNECT, "M1", start_at=in_days),
            message_id=f"{role} {number}",
            source=f"source {number}",
            async_reply_flag=True,
            reply_address=cis.url,
        )
        headers = {"Content-Type": "text/xml"} | bearer(role)
        answer = await hes.client.post(f"{hes.url}{GENERIC}", content=octets(message, GENERIC), headers=headers)
        (code,) = texts(answer.content, "code")
        assert code in ("0.3", "3.2"), answer.text
        return code == "0.3"

    async with cis.serving():
        async with north(tmp_path, principals=principals(tmp_path)) as hes:
            of_one = [await taken(hes, Role.CONTROLLER, number) for number in range(MOST)]
            assert of_one == [True] * (MOST // 2) + [False] * (MOST // 2)
            assert await taken(hes, Role.ADMIN, 0)
        async with north(tmp_path, principals=principals(tmp_path)) as hes:
            assert not await taken(hes, Role.CONTROLLER, MOST)
            assert await taken(hes, Role.ADMIN, 1)

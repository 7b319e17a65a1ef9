"""What each role may do at the head-end: every route and every noun has a row, and who lacks a role is refused over real sockets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from north_bench import DISCONNECT, GENERIC, Cis, control, north, octets, request, texts
from starlette.routing import Route

from ami_cim.codes import Verb
from ami_cim.identity import Identifier
from ami_cim.message import RequestMessage
from ami_cim.nouns import NOUNS as ALL_NOUNS
from ami_cim.payloads.end_device_controls import EndDeviceControls
from ami_cim.payloads.operation_set import Operation, OperationSet
from ami_hes import roles
from ami_hes.app import northbound
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

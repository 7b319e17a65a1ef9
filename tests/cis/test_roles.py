"""What each role may do at the CIS: every route has a row, and replies and events are taken of operators alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from cis_stand_in import Events, StandInHes, environment, settings
from patience import PATIENCE_S
from starlette.routing import Route

from ami_cim import envelope, wire
from ami_cim.message import Header, Reply, ResponseMessage
from ami_cim.schema import Schemas
from ami_cis import app
from ami_cis.api_values.controls import CONTROLS
from ami_cis.app import served as served_module
from ami_cis.roles import ROUTES

REPLY = wire.write_response(
    ResponseMessage(
        header=Header(
            verb="reply",
            noun="EndDeviceControls",
            message_id="r-1",
            correlation_id="m-1",
            timestamp=datetime(2026, 11, 20, tzinfo=UTC),
        ),
        reply=Reply(result="OK"),
    ),
    envelope.REQUEST_MESSAGE,
    Schemas(),
)
TOKEN = "reader-0123456789-0123456789-0123456789"


async def test_every_route_has_a_row_and_readers_neither_order_nor_reply(
    tmp_path: Path, hes: StandInHes, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[tuple[str, str]] = []
    create: Callable[..., Any] = served_module.create_api

    def seen(routes: list[Any], *arguments: Any, **options: Any) -> Any:
        for route in routes:
            assert isinstance(route, Route)
            served.extend((route.path, method) for method in route.methods or () if method != "HEAD")
        return create(routes, *arguments, **options)

    monkeypatch.setattr(served_module, "create_api", seen)
    file = tmp_path / "principals.toml"
    digest = sha256(TOKEN.encode()).hexdigest()
    file.write_text(f'[[principals]]\nname = "billing"\nroles = ["reader"]\ntoken_sha256 = "{digest}"\n')
    file.chmod(0o644)
    async with (
        app.running(settings(tmp_path, hes.url, principals=file), environment(told := Events()), 0) as system,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{system.listen.rpartition(':')[2]}", trust_env=False, timeout=PATIENCE_S
        ) as client,
    ):
        assert set(served) == set(ROUTES)
        assert (await client.get("/api/v1/meters")).status_code == 401
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        assert (await client.get("/api/v1/meters")).status_code == 200
        order = {"code": "3.31.0.23", "meters": ["M1001"]}
        assert (await client.post(CONTROLS, json=order)).status_code == 403
        assert [one.header.verb for one in hes.requests] == ["get"], "which was to list the meters"
        xml = {"Content-Type": "text/xml"}
        by_reader = await client.post("/cim", content=REPLY, headers=xml)
        assert by_reader.status_code == 500 and "7.5" in by_reader.text, by_reader.text
        (refused,) = told.named("message_refused")
        assert refused["code"] == "7.5" and "it takes the role operator" in refused["reason"]
        del client.headers["Authorization"]
        anybody = await client.post("/cim", content=b"<a/>", headers={"Content-Type": "text/xml"})
        assert anybody.status_code == 401
        assert "7.2" in anybody.text
        begun = await client.post("/session", json={"token": TOKEN})
        assert begun.status_code == 204
        assert (await client.get("/api/v1/meters")).status_code == 200
        asking = (await client.get("/api/v1/principal")).json()
        assert (asking["name"], asking["roles"]) == ("billing", ["reader"])
        assert (await client.post(CONTROLS, json=order)).status_code == 403, "a session has the roles of its principal"

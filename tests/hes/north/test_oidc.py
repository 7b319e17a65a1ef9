"""Tokens of an issuer at the head-end, over real sockets: roles for messages and routes, and a CIS that gets its tokens there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from north_bench import CONNECT, DISCONNECT, GENERIC, control, mrid, north, octets, request, texts
from oidc_issuer import AUDIENCE, CLIENT, SECRET, OidcIssuer
from reported import ignore

from ami_cis.app import running as cis_running
from ami_cis.settings import Cis
from ami_cis.settings import Settings as CisSettings
from ami_cis.workflows import Order, Target
from ami_process.environment import Environment


@pytest.fixture
def issuer() -> Iterator[OidcIssuer]:
    with OidcIssuer().serving() as serving:
        yield serving


def taking(issuer: OidcIssuer) -> dict[str, object]:
    roles = {"switching": ["controller"], "keys": ["security-officer"], "looking": ["reader"]}
    return {"oidc": {"issuer": issuer.url, "audience": AUDIENCE, "roles": roles}}


async def test_a_token_is_good_for_its_roles_and_no_others(tmp_path: Path, issuer: OidcIssuer) -> None:
    async with north(tmp_path, **taking(issuer)) as hes:

        async def switch(token: str | None) -> list[str]:
            headers = {"Content-Type": "text/xml"} | ({} if token is None else {"Authorization": f"Bearer {token}"})
            body = octets(request(control(DISCONNECT, "M1")), GENERIC)
            return texts((await hes.client.post(f"{hes.url}/cim", content=body, headers=headers)).content, "code")

        assert await switch(None) == ["7.2"]
        assert await switch(issuer.token(roles=["looking"])) == ["7.5"], "a token that is right, in another role"
        assert await switch(issuer.token(roles=["keys"])) == ["7.5"]
        assert await switch(issuer.token(aud="another system")) == ["7.2"]
        assert hes.meters.commands == []
        assert "7.2" not in await switch(issuer.token())
        assert len(hes.meters.commands) == 1
        bearer = {"Authorization": f"Bearer {issuer.token()}"}
        asked = (await hes.client.get(f"{hes.url}/api/v1/principal", headers=bearer)).json()
        assert (asked["name"], asked["how"], asked["roles"]) == ("oidc ada", "oidc", ["controller"])
        assert (await hes.client.get(f"{hes.url}/api/v1/audit", headers=bearer)).status_code == 403
        officer = {"Authorization": f"Bearer {issuer.token(roles=['keys'], sub='eve')}"}
        assert "oidc ada" in (await hes.client.get(f"{hes.url}/api/v1/audit", headers=officer)).text


async def test_the_cis_asks_with_tokens_of_the_issuer(tmp_path: Path, issuer: OidcIssuer) -> None:
    (tmp_path / "secret").write_text(SECRET)
    mine = {"issuer": issuer.url, "client_id": CLIENT, "client_secret": f"file:{tmp_path}/secret"}
    async with north(tmp_path, **taking(issuer)) as hes:
        cis = Cis(port=0, hes_url=hes.url, store=tmp_path / "cis.sqlite", ask_again_s=0.0, oidc_client=mine)  # type: ignore[arg-type]
        async with cis_running(CisSettings(cis=cis), Environment(emit=ignore), 0) as system:
            order = Order(code=DISCONNECT, targets=(Target.meter("M1", mrid(1)),))
            assert (await system.controls.run(order)).result == "OK"
            issuer.roll("second")
            again = Order(code=CONNECT, targets=order.targets)
            assert (await system.controls.run(again)).result == "OK", "of a token whose key the head-end has kept"
            assert issuer.asked.count("/token") == 1

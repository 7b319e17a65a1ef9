"""Tokens of an issuer: which are taken and which not, its keys as they change and as it goes away, and how a client gets one."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from oidc_issuer import AUDIENCE, CLIENT, SECRET, OidcIssuer
from patience import PATIENCE_S
from pydantic import ValidationError

from ami_process import oidc, rest_client
from ami_process.doors import Admissions
from ami_process.oidc import OidcSettings, TokenIssuer
from ami_process.oidc_client import ClientCredentials, OidcClientSettings
from ami_process.oidc_documents import MOST, IssuerAway, IssuerDocuments
from ami_process.principals import Entry, Principal, Principals, Refusal, Role
from ami_process.tokens import Tokens


@pytest.fixture
def issuer() -> Iterator[OidcIssuer]:
    with OidcIssuer().serving() as serving:
        yield serving


def taking(issuer: OidcIssuer, **more: Any) -> TokenIssuer:
    roles = {"switching": (Role.CONTROLLER,), "looking": (Role.READER,)}
    return TokenIssuer(OidcSettings.model_validate({"issuer": issuer.url, "audience": AUDIENCE, "roles": roles} | more))


async def refusal(taken: TokenIssuer, token: str) -> Refusal:
    found = await taken.principal(token)
    assert isinstance(found, Refusal), found
    assert token not in found.reason
    return found


@pytest.mark.parametrize("kind", ["rsa", "ec"])
async def test_a_token_that_is_right_has_a_name_and_the_roles_of_its_claims(issuer: OidcIssuer, kind: str) -> None:
    issuer.roll("a", kind)
    taken = taking(issuer)
    assert await taken.principal(issuer.token()) == Principal("oidc ada", frozenset({Role.CONTROLLER}), "oidc")
    assert await taken.principal(issuer.token(aud=["other", AUDIENCE], roles="looking unknown")) == Principal(
        "oidc ada", frozenset({Role.READER}), "oidc"
    )
    assert await taken.principal(issuer.token(roles=None)) == Principal("oidc ada", frozenset(), "oidc")
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"], "keys are kept"


async def test_roles_may_be_inside_of_a_claim_and_names_in_the_file_of_principals(issuer: OidcIssuer) -> None:
    taken = taking(issuer, roles_claim="realm_access.roles", name_claim="client_id")
    inside = issuer.token(client_id="billing", realm_access={"roles": ["looking"]}, roles=["switching"])
    assert await taken.principal(inside) == Principal("oidc billing", frozenset({Role.READER}), "oidc")
    known = Principals([Entry(name="Billing", roles=frozenset({Role.OPERATOR}), oidc="billing")])
    assert await taken.with_principals(known).principal(inside) == Principal(
        "Billing", frozenset({Role.OPERATOR}), "oidc"
    )


OTHER_RSA, OTHER_EC = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())


def unsigned(issuer: OidcIssuer) -> str:
    head, claims, _ = issuer.token().split(".")
    changed = json.loads(base64.urlsafe_b64decode(head + "==")) | {"alg": "none"}
    return f"{base64.urlsafe_b64encode(json.dumps(changed).encode()).decode().rstrip('=')}.{claims}."


def with_the_public_key_as_secret(issuer: OidcIssuer) -> str:
    """HS256, which a program that lets the token choose takes for a right one."""
    import hashlib
    import hmac

    head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": "first"}).encode()).decode().rstrip("=")
    text = f"{head}.{issuer.token().split('.')[1]}"
    mark = hmac.new(issuer.public_pem(), text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(mark).decode().rstrip('=')}"


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (unsigned, "RS256 or ES256"),
        (with_the_public_key_as_secret, "RS256 or ES256"),
        (lambda one: one.token(key=OTHER_RSA), "Signature verification failed"),
        (lambda one: one.token(key=OTHER_EC), "no such key"),
        (lambda one: one.token(kid="other", key=OTHER_RSA), "no such key"),
        (lambda one: one.token(alg="RS512"), "RS256 or ES256"),
        (lambda one: jwt.encode({"sub": "x"}, OTHER_RSA, "RS256"), "names no key"),
        (lambda one: one.token(aud="other"), "udience"),
        (lambda one: one.token(aud=None), "aud"),
        (lambda one: one.token(iss="http://127.0.0.1:1"), "ssuer"),
        (lambda one: one.token(exp=int(time.time()) - 60), "expired"),
        (lambda one: one.token(exp=None), "exp"),
        (lambda one: one.token(nbf=int(time.time()) + 600), "not yet valid"),
        (lambda one: one.token(sub="x" * 200), "no name"),
        (lambda one: one.token()[:-4] + "AAAA", "Signature verification failed"),
        (lambda one: "a.b.c", "not taken"),
        (lambda one: "..", "not taken"),
    ],
)
async def test_a_token_that_is_not_right_is_refused(issuer: OidcIssuer, make: Any, why: str) -> None:
    found = await refusal(taking(issuer), make(issuer))
    assert found.status is HTTPStatus.UNAUTHORIZED and why in found.reason


async def test_keys_are_fetched_anew_for_a_new_one_but_not_at_will(
    issuer: OidcIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(oidc, "monotonic", lambda: now)
    taken = taking(issuer)
    old = issuer.token()
    assert isinstance(await taken.principal(old), Principal)
    issuer.roll("second", "ec")
    fresh = issuer.token()
    for _ in range(20):
        await refusal(taken, fresh)
    assert issuer.asked.count("/keys") == 1, "within the floor nothing is fetched, whatever tokens name"
    now += oidc.FLOOR_S
    assert isinstance(await taken.principal(fresh), Principal)
    assert "no such key" in (await refusal(taken, old)).reason, "a key that the issuer has withdrawn"


async def test_an_issuer_that_is_away_keeps_out_who_is_not_known_yet(
    issuer: OidcIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(oidc, "monotonic", lambda: now)
    taken, other = taking(issuer, keys_for_s=10), taking(issuer)
    assert isinstance(await taken.principal(issuer.token()), Principal)
    issuer.away = True
    now += 1_000
    assert isinstance(await taken.principal(issuer.token()), Principal), "its keys are known"
    found = await refusal(other, issuer.token())
    assert found.status is HTTPStatus.SERVICE_UNAVAILABLE and "can't be asked" in found.reason


async def test_an_issuer_that_can_not_be_asked_is_not_one_that_has_no_such_key(
    issuer: OidcIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(oidc, "monotonic", lambda: now)
    taken = taking(issuer)
    issuer.away = True
    for _ in range(3):
        assert (await refusal(taken, issuer.token())).status is HTTPStatus.SERVICE_UNAVAILABLE
    assert len(issuer.asked) == 1, "it is not asked more often for that"
    issuer.away, now = False, now + oidc.FLOOR_S
    assert isinstance(await taken.principal(issuer.token()), Principal)
    issuer.roll("second")
    issuer.away, now = True, now + oidc.FLOOR_S
    for _ in range(2):
        assert (await refusal(taken, issuer.token())).status is HTTPStatus.SERVICE_UNAVAILABLE


class Held(OidcIssuer):
    """One that says nothing at `path` until it may."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path, self.holds, self.may_answer = path, threading.Event(), threading.Event()
        self.may_answer.set()

    def answer(self, path: str, form: dict[str, list[str]], authorization: str) -> tuple[int, Any]:
        if path == self.path and not self.may_answer.is_set():
            self.holds.set()
            self.may_answer.wait(PATIENCE_S)
        return super().answer(path, form, authorization)


async def test_while_keys_are_fetched_anew_nobody_waits_whose_key_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(oidc, "monotonic", lambda: now)
    with Held("/keys").serving() as held:
        assert isinstance(held, Held)
        taken, token = taking(held, keys_for_s=10), held.token()
        assert isinstance(await taken.principal(token), Principal)
        now += 1_000
        held.may_answer.clear()
        first = asyncio.create_task(taken.principal(token))
        try:
            assert await asyncio.to_thread(held.holds.wait, PATIENCE_S)
            assert isinstance(await taken.principal(token), Principal)
            assert not first.done(), "it did not wait for the issuer"
            strangers = [
                asyncio.create_task(taken.principal(held.token(kid=f"other {n}", key=OTHER_RSA))) for n in range(5)
            ]
            now += 2 * oidc.FLOOR_S  # so long does it take
        finally:
            held.may_answer.set()
        assert isinstance(await first, Principal)
        assert all(isinstance(one, Refusal) for one in await asyncio.gather(*strangers))
        assert held.asked.count("/keys") == 2, "who has waited for it looks at what came, and fetches nothing again"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"issuer": "http://127.0.0.1:1"}, "says that it is the issuer"),
        ({"jwks_uri": "http://issuer.example/keys"}, "https://"),
        ({"jwks_uri": "file:///etc/passwd"}, "https://"),
        ({"more": "x" * MOST}, "more than"),
    ],
)
async def test_what_an_issuer_says_is_bounded_and_looked_at(issuer: OidcIssuer, said: dict[str, str], why: str) -> None:
    issuer.changed = said
    assert why in (await refusal(taking(issuer), issuer.token())).reason


def test_settings_that_would_take_anything_are_refused() -> None:
    for given in (
        {"issuer": "https://issuer.example"},
        {"issuer": "http://issuer.example", "audience": "ami"},
    ):
        with pytest.raises(ValidationError):
            OidcSettings.model_validate(given)
    with pytest.raises(ValidationError):
        OidcClientSettings.model_validate({"issuer": "https://issuer.example"})


async def test_a_static_token_stays_and_a_wrong_one_of_the_issuer_slows_its_address(issuer: OidcIssuer) -> None:
    doors = Admissions.of("hes", Tokens(["s" * 40], "x"), None, None, "127.0.0.1", lambda: 0.0, taking(issuer)).api

    async def ask(token: str | None) -> Any:
        headers = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
        return await doors.let_in({"type": "http", "headers": headers, "client": ("192.0.2.1", 1)})

    owner = await ask("s" * 40)
    assert isinstance(owner, Principal) and Role.ADMIN in owner.roles
    assert isinstance(await ask(None), Refusal), "an issuer closes a loopback address as well"
    statuses = [(await ask(issuer.token(aud="other"))).status for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    assert isinstance(await ask(issuer.token()), Principal)


# --- clients


def client(issuer: OidcIssuer, directory: Path, secret: str = SECRET) -> OidcClientSettings:
    file = directory / "secret"
    file.write_text(secret + "\n")
    return OidcClientSettings.model_validate(
        {"issuer": issuer.url, "client_id": CLIENT, "client_secret": f"file:{file}"}
    )


async def test_a_client_keeps_its_token_until_shortly_before_its_end(issuer: OidcIssuer, tmp_path: Path) -> None:
    now = 0.0
    mine = ClientCredentials(client(issuer, tmp_path), "x", seconds=lambda: now)
    first = await mine.token()
    assert isinstance(await taking(issuer).principal(first), Principal)
    now = 269.0
    assert await mine.token() == first and issuer.asked.count("/token") == 1
    now = 270.0
    await mine.token()
    mine.forget()
    await mine.token()
    assert issuer.asked.count("/token") == 3


async def test_a_client_says_why_it_gets_none_and_not_its_secret(issuer: OidcIssuer, tmp_path: Path) -> None:
    with pytest.raises(IssuerAway, match="401: invalid_client") as caught:
        await ClientCredentials(client(issuer, tmp_path, "a wrong secret"), "x").token()
    assert "wrong secret" not in str(caught.value)
    issuer.away = True
    with pytest.raises(IssuerAway, match="503"):
        IssuerDocuments(issuer.url).configuration()


async def test_who_waits_for_the_same_token_shares_what_comes_of_it(tmp_path: Path) -> None:
    with Held("/token").serving() as held:
        assert isinstance(held, Held)
        held.may_answer.clear()
        mine = ClientCredentials(client(held, tmp_path, "a wrong secret"), "x")
        waiting = [asyncio.create_task(mine.token()) for _ in range(3)]
        try:
            assert await asyncio.to_thread(held.holds.wait, PATIENCE_S)
            waiting[0].cancel()  # who has asked first, and the others get it all the same
            await asyncio.wait(waiting[:1])
        finally:
            held.may_answer.set()
        for one in waiting[1:]:
            with pytest.raises(IssuerAway, match="invalid_client"):
                await one
        assert held.asked.count("/token") == 1


async def test_a_secret_may_hold_what_has_a_meaning_in_its_header(issuer: OidcIssuer, tmp_path: Path) -> None:
    issuer.secret = "100%3A a+b:c ü"
    mine = ClientCredentials(client(issuer, tmp_path, issuer.secret), "x")
    assert isinstance(await taking(issuer).principal(await mine.token()), Principal)


async def test_a_command_gets_its_token_by_the_environment(
    issuer: OidcIssuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rest_client.authorization(None) == {}
    settings = client(issuer, tmp_path)
    for name in ("issuer", "client_id", "client_secret"):
        monkeypatch.setenv(f"AMI_OIDC_{name.upper()}", str(getattr(settings, name)))
    header = rest_client.authorization(None)["Authorization"]
    assert isinstance(await taking(issuer).principal(header.removeprefix("Bearer ")), Principal)
    monkeypatch.delenv("AMI_OIDC_CLIENT_SECRET")
    with pytest.raises(rest_client.TokenUnusable, match="needs AMI_OIDC_CLIENT_ID"):
        rest_client.authorization(None)

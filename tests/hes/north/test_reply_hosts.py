"""Which reply addresses are accepted: what the configuration names, and this machine if nobody else can ask."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from an_answer import ANSWER
from north_bench import DISCONNECT, SCHEMAS, Cis, control, north, request

from ami_hes.configured import reply_hosts
from ami_hes.outbox import Outbox
from ami_hes.reply_hosts import NotAllowed
from ami_hes.settings import Settings

LOCAL = "127.0.0.1"
EVERYWHERE = "0.0.0.0"


def configured(host: str = LOCAL, cis: dict[str, Any] | None = None, **hes: Any) -> Any:
    return reply_hosts(Settings(hes={"host": host, **hes}, cis=cis or {}))


@pytest.mark.parametrize(
    ("configuration", "address"),
    [
        ({}, "http://127.0.0.1:8080/cim"),
        ({}, "http://127.9.9.9:1/"),
        ({}, "http://[::1]:80/"),
        ({}, "http://LOCALHOST:8080/cim"),
        ({"host": "::1"}, "http://127.0.0.1:8080/cim"),
        ({"host": EVERYWHERE, "cis": {"host": "cis.example"}}, "http://CIS.example:49152/cim"),
        ({"host": EVERYWHERE, "cis": {"host": "10.0.0.7"}}, "https://10.0.0.7/cim"),
        ({"host": EVERYWHERE, "cis": {"reply_address": "http://cis:8080/cim"}}, "http://cis:49152/cim"),
        ({"host": EVERYWHERE, "cis": {"host": LOCAL}}, "http://127.0.0.1:8080/cim"),
        ({"host": EVERYWHERE, "cis": {"host": "::1", "port": 9080}}, "http://[::1]:9080/cim"),
        ({"host": EVERYWHERE, "cis": {"reply_address": "http://127.0.0.1/cim"}}, "http://127.0.0.1:80/"),
        ({"host": EVERYWHERE, "reply_hosts": ["Cis.Example:8080"]}, "http://cis.example:8080/any/path"),
        ({"host": EVERYWHERE, "reply_hosts": ["cis.example:443"]}, "https://cis.example/"),
        ({"host": EVERYWHERE, "reply_hosts": ["[2001:db8::1]:8080"]}, "http://[2001:db8::1]:8080/"),
        ({"host": EVERYWHERE, "reply_networks": ["10.0.0.0/8"]}, "http://10.1.2.3:1/"),
        ({"host": EVERYWHERE, "reply_networks": ["10.0.0.0/8"]}, "http://a-name-that-has-to-be-looked-up.example/"),
        ({"host": EVERYWHERE, "reply_hosts": ["https://Cis.Example"]}, "https://cis.example:8443/"),
        ({"host": EVERYWHERE, "reply_hosts": ["https://cis.example:8443"]}, "https://cis.example:8443/"),
        ({"host": EVERYWHERE, "cis": {"host": "cis", "reply_address": "https://cis/cim"}}, "https://cis:8080/cim"),
    ],
)
def test_what_may_be_replied_to(configuration: dict[str, Any], address: str) -> None:
    assert configured(**configuration).check(address).host


@pytest.mark.parametrize(
    ("configuration", "address"),
    [
        ({}, "http://10.0.0.1/"),
        ({}, "http://192.168.1.1/cim"),
        ({}, "http://8.8.8.8/"),
        ({}, "http://169.254.169.254/latest/meta-data"),
        ({}, "http://0.0.0.0:8080/cim"),
        ({}, "http://[::]/"),
        ({}, "http://[::ffff:10.0.0.1]/"),
        ({}, "http://cis.example/"),
        ({"host": EVERYWHERE}, "http://127.0.0.1:8080/cim"),
        ({"host": EVERYWHERE}, "http://localhost:8080/cim"),
        ({"host": "10.0.0.1"}, "http://10.0.0.1:8081/cim"),
        ({"host": EVERYWHERE, "cis": {"host": EVERYWHERE}}, "http://0.0.0.0:8080/cim"),
        ({"host": EVERYWHERE, "cis": {"host": LOCAL}}, "http://127.0.0.1:22/"),
        ({"host": EVERYWHERE, "cis": {"host": "localhost"}}, "http://127.0.0.1:8080/cim"),
        ({"host": EVERYWHERE, "cis": {"reply_address": "http://cis:8080/cim"}}, "http://cis.example:8080/cim"),
        ({"host": EVERYWHERE, "reply_hosts": ["cis.example:8080"]}, "http://cis.example:8081/"),
        ({"host": EVERYWHERE, "reply_hosts": ["cis.example:8080"]}, "https://cis.example/"),
        ({"host": EVERYWHERE, "reply_networks": ["10.0.0.0/8"]}, "http://127.0.0.1/"),
        ({"host": EVERYWHERE, "reply_hosts": ["https://cis.example"]}, "http://cis.example/"),
        ({"host": EVERYWHERE, "reply_hosts": ["https://cis.example"]}, "http://cis.example:443/"),
        ({"host": EVERYWHERE, "cis": {"host": "cis", "reply_address": "https://cis/cim"}}, "http://cis:8080/cim"),
        ({}, "ftp://127.0.0.1/"),
        ({}, "file:///etc/passwd"),
        ({}, "http:///cim"),
        ({}, "queue.name"),
        ({}, ""),
        ({}, "http://user:secret@127.0.0.1/"),
        ({}, "http://127.0.0.1/" + "a" * 3000),
        ({}, "http://127.0.0.1:99999/"),
    ],
)
def test_what_may_not_be_replied_to(configuration: dict[str, Any], address: str) -> None:
    with pytest.raises(NotAllowed) as refusal:
        configured(**configuration).check(address)
    assert "secret" not in str(refusal.value)


async def test_a_name_that_leads_to_this_machine_itself_is_refused_when_it_is_looked_up() -> None:
    hosts = configured(EVERYWHERE, {"host": "localhost"})
    assert str(await hosts.resolve(hosts.check("http://localhost:8080/cim"))) in ("127.0.0.1", "::1")
    anywhere = configured(EVERYWHERE, reply_networks=["10.0.0.0/8"])
    with pytest.raises(NotAllowed, match=r"localhost:8080; hes\.reply_hosts and hes\.reply_networks"):
        await anywhere.resolve(anywhere.check("http://localhost:8080/cim"))


@pytest.fixture
def leads_to(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have every name lead to these addresses, one after the other: whoever answers for a name may say so."""

    def set_addresses(*addresses: str) -> None:
        answers = iter(addresses)

        def look_up(*_: object, **__: object) -> list[tuple[object, ...]]:
            return [(None, None, None, "", (next(answers), 0))]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)

    return set_addresses


INSIDE = [
    "127.0.0.1",
    "10.1.2.3",
    "192.168.0.9",
    "100.64.0.1",
    "169.254.169.254",
    "::1",
    "fd00::1",
    "fe80::1",
    "::ffff:10.1.2.3",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::10.1.2.3",
    "2002:a01:203::1",
    "::10.1.2.3",
    "fec0::1",
]


@pytest.mark.parametrize("address", INSIDE)
async def test_a_public_name_does_not_lead_inside_unless_that_is_named(
    address: str, leads_to: Callable[..., None]
) -> None:
    """Whoever answers for the name decides where it leads."""
    hosts = configured(EVERYWHERE, reply_hosts=["cis.example"])
    leads_to(address)
    with pytest.raises(NotAllowed, match=r"hes\.reply_inside") as refusal:
        await hosts.resolve(hosts.check("http://cis.example/"))
    assert address not in str(refusal.value), "what a name leads to inside is not told to who has sent it"


async def test_a_name_that_leads_inside_as_the_configuration_says_is_taken(leads_to: Callable[..., None]) -> None:
    named = configured(EVERYWHERE, reply_hosts=["cis.example", "cis"], reply_inside=["10.0.0.0/8"])
    for url in ("http://cis.example/", "http://cis/"):
        leads_to("10.1.2.3")
        assert str(await named.resolve(named.check(url))) == "10.1.2.3"
    leads_to("169.254.169.254")
    with pytest.raises(NotAllowed):
        await named.resolve(named.check("http://cis/"))


async def test_the_address_that_was_checked_is_the_one_that_is_connected_to(leads_to: Callable[..., None]) -> None:
    """A second look-up (DNS rebinding) would lead to another one, where nobody is."""
    async with Cis().serving() as cis, Outbox.opened(configured(), SCHEMAS, timeout_s=5.0) as outbox:
        leads_to(LOCAL, "10.1.2.3")
        await outbox.post(cis.url.replace(LOCAL, "localhost"), ANSWER)
        assert len(cis.requests) == 1


async def test_an_address_that_nobody_named_is_refused_with_the_request(tmp_path: Path) -> None:
    async with Cis().serving() as cis, north(tmp_path, host="127.0.0.1") as hes:
        asked = request(control(DISCONNECT, "M1"), async_reply_flag=True, reply_address="http://cis.example:8080/cim")
        reply = (await hes.ask(asked)).reply
        assert (reply.result, [error.code for error in reply.errors]) == ("FAILED", ["7.7"])
        assert "replies may not go to cis.example:8080; hes.reply_hosts" in (reply.errors[0].reason or "")
        assert hes.meters.commands == [] and cis.requests == []

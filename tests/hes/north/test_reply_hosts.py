"""Which reply addresses are accepted: what the configuration names, and this machine if nobody else can ask."""

from pathlib import Path
from typing import Any

import pytest
from north_bench import DISCONNECT, Cis, control, north, request

from ami_hes.configured import reply_hosts
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


async def test_an_address_that_nobody_named_is_refused_with_the_request(tmp_path: Path) -> None:
    async with Cis().serving() as cis, north(tmp_path, host="127.0.0.1") as hes:
        asked = request(control(DISCONNECT, "M1"), async_reply_flag=True, reply_address="http://cis.example:8080/cim")
        reply = (await hes.ask(asked)).reply
        assert (reply.result, [error.code for error in reply.errors]) == ("FAILED", ["7.7"])
        assert "replies may not go to cis.example:8080; hes.reply_hosts" in (reply.errors[0].reason or "")
        assert hes.meters.commands == [] and cis.requests == []

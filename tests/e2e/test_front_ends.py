"""Two front ends and two workers on PostgreSQL and NATS: whichever front end is asked, whichever of them is killed, and who posts what is owed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256

import httpx
import pytest
from free_ports import free_port
from harness import Process, Receiver, System, until
from nats_server import Broker
from patience import PATIENCE_S
from postgresql_server import Cluster
from stranger import CONNECT, DISCONNECT, Stranger, by_mrid
from test_workers import moved, start_workers
from zeep.exceptions import Fault
from zeep.wsse.username import UsernameToken

from ami_cim import envelope, soap
from ami_process.private_files import make_private_file

pytestmark = [pytest.mark.ci, pytest.mark.needs("postgresql"), pytest.mark.needs("nats")]


class FrontEnds:
    """Of one system, each at a port of its own, as a load balancer would ask them."""

    def __init__(self, ami: System, known: int) -> None:
        self.ami = ami
        self.known = ami.config["meters"][:known]
        self.all = [self.start("a"), self.start("b")]
        self.workers = start_workers(ami, 2)

    def start(self, name: str) -> tuple[Process, str]:
        """It and its address."""
        config = self.ami.config | {
            "hes": self.ami.config["hes"] | {"port": free_port(), "dlms_port": free_port()},
            "meters": self.known,
        }
        process = self.ami._start("ami_hes", "serve", "--config", self.ami.write(f"hes-{name}.toml", config))
        process.wait_for("ready")
        return process, f"http://127.0.0.1:{config['hes']['port']}"

    @property
    def urls(self) -> list[str]:
        return [url for process, url in self.all if process.alive]


@pytest.fixture
def fronts(ami: System, postgresql: Cluster, nats: Broker, request: pytest.FixtureRequest) -> FrontEnds:
    """They know all meters, or so many as the parameter says; or it is a change of the configuration."""
    parameter = getattr(request, "param", None)
    for meter in ami.config["meters"]:
        meter["simulated"]["answer_delay_s"] = 0.1
    ami.config["hes"] |= {
        "deadline_s": 30.0,
        "store": postgresql.url(postgresql.new_schema()),
        "engine": f"{nats.server}/{nats.new_system()}",
    }
    for name in ("M1001", "M1002"):
        ami.start_meter(name)
    if callable(parameter):
        parameter(ami)
    return FrontEnds(ami, parameter if isinstance(parameter, int) else len(ami.config["meters"]))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


def contact(one: httpx.Client, meter: str) -> str | None:
    """What is known of its switch."""
    found = one.get("/api/v1/contacts").json()["contacts"]
    return next((each["switch"] for each in found if each["meter"] == meter), None)


def client(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_S)


@pytest.mark.parametrize("fronts", [1], indirect=True)
def test_each_front_end_answers_and_knows_what_was_done_at_the_other(fronts: FrontEnds) -> None:
    ami, (a, b) = fronts.ami, fronts.urls
    at, (first, second) = {url: Stranger(url) for url in (a, b)}, ami.config["meters"]
    mine = str(uuid.uuid4())
    for url in (a, b):
        answer = at[url].switch(DISCONNECT, [by_mrid(first)], message_id=mine)
        assert answer.result == "OK", "at the second one it is answered from the store"
    assert at[b].switch(CONNECT, [by_mrid(first)]).result == "OK"
    assert len(moved(ami, "M1001")) == 2
    known = {field: value for field, value in second.items() if field != "simulated"}
    with client(a) as at_a, client(b) as at_b:
        report = at_a.post("/api/v1/meters", json={"rows": [{"place": "a row", "columns": known}]}).json()["rows"]
        assert [one["outcome"] for one in report] == ["accepted"], report
        until(lambda: at_b.get("/api/v1/meters/M1002").status_code == 200, "that the other one knows it")
        assert at[b].switch(DISCONNECT, [by_mrid(second)]).result == "OK"
        for one in (at_a, at_b):
            until(lambda one=one: contact(one, "M1002") == "disconnected", "that a worker has been heard of")
        assert at_b.delete("/api/v1/meters/M1002").status_code == 200
        until(lambda: at_a.get("/api/v1/meters/M1002").status_code == 404, "that it is gone at both")


@pytest.mark.parametrize("killed", ["in charge", "not in charge"])
def test_a_front_end_is_killed_with_a_reply_owed_and_it_is_posted_once(
    fronts: FrontEnds, receiver: Receiver, killed: str
) -> None:
    ami = fronts.ami
    leading, other = sorted(fronts.all, key=lambda one: not one[0].seen("charge_taken"))
    assert not other[0].seen("charge_taken")
    (dead, asked), (left, url) = (leading, other) if killed == "in charge" else (other, leading)
    mine = str(uuid.uuid4())
    reply = {"AsyncReplyFlag": True, "ReplyAddress": receiver.url}
    accepted = Stranger(asked).switch(DISCONNECT, [by_mrid(ami.meter("M1001"))], message_id=mine, **reply)
    assert accepted.result == "OK"
    dead.kill()
    left.wait_for("charge_taken")
    receiver.wait()
    assert Stranger(url).switch(CONNECT, [by_mrid(ami.meter("M1002"))]).result == "OK"
    left.wait_for("reply_sent", message_id=mine)
    (posted,) = receiver.bodies
    said = envelope.parse_delivery(soap.unwrap(posted)).message
    assert (said.header.correlation_id, said.reply.result) == (mine, "OK")
    assert len(moved(ami, "M1001")) == 1


PASSWORD, TOKEN = "a password of 24 octets!", "ada-0123456789-0123456789-0123456789-01"


def with_principals(ami: System) -> None:
    """Ada has a token, and the CIS a password for its messages."""
    make_private_file(ami.directory / "password", "the password", PASSWORD + "\n")
    file = ami.directory / "principals.toml"
    file.write_text(
        f'[[principals]]\nname = "Ada"\nroles = ["admin"]\ntoken_sha256 = "{sha256(TOKEN.encode()).hexdigest()}"\n'
        '[[principals]]\nname = "the CIS"\nroles = ["controller"]\n'
        f'username = "cis"\npassword = "file:{ami.directory}/password"\n'
    )
    file.chmod(0o644)
    ami.config["hes"] |= {"principals": str(file), "message_security": {"mode": "required"}}


@pytest.mark.parametrize("fronts", [with_principals], indirect=True)
def test_what_one_front_end_was_shown_counts_at_the_other(fronts: FrontEnds) -> None:
    a, b = fronts.urls
    meter = by_mrid(fronts.ami.meter("M1001"))
    shown = {"use_digest": True, "nonce": "one of its own", "created": datetime.now(UTC)}
    assert Stranger(a, UsernameToken("cis", PASSWORD, **shown)).switch(DISCONNECT, [meter]).result == "OK"
    with pytest.raises(Fault, match="has come before"):
        Stranger(b, UsernameToken("cis", PASSWORD, **shown)).client.service.CreateEndDeviceControls(
            Header={"Verb": "create", "Noun": "EndDeviceControls", "Timestamp": datetime.now(UTC)},
            Payload={"EndDeviceControls": {"EndDeviceControl": []}},
        )
    assert Stranger(b, UsernameToken("cis", PASSWORD, use_digest=True)).switch(CONNECT, [meter]).result == "OK"
    with client(a) as at_a, client(b) as at_b:
        begun = at_a.post("/session", json={"token": TOKEN})
        assert begun.status_code == 204
        (name, identifier), *_ = begun.cookies.items()
        at_a.cookies.clear()
        cookie_a = {"cookie": f"{name}={identifier}"}
        cookie_b = {"cookie": f"{name.rpartition('_')[0]}_{b.rpartition(':')[2]}={identifier}"}
        assert at_b.get("/api/v1/meters").status_code == 401
        assert at_b.get("/api/v1/meters", headers=cookie_b).status_code == 200
        assert at_b.delete("/session", headers=cookie_b | {"origin": b}).status_code == 204
        assert at_b.get("/api/v1/meters", headers=cookie_b).status_code == 401
        until(lambda: at_a.get("/api/v1/meters", headers=cookie_a).status_code == 401, "its end at the other one")
        bearer = {"authorization": f"Bearer {TOKEN}"}
        assert at_b.post("/api/v1/audit/check", headers=bearer, json={}).status_code == 200
        until(
            lambda: at_b.get("/api/v1/audit/check", headers=bearer).json()["whole"] is True,
            "that the audit log is whole",
        )

"""WS-Security at the head-end over real sockets, with zeep and xmlsec as the foreign side: who is let in, what is refused, what is signed in return."""

from __future__ import annotations

import asyncio
import ssl
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import xmlsec
import zeep
from lxml import etree
from north_bench import CONNECT, DISCONNECT, GENERIC, Cis, North, control, mrid, north, octets, request, texts
from patience import PATIENCE_S
from reported import ignore
from zeep.exceptions import Fault
from zeep.wsse import utils
from zeep.wsse.signature import BinarySignature, MemorySignature, verify_envelope
from zeep.wsse.username import UsernameToken

from ami_cim import ns
from ami_cim.limits import UNKNOWN_PEER
from ami_cim.message import ReplayDetection
from ami_cim.wsse import SecurityReading, load_signer
from ami_cim.wsse.reading import LIGHT
from ami_cis.app import System
from ami_cis.app import running as cis_running
from ami_cis.settings import Cis as Cis_
from ami_cis.settings import Settings as CisSettings
from ami_cis.workflows import Order, Target
from ami_process.authority import Authority
from ami_process.environment import Environment
from ami_process.message_security import SealedHeader
from ami_process.private_files import make_private_file
from ami_process.replay_memory import MemoryFull, ReplayMemory

PASSWORD = "correct horse battery staple"
RSA_SHA256, SHA256 = xmlsec.Transform.RSA_SHA256, xmlsec.Transform.SHA256
ECDSA_SHA256 = xmlsec.Transform.ECDSA_SHA256
FORM = SecurityReading(UNKNOWN_PEER)


class Bench:
    """An authority, certificates, and the principals of a head-end."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.pki = directory, directory / "pki"
        self.authority = Authority(self.pki)
        now = datetime.now(UTC)
        self.authority.init("test", now)
        for name in ("cis", "stranger", "hes"):
            self.authority.issue(name, [f"{name}.example"], now)
        make_private_file(directory / "password", "x", PASSWORD + "\n")
        (directory / "principals.toml").write_text(
            '[[principals]]\nname = "the CIS"\nroles = ["controller", "operator"]\ncertificate = "DNS:cis.example"\n'
            f'[[principals]]\nname = "billing"\nroles = ["reader"]\nusername = "billing"\npassword = "file:{directory}/password"\n'
            f'[[principals]]\nname = "switching"\nroles = ["controller"]\nusername = "switching"\npassword = "file:{directory}/password"\n'
        )
        (directory / "principals.toml").chmod(0o644)

    def settings(self, **more: Any) -> dict[str, Any]:
        files = {"authorities": self.pki / "ca.pem", "revoked": self.pki / "ca.crl"}
        own = {"certificate": self.pki / "hes.pem", "key": self.pki / "hes.key"}
        return {
            "principals": self.directory / "principals.toml",
            "message_security": {"mode": "required"} | files | own | more,
        }

    def sealed(self, body: bytes, signer: str | None = "cis", **more: Any) -> bytes:
        now = more.pop("now", None) or datetime.now(UTC)
        files = [(self.pki / f"{signer}.{end}").read_bytes() for end in ("pem", "key")] if signer else []
        header = SealedHeader(
            created_at=now,
            expires_at=now + timedelta(seconds=60),
            chance=uuid.uuid4().bytes * 2,
            signer=load_signer(*files) if files else None,
        )
        return FORM.seal(body, replace(header, **more))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


def disconnect(code: str = DISCONNECT, **more: Any) -> bytes:
    return octets(request(control(code, "M1"), **more), GENERIC)


async def codes(hes: North, body: bytes) -> tuple[str, list[str], str]:
    """The faultcode, reply codes, and the reason."""
    answer = await hes.post(body, GENERIC)
    return "".join(texts(answer.content, "faultcode")), texts(answer.content, "code"), answer.text


# --- foreign clients


class Signing:
    """As a program that uses zeep has to write it: a Timestamp, SHA-256 in place of SHA-1, and what is signed by the other side verified with xmlsec."""

    def __init__(self, bench: Bench, method: Any) -> None:
        self._sign = BinarySignature(str(bench.pki / "cis.key"), str(bench.pki / "cis.pem"), None, method, SHA256)
        self._of_hes = str(bench.pki / "hes.pem")
        self.answers: list[Any] = []

    def apply(self, envelope: Any, headers: Any) -> Any:
        security = utils.get_security_header(envelope)
        timestamp = etree.SubElement(security, f"{{{ns.WSU}}}Timestamp")
        now = datetime.now(UTC)
        for name, moment in (("Created", now), ("Expires", now + timedelta(seconds=30))):
            etree.SubElement(timestamp, f"{{{ns.WSU}}}{name}").text = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        return self._sign.apply(envelope, headers)

    def verify(self, envelope: Any) -> Any:
        verify_envelope(envelope, self._of_hes)
        self.answers.append(envelope)
        return envelope


def zeep_client(hes: North, wsse: Any) -> zeep.Client:
    return zeep.Client(f"{hes.url}/cim/ExecuteEndDeviceControls?wsdl", wsse=wsse, settings=zeep.Settings(strict=True))


def switch(client: zeep.Client) -> str:
    head = {
        "Verb": "create",
        "Noun": "EndDeviceControls",
        "Timestamp": datetime.now(UTC),
        "MessageID": str(uuid.uuid4()),
    }
    one = {"EndDeviceControlType": {"ref": DISCONNECT}, "EndDevices": [{"Names": [{"name": "M1"}]}]}
    answer = client.service.CreateEndDeviceControls(
        Header=head, Payload={"EndDeviceControls": {"EndDeviceControl": [one]}}
    )
    return str(answer.Reply.Result)


async def test_zeep_signs_and_finds_our_answer_signed(bench: Bench, tmp_path: Path) -> None:
    async with north(tmp_path, **bench.settings(responses="sign", signature=True)) as hes:
        signing = Signing(bench, ECDSA_SHA256)
        client = await asyncio.to_thread(zeep_client, hes, signing)
        assert await asyncio.to_thread(switch, client) == "OK"
        assert len(signing.answers) == 1 and hes.meters.at_work == 1
        client.wsse = MemorySignature(
            (bench.pki / "stranger.key").read_bytes(), (bench.pki / "stranger.pem").read_bytes()
        )
        with pytest.raises((Fault, xmlsec.Error)):  # RSA-SHA1 is zeep's own default
            await asyncio.to_thread(switch, client)
        assert hes.meters.at_work == 1


async def test_zeep_shows_a_digest_and_each_nonce_counts_once(bench: Bench, tmp_path: Path) -> None:
    async with north(tmp_path, **bench.settings()) as hes:
        token = UsernameToken("switching", PASSWORD, use_digest=True)
        client = await asyncio.to_thread(zeep_client, hes, token)
        assert await asyncio.to_thread(switch, client) == "OK"
        again = UsernameToken("switching", PASSWORD, use_digest=True, nonce="the same one", created=datetime.now(UTC))
        client.wsse = again
        assert await asyncio.to_thread(switch, client) == "OK"
        with pytest.raises(Fault, match="has come before"):
            await asyncio.to_thread(switch, client)
        client.wsse = UsernameToken("switching", "not the password", use_digest=True)
        with pytest.raises(Fault, match="none that is known here") as caught:
            await asyncio.to_thread(switch, client)
        assert caught.value.code == "wsse:FailedAuthentication"
        client.wsse = UsernameToken("switching", PASSWORD)  # as text
        with pytest.raises(Fault, match="over https alone"):
            await asyncio.to_thread(switch, client)
        assert hes.meters.at_work == 2


@pytest.mark.parametrize("taken", [True, False])
async def test_a_password_as_text_is_taken_over_tls_alone_and_where_that_is_set(
    bench: Bench, tmp_path: Path, taken: bool
) -> None:
    secure = bench.settings(password_text=taken)
    files = {"mode": "server", "certificate": bench.pki / "hes.pem", "key": bench.pki / "hes.key"}

    def shown() -> bytes:
        return bench.sealed(disconnect(), None, username="switching", password=PASSWORD, password_as_text=True)

    async with north(tmp_path / "plain", **secure) as hes:
        fault, _, said = await codes(hes, shown())
        assert fault == "wsse:InvalidSecurityToken" and "over https alone" in said
        assert PASSWORD not in said and hes.meters.at_work == 0
    async with north(tmp_path / "tls", tls=files, host_names=("hes.example",), **secure) as hes:
        trusted = ssl.create_default_context(cafile=str(bench.pki / "ca.pem"))
        async with httpx.AsyncClient(verify=trusted, trust_env=False, timeout=PATIENCE_S) as client:
            port = hes.url.rpartition(":")[2]
            answer = await client.post(
                f"https://127.0.0.1:{port}/cim",
                content=shown(),
                headers={"Content-Type": "text/xml; charset=utf-8", "Host": "hes.example"},
                extensions={"sni_hostname": "hes.example"},
            )
        if taken:
            assert texts(answer.content, "Result") == ["OK"] and hes.meters.at_work == 1
        else:
            assert texts(answer.content, "faultcode") == ["wsse:InvalidSecurityToken"]
            assert "not taken here" in answer.text
            assert hes.meters.at_work == 0 and PASSWORD not in answer.text


# --- who it is, and what is refused


async def test_who_has_signed_is_the_principal_and_has_its_roles(bench: Bench, tmp_path: Path) -> None:
    async with north(tmp_path, **bench.settings()) as hes:
        assert texts((await hes.post(bench.sealed(disconnect()), GENERIC)).content, "Result") == ["OK"]
        reader = bench.sealed(disconnect(), None, username="billing", password=PASSWORD)
        fault, code, said = await codes(hes, reader)
        assert code == ["7.5"] and "billing may not do this: it takes the role controller" in said
        for body, expected, words in (
            (disconnect(), "wsse:InvalidSecurity", "has no Security header"),
            (bench.sealed(disconnect(), "stranger"), "wsse:FailedAuthentication", "none of the principals"),
            (bench.sealed(disconnect(), None), "wsse:InvalidSecurity", "proves nothing"),
            (
                bench.sealed(disconnect(), username="billing", password=PASSWORD),
                "wsse:FailedAuthentication",
                "is billing's",
            ),
            (bench.sealed(disconnect()).replace(b">M1<", b">M2<"), "wsse:FailedCheck", "does not hold"),
        ):
            fault, _, said = await codes(hes, body)
            assert fault == expected and words in said
        assert hes.meters.at_work == 1


async def test_times_and_repetitions_are_refused(bench: Bench, tmp_path: Path) -> None:
    async with north(tmp_path, **bench.settings()) as hes:
        now = datetime.now(UTC)
        for moment, words in (
            (now + timedelta(seconds=40), "still to come"),
            (now - timedelta(seconds=301), "has expired"),
            (now - timedelta(seconds=100), "has expired"),
        ):
            fault, _, said = await codes(hes, bench.sealed(disconnect(), now=moment))
            assert fault == "wsu:MessageExpired" and words in said
        before = bench.sealed(disconnect(), now=now - timedelta(seconds=30))
        assert "before this process began" in (await codes(hes, before))[2]
        body = disconnect()
        once = bench.sealed(body)
        assert (await hes.post(once, GENERIC)).status_code == 200
        assert "has come before" in (await codes(hes, once))[2], "nobody is told the answer who only repeats"
        assert (await hes.post(bench.sealed(body), GENERIC)).status_code == 200, "its sender may ask again"
        assert hes.meters.at_work == 1, "and it counts once"


async def test_replay_detection_of_the_header_is_looked_at(bench: Bench, tmp_path: Path) -> None:
    async with north(tmp_path, **bench.settings()) as hes:
        for moment, words in (
            (timedelta(), ""),
            (timedelta(), "has come before"),
            (timedelta(hours=1), "still to come"),
        ):
            replay = ReplayDetection(nonce="n-1", created_at=datetime.now(UTC) + moment)
            said = (await codes(hes, bench.sealed(disconnect(replay_detection=replay))))[2]
            assert words in said and ("Fault>" in said) == bool(words)


async def test_revoked_and_unknown_authorities(bench: Bench, tmp_path: Path) -> None:
    own = Bench(tmp_path)
    async with north(tmp_path, **own.settings()) as hes:
        assert (await hes.post(own.sealed(disconnect()), GENERIC)).status_code == 200
        assert "is not taken" in (await codes(hes, bench.sealed(disconnect())))[2]
        own.authority.revoke("cis", datetime.now(UTC))
        assert "is revoked" in (await codes(hes, own.sealed(disconnect())))[2], "without a restart"


async def test_wrong_passwords_slow_their_name_down_and_nobody_else(bench: Bench, tmp_path: Path) -> None:
    async with north(tmp_path, **bench.settings()) as hes:
        said = [
            (await codes(hes, bench.sealed(disconnect(), None, username="billing", password="wrong")))[2]
            for _ in range(6)
        ]
        assert "known here" in said[4] and "try again in" in said[5]
        right = bench.sealed(disconnect(), None, username="switching", password=PASSWORD)
        assert texts((await hes.post(right, GENERIC)).content, "Result") == ["OK"]


async def test_a_connection_and_a_message_of_two_principals_are_refused(bench: Bench, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    make_private_file(tokens, "x", "t" * 40)
    async with north(tmp_path, token_file=tokens, **bench.settings()) as hes:
        headers = {"Content-Type": "text/xml", "Authorization": f"Bearer {'t' * 40}"}
        both = await hes.client.post(f"{hes.url}/cim", content=bench.sealed(disconnect()), headers=headers)
        assert "which of them asks is not known" in both.text
        wrong = headers | {"Authorization": "Bearer no"}
        assert (
            await hes.client.post(f"{hes.url}/cim", content=bench.sealed(disconnect()), headers=wrong)
        ).status_code == 401


async def test_a_large_message_is_verified_in_the_process_for_it(bench: Bench, tmp_path: Path) -> None:
    async with north(tmp_path, **bench.settings()) as hes:
        body = octets(
            request(control(DISCONNECT, *(f"none-{number:04}" for number in range(400))), comment="x" * 30_000), GENERIC
        )
        sealed = bench.sealed(body)
        assert len(sealed) > LIGHT
        assert "does not hold" in (await codes(hes, sealed.replace(b"none-0399", b"none-0398")))[2]
        assert texts((await hes.post(sealed, GENERIC)).content, "Result") == ["FAILED"], "no such meters: it was read"


@pytest.mark.parametrize(
    ("mode", "signature", "partner"), [("accepted", False, False), ("accepted", False, True), ("required", True, False)]
)
async def test_modes(bench: Bench, tmp_path: Path, mode: str, signature: bool, partner: bool) -> None:
    partners = [{"name": "CIS", "source": "CIS", "message_security": "required"}] if partner else []
    more = {"anonymous": ("controller",), "partners": partners}
    async with north(tmp_path, **more, **bench.settings(mode=mode, signature=signature)) as hes:
        plain = (await hes.post(disconnect(), GENERIC)).text
        named = (
            await hes.post(bench.sealed(disconnect(CONNECT), None, username="switching", password=PASSWORD), GENERIC)
        ).text
        signed = (await hes.post(bench.sealed(disconnect(CONNECT)), GENERIC)).text
        assert ("Fault>" in plain) == (mode == "required" or partner)
        assert ("have to be signed" in named) == signature
        assert "Fault>" not in signed


async def test_without_a_setting_the_header_is_not_understood(bench: Bench, tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        assert "Security is not understood here" in (await codes(hes, bench.sealed(disconnect())))[2]


# --- what we send


async def late_reply(hes: North, cis: Cis, **more: Any) -> bytes:
    message = request(control(DISCONNECT, "M1"), async_reply_flag=True, reply_address=cis.url, **more)
    await hes.post(octets(message, GENERIC), GENERIC)
    return await cis.taken.get()


async def test_late_replies_are_signed_or_not_as_their_receiver_wants(bench: Bench, tmp_path: Path) -> None:
    partners: Sequence[dict[str, Any]] = [
        {"source": "plain", "outgoing": "none"},
        {"source": "named", "outgoing": "username"},
    ]
    secure = bench.settings(
        mode="off", outgoing="sign", username="the HES", password=f"file:{bench.directory}/password"
    )
    async with (
        Cis().serving() as cis,
        north(tmp_path, message_security=secure["message_security"], partners=partners) as hes,
    ):
        signed = etree.fromstring(await late_reply(hes, cis))
        verify_envelope(signed, str(bench.pki / "hes.pem"))
        references = {one.get("URI") for one in signed.iter(f"{{{ns.DSIG}}}Reference")}
        body = signed.find(f"{{{ns.SOAP}}}Body")
        assert body is not None and f"#{body.get(f'{{{ns.WSU}}}Id')}" in references
        assert b"Security" not in await late_reply(hes, cis, source="plain")
        named = await late_reply(hes, cis, source="named")
        assert b"the HES" in named and PASSWORD.encode() not in named and b"PasswordDigest" in named
        digest = FORM.read(named, None)
        assert digest is not None and digest.username is not None and digest.username.digest is not None


async def test_faults_are_signed_as_well(bench: Bench, tmp_path: Path) -> None:
    async with north(tmp_path, **bench.settings(responses="sign")) as hes:
        answer = etree.fromstring((await hes.post(disconnect(), GENERIC)).content)
        verify_envelope(answer, str(bench.pki / "hes.pem"))
        assert "has no Security header" in etree.tostring(answer, encoding="unicode")


def test_a_memory_that_is_full_refuses_and_forgets_nothing() -> None:
    now = 0.0
    memory = ReplayMemory(2, 10.0, lambda: now)
    memory.note(b"a", b"b")
    with pytest.raises(MemoryFull):
        memory.note(b"c")
    assert not memory.check(b"a") and memory.check(b"c")
    now = 10.0
    memory.note(b"c")
    assert memory.check(b"a") and len(memory) == 1


async def test_a_full_memory_is_told_to_who_sends(bench: Bench, tmp_path: Path) -> None:
    async with north(tmp_path, **bench.settings(remembered=100)) as hes:
        for _ in range(100):
            await hes.post(
                bench.sealed(
                    b"<soap:Envelope xmlns:soap='" + ns.SOAP.encode() + b"'><soap:Body><a/></soap:Body></soap:Envelope>"
                ),
                GENERIC,
            )
        fault, _, said = await codes(hes, bench.sealed(disconnect()))
        assert fault == "wsse:FailedAuthentication" and "send it later" in said
        assert hes.meters.at_work == 0


# --- both of ours


async def test_cis_and_hes_sign_all_that_they_say_to_each_other(bench: Bench, tmp_path: Path) -> None:
    """Requests, answers, late replies, and answers to these; a HES whose answers are not signed is not believed."""
    trusted = {"authorities": bench.pki / "ca.pem", "revoked": bench.pki / "ca.crl"}
    own = {"certificate": bench.pki / "cis.pem", "key": bench.pki / "cis.key", "outgoing": "sign", "responses": "sign"}
    principals = tmp_path / "principals.toml"
    principals.write_text('[[principals]]\nname = "the HES"\nroles = ["operator"]\ncertificate = "DNS:hes.example"\n')
    principals.chmod(0o644)
    secure = bench.settings(outgoing="sign", responses="sign", signature=True)
    async with north(tmp_path, **secure) as hes:
        cis = {
            "hes_url": hes.url,
            "store": tmp_path / "cis.sqlite",
            "principals": principals,
            "message_security": {"mode": "required"} | trusted | own,
            "hes_signs": True,
            "hes_certificate": "DNS:hes.example",
        }
        targets = (Target.meter("M1", mrid(1)),)
        async with asking(cis) as system:
            for asynchronous in (False, True):
                outcome = await system.controls.run(Order(code=DISCONNECT, targets=targets, asynchronous=asynchronous))
                assert outcome.result == "OK", outcome
        async with asking(cis | {"hes_certificate": "DNS:other.example", "store": tmp_path / "other.sqlite"}) as system:
            outcome = await system.controls.run(Order(code=CONNECT, targets=targets))
            assert "who is not whom we have asked" in str(outcome)


@asynccontextmanager
async def asking(cis: dict[str, Any]) -> AsyncIterator[System]:
    settings = CisSettings(cis=Cis_(port=0, ask_again_s=0.0, **cis), meters=())
    async with cis_running(settings, Environment(emit=ignore), 0) as system:
        yield system

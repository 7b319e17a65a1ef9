"""TLS over real sockets: who is let in, what both sides are told of who isn't, and what happens when files change meanwhile."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from patience import PATIENCE_S
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ami_process import event_loop, rest_client
from ami_process.api import create_api
from ami_process.authority import Authority
from ami_process.events import Event
from ami_process.http_connections import HttpLimits
from ami_process.http_server import serving
from ami_process.principals import EVERYBODY
from ami_process.settings import SettingsError
from ami_process.sockets import listening
from ami_process.tls import TlsSettings, _subject_of, client_context, describe, server_context, tls_problem
from ami_process.tls_events import (
    CertificateExpires,
    HandshakeFailed,
    TlsFilesRead,
    TlsFilesUnusable,
    TlsKeysLogged,
)

NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Files:
    """The authority of the tests, another one, and where a test may change files of its own."""

    ours: Authority
    theirs: Authority

    def settings(self, name: str | None, *, of: Authority | None = None, **more: Any) -> TlsSettings:
        """Of somebody who trusts our authority and shows a certificate of this name."""
        shown = (of or self.ours).directory
        own = {} if name is None else {"certificate": shown / f"{name}.pem", "key": shown / f"{name}.key"}
        return TlsSettings.model_validate({**own, "authorities": self.ours.directory / "ca.pem", **more})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    made = Files(Authority(tmp_path_factory.mktemp("ours")), Authority(tmp_path_factory.mktemp("theirs")))
    for authority in (made.ours, made.theirs):
        authority.init("authority", NOW)
        authority.issue("cis", ("127.0.0.1",), NOW)
    made.ours.issue("hes", ("localhost", "127.0.0.1"), NOW)
    made.ours.issue("elsewhere", ("hes.example",), NOW)
    made.ours.issue("old", ("127.0.0.1",), NOW - timedelta(days=40), days=39)
    made.ours.issue("ending", ("127.0.0.1",), NOW, days=29)
    made.ours.issue("lost", ("127.0.0.1",), NOW)
    made.ours.revoke("lost", NOW)
    return made


@dataclass
class Site:
    port: int
    events: list[Event] = field(default_factory=list)
    failed: asyncio.Event = field(default_factory=asyncio.Event)

    def emit(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, HandshakeFailed):
            self.failed.set()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}/"

    async def failures(self) -> list[str]:
        """Why handshakes have failed, once one has."""
        async with asyncio.timeout(PATIENCE_S):
            await self.failed.wait()
        return [one.reason for one in self.events if isinstance(one, HandshakeFailed)]

    async def get(self, settings: TlsSettings, url: str | None = None) -> httpx.Response:
        trusted = client_context(settings, "cis.tls", lambda _: None)
        async with httpx.AsyncClient(verify=trusted, trust_env=False, timeout=PATIENCE_S) as client:
            return await client.get(url or self.url)

    async def refused(self, settings: TlsSettings) -> str:
        """What the client is told."""
        with pytest.raises((ssl.SSLError, httpx.TransportError)) as caught:
            await self.get(settings)
        problem = tls_problem(caught.value)
        assert problem is not None, caught.value
        return describe(problem)


async def whose(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers what it knows of the client."""
    peer = scope.get("peer_certificate")
    said = {"scheme": scope["scheme"], "subject": peer and peer.subject, "names": peer and peer.names}
    await JSONResponse(said)(scope, receive, send)


@asynccontextmanager
async def site(
    settings: TlsSettings, limits: HttpLimits | None = None, application: ASGIApp | None = None
) -> AsyncIterator[Site]:
    with listening("127.0.0.1", 0, "hes.") as listener:
        made = Site(listener.getsockname()[1])
        tls = server_context(settings, "hes.tls", made.emit)
        async with serving(application or whose, listener, limits or HttpLimits(), tls):
            yield made


@pytest.fixture
async def mutual(files: Files) -> AsyncIterator[Site]:
    revoked = files.ours.directory / "ca.crl"
    async with site(files.settings("hes", mode="mutual", revoked=revoked)) as made:
        yield made


async def test_the_application_knows_the_certificate_of_its_client(mutual: Site, files: Files) -> None:
    answer = await mutual.get(files.settings("cis"))
    assert answer.json() == {"scheme": "https", "subject": "CN=cis", "names": ["DNS:cis", "IP Address:127.0.0.1"]}
    assert not mutual.failed.is_set()


def test_a_name_with_a_comma_stands_for_no_other_subject() -> None:
    def subject(*parts: tuple[x509.ObjectIdentifier, str]) -> str:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(*part) for part in parts])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
        return _subject_of(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER))

    common, organization = x509.NameOID.COMMON_NAME, x509.NameOID.ORGANIZATION_NAME
    assert subject((organization, "Utility"), (common, "cis")) == "CN=cis,O=Utility"
    assert subject((common, "cis,O=Utility")) == r"CN=cis\,O=Utility"
    assert _subject_of(b"no certificate") == ""


async def test_a_server_that_asks_for_no_certificate_knows_none(files: Files) -> None:
    async with site(files.settings("hes", mode="server")) as one:
        assert (await one.get(files.settings("cis"))).json() == {"scheme": "https", "subject": None, "names": None}


@pytest.mark.parametrize(
    ("name", "authority", "client_is_told", "server_reports"),
    [
        (None, "ours", "it wants a certificate of ours", "it shows no certificate"),
        ("cis", "theirs", "does not know the authority of our certificate", "the certificate is not taken"),
        ("old", "ours", "our certificate has expired", "certificate has expired"),
        ("lost", "ours", "our certificate is revoked", "certificate revoked"),
    ],
)
async def test_both_sides_are_told_why_a_client_is_not_let_in(
    mutual: Site, files: Files, name: str | None, authority: str, client_is_told: str, server_reports: str
) -> None:
    assert client_is_told in await mutual.refused(files.settings(name, of=getattr(files, authority)))
    assert server_reports in (await mutual.failures())[0]


@pytest.mark.parametrize(
    ("server", "authority", "reason"),
    [
        ("cis", "theirs", "unable to get local issuer certificate"),
        ("old", "ours", "certificate has expired"),
        ("elsewhere", "ours", "IP address mismatch"),
    ],
)
async def test_a_client_does_not_talk_to_a_server_that_it_cannot_trust(
    files: Files, server: str, authority: str, reason: str
) -> None:
    async with site(files.settings(server, of=getattr(files, authority), mode="server")) as one:
        assert reason in await one.refused(files.settings("cis"))


async def test_a_revoked_server_is_not_trusted_either(files: Files) -> None:
    async with site(files.settings("lost", mode="server")) as one:
        revoked = files.ours.directory / "ca.crl"
        assert "certificate revoked" in await one.refused(files.settings("cis", revoked=revoked))


async def test_nothing_older_than_tls_1_2_is_spoken(mutual: Site) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    async with httpx.AsyncClient(verify=old, trust_env=False, timeout=PATIENCE_S) as client:
        with pytest.raises(httpx.ConnectError, match="PROTOCOL_VERSION"):
            await client.get(mutual.url)
    assert await mutual.failures() == ["UNSUPPORTED_PROTOCOL: it speaks nothing newer than TLS 1.1"]


async def test_who_asks_a_tls_port_by_http_is_told_so(mutual: Site, files: Files) -> None:
    answer = await mutual.get(files.settings("cis"), f"http://127.0.0.1:{mutual.port}/")
    assert (answer.status_code, answer.text) == (400, "This port speaks TLS: write https:// instead of http://\n")
    assert await mutual.failures() == ["HTTP_REQUEST: it sent http:// to a port that speaks TLS"]


async def test_who_asks_an_http_port_by_tls_is_told_so(files: Files) -> None:
    async with site(TlsSettings()) as one:
        assert "no TLS is spoken there" in await one.refused(files.settings("cis"))


async def test_commands_say_what_is_missing(mutual: Site, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(url: str) -> str:
        return rest_client.ask(url, "GET", "/").decode()

    with pytest.raises(rest_client.NotReached, match="AMI_TLS_AUTHORITIES names who signs it"):
        await asyncio.to_thread(asked, mutual.url)
    monkeypatch.setenv("AMI_TLS_AUTHORITIES", str(files.ours.directory / "ca.pem"))
    with pytest.raises(rest_client.NotReached, match="AMI_TLS_CERTIFICATE and AMI_TLS_KEY name ours"):
        await asyncio.to_thread(asked, mutual.url)
    with pytest.raises(rest_client.ProcessRefused, match="write https://"):
        await asyncio.to_thread(asked, mutual.url.replace("https", "http"))
    monkeypatch.setenv("AMI_TLS_CERTIFICATE", str(files.ours.directory / "cis.pem"))
    with pytest.raises(rest_client.NotReached, match="go together"):
        await asyncio.to_thread(asked, mutual.url)
    monkeypatch.setenv("AMI_TLS_KEY", str(files.ours.directory / "cis.key"))
    assert '"subject":"CN=cis"' in await asyncio.to_thread(asked, mutual.url)


@pytest.fixture
def changing(tmp_path: Path) -> Files:
    made = Files(Authority(tmp_path / "ours"), Authority(tmp_path / "theirs"))
    made.ours.init("authority", NOW)
    made.ours.issue("hes", ("127.0.0.1",), NOW)
    made.ours.issue("cis", ("127.0.0.1",), NOW)
    return made


async def test_a_renewed_certificate_is_shown_without_a_restart(changing: Files) -> None:
    async with site(changing.settings("hes", mode="mutual")) as one:
        await one.get(changing.settings("cis"))
        first = await shown_to(changing, one)
        changing.ours.renew("hes", NOW)
        assert await shown_to(changing, one) == f"{changing.ours.look_up('hes').serial:X}" != first
        assert len([event for event in one.events if isinstance(event, TlsFilesRead)]) == 2


async def shown_to(files: Files, one: Site) -> str:
    """The serial number of the certificate that the server shows."""
    trusted = client_context(files.settings("cis"), "cis.tls", lambda _: None)
    _, writer = await asyncio.open_connection("127.0.0.1", one.port, ssl=trusted)
    serial: str = writer.get_extra_info("peercert")["serialNumber"].lstrip("0")
    writer.close()
    return serial


async def test_files_that_do_not_fit_together_leave_the_last_ones_in_use(changing: Files) -> None:
    async with site(changing.settings("hes", mode="mutual")) as one:
        (changing.ours.directory / "hes.key").write_text((changing.ours.directory / "cis.key").read_text())
        assert (await one.get(changing.settings("cis"))).status_code == 200
        assert (await one.get(changing.settings("cis"))).status_code == 200
        unusable = [event.reason for event in one.events if isinstance(event, TlsFilesUnusable)]
        assert len(unusable) == 1
        assert "KEY_VALUES_MISMATCH" in unusable[0]


async def test_who_is_revoked_meanwhile_gets_one_more_answer_at_most(changing: Files) -> None:
    revoked = changing.ours.directory / "ca.crl"
    async with site(changing.settings("hes", mode="mutual", revoked=revoked)) as one:
        trusted = client_context(changing.settings("cis"), "cis.tls", lambda _: None)
        async with httpx.AsyncClient(verify=trusted, trust_env=False, timeout=PATIENCE_S) as client:
            assert "connection" not in (await client.get(one.url)).headers
            changing.ours.revoke("cis", NOW)
            assert (await client.get(one.url)).headers["connection"] == "close"
            with pytest.raises(ssl.SSLError, match="CERTIFICATE_REVOKED"):
                await client.get(one.url)


async def test_who_is_revoked_meanwhile_follows_no_stream_any_more(changing: Files) -> None:
    """Its answer has no end of its own after which the connection could end."""
    going_on = asyncio.Event()

    async def parts() -> AsyncIterator[str]:
        yield ": first\n\n"
        await going_on.wait()
        for number in range(1_000):
            yield f"data: {number}\n\n"

    async def follow(_: Request) -> Response:
        return StreamingResponse(parts(), media_type="text/event-stream")

    api = create_api([Route("/stream", follow)], EVERYBODY, names_setting="hes.host_names")
    revoked = changing.ours.directory / "ca.crl"
    async with site(changing.settings("hes", mode="mutual", revoked=revoked), application=api) as one:
        trusted = client_context(changing.settings("cis"), "cis.tls", lambda _: None)
        async with (
            httpx.AsyncClient(verify=trusted, trust_env=False, timeout=PATIENCE_S) as client,
            client.stream("GET", f"{one.url}stream") as answer,
        ):
            lines = answer.aiter_lines()
            assert await anext(lines) == ": first"
            changing.ours.revoke("cis", NOW)
            going_on.set()
            assert not [line async for line in lines if line.startswith("data")]


async def test_who_never_finishes_a_handshake_is_counted_and_has_an_end(files: Files) -> None:
    limits = HttpLimits(connections_per_address=1, head_s=0.2)
    async with asyncio.timeout(PATIENCE_S), site(files.settings("hes", mode="server"), limits) as one:
        silent, writer = await asyncio.open_connection("127.0.0.1", one.port)
        assert (await one.get(files.settings("cis"))).status_code == 200
        assert await read_all(silent) == b""
        writer.close()


async def read_all(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def test_what_is_no_tls_at_all_is_ended(mutual: Site) -> None:
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", mutual.port)
        writer.write(bytes(range(60)))
        writer.write_eof()
        await read_all(reader)
        writer.close()
    assert "WRONG_VERSION_NUMBER" in (await mutual.failures())[0]


async def test_a_certificate_that_ends_soon_is_told_of(files: Files) -> None:
    async with site(files.settings("ending", mode="server")) as one:
        await one.get(files.settings("cis"))
        assert len([event for event in one.events if isinstance(event, CertificateExpires)]) == 1


async def test_keys_are_logged_for_wireshark_only_where_it_is_asked_for(files: Files, tmp_path: Path) -> None:
    log = tmp_path / "keys.log"
    async with site(files.settings("hes", mode="server", key_log=log)) as one:
        await one.get(files.settings("cis"))
        assert any(isinstance(event, TlsKeysLogged) for event in one.events)
    assert "CLIENT_TRAFFIC_SECRET_0" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_a_key_that_others_can_read_is_refused(changing: Files) -> None:
    (changing.ours.directory / "hes.key").chmod(0o640)
    with pytest.raises(SettingsError, match=r"hes\.tls\.key: .* can be read or changed by others: chmod 600"):
        server_context(changing.settings("hes", mode="server"), "hes.tls", lambda _: None)


def test_files_that_are_missing_are_named(changing: Files) -> None:
    (changing.ours.directory / "hes.pem").unlink()
    with pytest.raises(SettingsError, match=r"certificate or key: .*hes\.pem.* No such file"):
        server_context(changing.settings("hes", mode="server"), "hes.tls", lambda _: None)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"mode": "server"}, "needs certificate and key"),
        ({"certificate": "a.pem"}, "go together"),
        ({"mode": "mutual", "certificate": "a.pem", "key": "a.key"}, "needs authorities"),
        ({"revoked": "ca.crl"}, "needs authorities"),
    ],
)
def test_sections_that_say_half_of_it_are_refused(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        TlsSettings.model_validate(given)


def test_no_octet_of_a_handshake_is_lost_on_the_loop_that_processes_run_on(files: Files) -> None:
    """uvloop reads of a new connection before it is asked to, so a ClientHello may be there before its handshake has begun."""
    trusted = client_context(files.settings("cis"), "cis.tls", lambda _: None)

    def ask(url: str) -> list[int]:
        statuses = []
        for _ in range(10):
            with httpx.Client(verify=trusted, trust_env=False, timeout=PATIENCE_S) as client:
                statuses.append(client.get(url).status_code)
        return statuses

    async def all_at_once() -> list[list[int]]:
        async with site(files.settings("hes", mode="mutual")) as one:
            return await asyncio.gather(*(asyncio.to_thread(ask, one.url) for _ in range(4)))

    assert event_loop.run(all_at_once()) == [[200] * 10] * 4

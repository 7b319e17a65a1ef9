"""`ami pki`: an authority whose certificates are taken by OpenSSL, which overwrites nothing and says what ends when."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ami_process.authority import Authority, PkiError
from ami_process.pki_command import app

NOW = datetime.now(UTC)


def run(directory: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, [*arguments, "--directory", str(directory)])
    return done.exit_code, done.output


@pytest.fixture
def pki(tmp_path: Path) -> Authority:
    made = Authority(tmp_path / "pki")
    made.init("test", NOW)
    made.issue("hes", ("hes.example", "::1"), NOW)
    return made


def test_the_commands_make_what_a_process_needs(tmp_path: Path) -> None:
    pki, into = tmp_path / "pki", tmp_path / "hes"
    assert run(pki, "init") == (0, f"{pki / 'ca.pem'} signs from now on; keep {pki / 'ca.key'} to yourself\n")
    code, said = run(pki, "issue", "hes", "--host", "localhost", "--host", "127.0.0.1")
    assert (code, said[: said.index(", until")]) == (0, f"{pki / 'hes'}.pem for hes, localhost, 127.0.0.1")
    assert run(pki, "export", "hes", str(into))[0] == 0
    assert sorted(one.name for one in into.iterdir()) == [
        "authorities.pem",
        "certificate.pem",
        "key.pem",
        "revoked.pem",
    ]
    strict = ssl.create_default_context(cafile=str(into / "authorities.pem"))
    strict.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_CRL_CHECK_LEAF
    strict.load_verify_locations(into / "revoked.pem")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(into / "certificate.pem", into / "key.pem")
    assert shaken_hands(strict, server, "localhost")["subject"] == ((("commonName", "hes"),),)


def shaken_hands(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> dict[str, object]:
    """The certificate that the client has taken, without a socket."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(down, up, server_hostname=host), server.wrap_bio(up, down, server_side=True)]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ends[0].getpeercert() or {}


def test_nothing_is_overwritten_but_by_renewing(pki: Authority) -> None:
    before = {file.name: file.read_bytes() for file in pki.directory.iterdir()}
    for arguments in (("init",), ("issue", "hes")):
        code, said = run(pki.directory, *arguments)
        assert code == 2
        assert "is there already, and stays" in said
    assert {file.name: file.read_bytes() for file in pki.directory.iterdir()} == before


def test_keys_are_for_their_owner_alone(pki: Authority) -> None:
    pki.renew("hes", NOW)
    assert {file.name: file.stat().st_mode & 0o777 for file in pki.directory.iterdir()} == {
        "ca.pem": 0o644,
        "ca.key": 0o600,
        "ca.crl": 0o644,
        "hes.pem": 0o644,
        "hes.key": 0o600,
    }


def test_renewing_keeps_names_and_lifetime_and_changes_the_key(pki: Authority) -> None:
    before, key = pki.look_up("hes"), (pki.directory / "hes.key").read_text()
    later = NOW + timedelta(days=100)
    after = pki.renew("hes", later)
    assert (after.hosts, after.not_after - before.not_after) == (before.hosts, timedelta(days=100))
    assert after.serial != before.serial
    assert (pki.directory / "hes.key").read_text() != key


def test_a_renewed_authority_keeps_its_key_so_what_it_signed_stays_good(pki: Authority) -> None:
    key = (pki.directory / "ca.key").read_text()
    assert pki.renew("ca", NOW + timedelta(days=1)).not_after > NOW + timedelta(days=3_650)
    assert (pki.directory / "ca.key").read_text() == key


def test_what_is_revoked_stays_on_the_list(pki: Authority) -> None:
    pki.issue("cis", (), NOW)
    pki.revoke("hes", NOW)
    pki.revoke("cis", NOW)
    pki.refresh_list(NOW + timedelta(days=1))
    assert [(one.name, one.revoked) for one in pki.issued()] == [("ca", False), ("cis", True), ("hes", True)]
    assert pki.renew("hes", NOW).revoked is False


def test_show_warns_of_what_ends(pki: Authority) -> None:
    assert run(pki.directory, "show")[0] == 0
    pki.issue("brief", (), NOW, days=29)
    pki.issue("gone", (), NOW - timedelta(days=9), days=8)
    code, said = run(pki.directory, "show")
    assert code == 1
    assert "ends in 2" in said
    assert "has ended" in said


@pytest.mark.parametrize("name", ["ca", "../hes", "", "a/b", "-x", "a" * 64])
def test_names_that_are_no_file_names_are_refused(pki: Authority, name: str) -> None:
    with pytest.raises(PkiError, match="is no name of a certificate"):
        pki.issue(name, (), NOW)


@pytest.mark.parametrize("host", ["http://hes", "a b", "", "ä.example"])
def test_hosts_that_are_none_are_refused_before_a_key_is_made(pki: Authority, host: str) -> None:
    with pytest.raises(PkiError, match="neither a host name nor an IP address"):
        pki.issue("new", (host,), NOW)
    assert not (pki.directory / "new.key").exists()


def test_without_an_authority_the_commands_say_what_to_do(tmp_path: Path) -> None:
    code, said = run(tmp_path, "issue", "hes")
    assert (code, "make one with `init`" in said) == (2, True)
    assert list(tmp_path.iterdir()) == []

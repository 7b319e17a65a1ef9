"""The whole way of a control over mutual TLS: a CIS, a HES and meters in processes, and what both sides say once a certificate is revoked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from harness import System, system

from ami_cis.__main__ import main
from ami_cli.demo_tls import secured
from ami_process.authority import Authority

pytestmark = pytest.mark.ci
KNOWN = {
    "hes": {"cis": ["controller", "operator"]},
    "cis": {"hes": ["operator"], "operator": ["controller"]},
}
"""Whose certificates are known to each process, and for what; nobody else may do anything."""


def written(file: Path, known: dict[str, list[str]]) -> str:
    """A file of principals."""
    tables = [{"name": name, "certificate": f"DNS:{name}", "roles": roles} for name, roles in known.items()]
    file.write_text(tomli_w.dumps({"principals": tables}))
    file.chmod(0o644)
    return str(file)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with system(tmp_path_factory.mktemp("tls")) as one:
        one.config = secured(one.config, datetime.now(UTC))
        assert one.config["cis"]["hes_url"].startswith("https://")
        Authority(one.directory / "pki").issue("operator", (), datetime.now(UTC))
        for process, known in KNOWN.items():
            one.config[process]["principals"] = written(one.directory / f"{process}.principals.toml", known)
        one.start_together()
        one.start_cis("--no-loop").wait_for("ready")
        yield one


def directory(whole: System) -> Path:
    return whole.directory / "pki"


@pytest.fixture
def ask(whole: System, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Orders a control by the command line; its exit code and its answer."""
    url = f"https://127.0.0.1:{whole.config['cis']['port']}"
    files = {"AUTHORITIES": "ca.pem", "CERTIFICATE": "operator.pem", "KEY": "operator.key"}
    for name, file in files.items():
        monkeypatch.setenv(f"AMI_TLS_{name}", str(directory(whole) / file))

    def ask(code: str, *options: str) -> tuple[int, Any]:
        capsys.readouterr()
        done = main(["send", "--url", url, "--json", "--code", code, "--meter", "M1001", *options])
        written = capsys.readouterr()
        assert written.out, written.err
        return done, json.loads(written.out)

    return ask


@pytest.mark.parametrize("options", [(), ("--asynchronous",)])
def test_a_control_and_its_reply_go_over_tls(whole: System, ask: Any, options: tuple[str, ...]) -> None:
    for code, switched in (("3.31.0.23", False), ("3.31.0.18", True)):
        whole.forget()
        done, answer = ask(code, *options)
        assert (done, answer["result"], answer["errors"]) == (0, "OK", [])
        assert whole.hes is not None
        read_back = whole.hes.wait_for("meter_done", meter="M1001")["details"]["after"]
        assert read_back["output_state"] is switched
        meter = whole.processes[0].wait_for("switched", meter="M1001")
        assert meter["after"]["output_state"] is switched


def test_who_shows_a_certificate_that_is_for_something_else_is_refused(
    whole: System, ask: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The certificate of the HES is good for replies, and not for orders to the CIS."""
    for name, file in (("CERTIFICATE", "hes.pem"), ("KEY", "hes.key")):
        monkeypatch.setenv(f"AMI_TLS_{name}", str(directory(whole) / file))
    url = f"https://127.0.0.1:{whole.config['cis']['port']}"
    assert main(["send", "--url", url, "--json", "--code", "3.31.0.23", "--meter", "M1001"]) == 2
    assert "hes may not do this: it takes the role controller" in capsys.readouterr().err


def test_a_revoked_cis_is_refused_without_a_restart_and_let_in_with_a_new_certificate(whole: System, ask: Any) -> None:
    assert whole.hes is not None
    authority, now = Authority(directory(whole)), datetime.now(UTC)
    whole.forget()
    authority.revoke("cis", now)
    refusals = [ask("3.31.0.23")[1] for _ in range(2)]  # the first may go over a connection that is open
    assert refusals[-1]["result"] is None, refusals
    assert "does not let us in" in refusals[-1]["reason"]
    assert "our certificate is revoked" in refusals[-1]["reason"]
    assert "certificate revoked" in whole.hes.wait_for("handshake_failed")["reason"]
    authority.renew("cis", now)
    assert ask("3.31.0.18")[1]["result"] == "OK"

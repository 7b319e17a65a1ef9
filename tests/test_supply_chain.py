"""What we ship and on what: documents of our wheels and images, the audit of what is locked, base images of releases, and the walls of every container."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from patience import PATIENCE_S

from ami_process.principals import load

ROOT = Path(__file__).resolve().parents[1]
COMPOSED = ("docker-compose.yml", "docker-compose.secure.yml", "docker-compose.scale.yml", "tests/compose/utility.yml")
ADDED = {"town": ["NET_ADMIN", "SETUID", "SETGID"], "capture": ["NET_RAW", "NET_ADMIN", "DAC_OVERRIDE"]}
"""Capabilities of those that need some, each with its reason beside it in the file."""


def module(path: str) -> ModuleType:
    spec = spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None and spec.loader is not None
    made = module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made


@pytest.mark.ci
@pytest.mark.needs("supply")
def test_each_wheel_and_image_has_a_document_of_what_is_locked_into_it(tmp_path: Path) -> None:
    """That it is CycloneDX, the program checks by its schema before it writes."""
    for _ in range(2):
        line = [ROOT / ".venv/supply/bin/python", ROOT / "requirements/sbom.py", tmp_path / "sbom"]
        done = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert done.returncode == 0, done.stderr
        documents = {path.name: json.loads(path.read_text("utf-8")) for path in (tmp_path / "sbom").iterdir()}
        texts = {path.name: path.read_bytes() for path in (tmp_path / "sbom").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "sbom").iterdir()} == texts
    projects = [*ROOT.glob("*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]
    assert len(documents) == len(projects) + 3
    assert {(one["bomFormat"], one["specVersion"]) for one in documents.values()} == {("CycloneDX", "1.6")}
    locks = "".join((ROOT / f"requirements/{name}.txt").read_text() for name in ("hes", "postgresql", "scale"))
    locked = dict(re.findall(r"^([A-Za-z0-9._-]+)(?:\[\w+\])?==([^ ;\\]+)", locks, re.MULTILINE))
    assert {"psycopg", "nats-py", "lxml"} <= set(locked)
    image = {one["name"]: one for one in documents["image-ami-hes.cdx.json"]["components"]}
    assert {name: image[name]["version"] for name in locked} == locked
    assert all(image[name]["hashes"] for name in locked)
    assert image["python"]["type"] == "container" and "ami-dlms" in image and "ami-cis" not in image
    dlms = {one["name"] for one in documents["ami-dlms.cdx.json"]["components"]}
    assert "cryptography" in dlms and "lxml" not in dlms


def test_a_package_that_a_source_of_advisories_does_not_know_is_not_taken_for_audited() -> None:
    """As a mirror without advisories answers, at which pip-audit finds "no known vulnerabilities"."""
    audit = module("requirements/audit.py")
    skipped = {"name": "a", "skip_reason": "Dependency not found on PyPI and could not be audited: a (1)"}
    weak = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-2", "fix_versions": []}, {"id": "CVE-1"}]}
    fine = {"name": "c", "version": "3", "vulns": []}
    assert audit.read_report(json.dumps({"dependencies": [skipped]})) == audit.Found(0, 1, ())
    found = audit.read_report(json.dumps({"dependencies": [skipped, weak, fine]}))
    assert found == audit.Found(2, 1, (audit.Weakness("b", "2", "CVE-1"), audit.Weakness("b", "2", "PYSEC-2")))
    with pytest.raises(ValueError):
        audit.read_report("ERROR: no network")


TODAY = date(2026, 11, 30)


def test_an_accepted_advisory_has_a_reason_and_a_date_and_is_looked_at_again() -> None:
    audit = module("requirements/audit.py")
    row = '[[accepted]]\nadvisory = "CVE-1"\npackage = "b"\nreason = "{}"\nuntil = {}\n'
    weak = audit.Weakness("b", "2", "CVE-1")
    accepted = audit.read_accepted(row.format("never called", "2026-12-31"), TODAY)
    assert audit.judged({weak}, accepted, TODAY) == ([], [f"accepted {weak} until 2026-12-31: never called"])
    later = date(2027, 1, 1)
    open_, (line,) = audit.judged({weak}, accepted, later)
    assert open_ == [weak] and "which is over" in line
    assert audit.judged({audit.Weakness("b", "2", "CVE-2")}, accepted, TODAY)[0] != []
    assert "not known any more" in audit.judged(set(), accepted, TODAY)[1][0]
    for reason, until in (("", "2026-12-31"), ("x", '"soon"'), ("x", "2027-12-31")):
        with pytest.raises(ValueError, match="CVE-1"):
            audit.read_accepted(row.format(reason, until), TODAY)
    with pytest.raises(ValueError, match="are expected"):
        audit.read_accepted('[[accepted]]\nadvisory = "CVE-1"\n', TODAY)
    assert audit.read_accepted(audit.ACCEPTED.read_text("utf-8"), datetime.now(UTC).date()) is not None


@contextmanager
def advisories(weak: str) -> Iterator[str]:
    """A source with the interface of OSV, which knows an advisory for every version of this package."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
            ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]
            affected = [{"package": {"name": weak, "ecosystem": "PyPI"}, "ranges": ranges}]
            known = {"vulns": [{"id": "TEST-1", "summary": "of this test", "affected": affected}]}
            octets = json.dumps(known if asked == weak else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(octets)))
            self.end_headers()
            self.wfile.write(octets)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/query"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.ci
@pytest.mark.needs("supply")
def test_a_new_advisory_is_reported_and_fails_a_release_alone(tmp_path: Path) -> None:
    """Of a source of ours, asked by the program itself; and of one that is away."""
    line = [ROOT / ".venv/supply/bin/python", ROOT / "requirements/audit.py", "--lock", "run"]

    def run(url: str, *more: str) -> subprocess.CompletedProcess[str]:
        given = os.environ | {"AMI_OSV_URL": url, "XDG_CACHE_HOME": str(tmp_path)}
        return subprocess.run(
            [*line, *more], env=given, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )

    with advisories("lxml") as url:
        done = run(url)
        assert done.returncode == 0 and re.search("KNOWN    lxml .*: TEST-1", done.stdout), done.stdout + done.stderr
        assert "1 known and not accepted" in done.stdout and "NOT AUDITED" not in done.stdout
        assert run(url, "--release").returncode == 1
    with advisories("none of ours") as url:
        whole = run(url, "--release")
        assert whole.returncode == 0 and "nothing is known" in whole.stdout, whole.stdout
    assert "NOT AUDITED" in run(url).stdout
    assert (run(url).returncode, run(url, "--release").returncode) == (0, 1)


def test_a_release_is_built_from_a_digest_and_from_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock_images = module("docker/lock_images.py")
    listed = lock_images.locked()
    bases = {
        match
        for path in ROOT.glob("docker/*.Dockerfile")
        for match in re.findall(r"^ARG BASE_IMAGE=(\S+)$", path.read_text(), re.MULTILINE)
    }
    assert bases == set(listed), "every base image is in the lock"
    monkeypatch.setattr(lock_images, "LOCK", tmp_path / "images.lock")
    lock_images.LOCK.write_text("# a comment\npython:3.13-slim\n")
    with pytest.raises(SystemExit, match="no digest of python"):
        lock_images.base()
    digest = "sha256:" + "0" * 64
    lock_images.LOCK.write_text(f"python:3.13-slim {digest}\n")
    assert lock_images.base() == f"python:3.13-slim@{digest}"


def services() -> list[Any]:
    found = []
    for name in COMPOSED:
        for service, written in yaml.safe_load((ROOT / name).read_text("utf-8"))["services"].items():
            if "image" in written:
                found.append(pytest.param(service, written, id=f"{Path(name).name} {service}"))
    return found


@pytest.mark.parametrize(("service", "written"), services())
def test_every_container_is_walled_in(service: str, written: dict[str, Any]) -> None:
    """Of the files; what the engine makes of them is looked at in tests/compose."""
    assert written["cap_drop"] == ["ALL"]
    assert written.get("cap_add", []) == ADDED.get(service, [])
    assert written["security_opt"] == ["no-new-privileges:true"]
    assert written["read_only"] is True
    assert "privileged" not in written and "pid" not in written and "ipc" not in written
    assert written.get("network_mode", "none") in ("none", "service:hes")
    assert written.get("user", "") == {"town": "root", "postgresql": "postgres"}.get(service, "")


def test_no_key_is_in_an_environment_and_each_configuration_with_keys_is_a_secret_of_one_container() -> None:
    composed = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    for name, service in composed["services"].items():
        mounted = [str(one) for one in service.get("volumes", ())]
        secrets = {one["source"] for one in service.get("secrets", ())}
        assert secrets == ({name} if name in composed["secrets"] else set())
        assert not [one for one in mounted if "config/docker" in one and name != "cis"]
        assert not [one for one in service.get("environment", ()) if re.search("KEY|SECRET|PASSWORD|TOKEN$", one)]
    assert "_key" not in (ROOT / "config/docker/cis.toml").read_text()


def test_a_meter_and_the_cis_share_no_network() -> None:
    composed = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    of = {name: set(service.get("networks", ())) for name, service in composed["services"].items()}
    assert of["cis"] == {"north"} and of["hes"] == {"north", "south"}
    assert "internal" not in composed["networks"]["consoles"], "or nothing on it could be published"
    for meter in ("meter-1", "meter-2", "meters"):
        assert of[meter] == {"south", "consoles"} and composed["networks"]["south"]["internal"] is True


@pytest.mark.parametrize("name", ["cis-principals.toml", "hes-principals.toml"])
def test_whom_the_secure_containers_know_can_be_read(name: str, tmp_path: Path) -> None:
    """A copy of it, since somebody else might be allowed to write into a checkout."""
    copy = tmp_path / name
    copy.write_bytes((ROOT / "config/docker" / name).read_bytes())
    copy.chmod(0o600)
    load(copy, "principals")

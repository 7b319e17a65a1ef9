"""What we ship and on what: documents of our wheels and images, the audit of what is locked, base images of releases, and the walls of every container."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from patience import PATIENCE_S

from ami_process.principals import load

ROOT = Path(__file__).resolve().parents[1]
COMPOSED = ("docker-compose.yml", "docker-compose.secure.yml", "tests/compose/utility.yml")
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
    locked = dict(
        re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", (ROOT / "requirements/hes.txt").read_text(), re.MULTILINE)
    )
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
    assert found == audit.Found(2, 1, ("b 2: CVE-1, PYSEC-2",))
    with pytest.raises(ValueError):
        audit.read_report("ERROR: no network")


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
    assert written.get("user", "") in ("", *(["root"] if service == "town" else []))


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

"""The manifests for Kubernetes: valid by its own schemas, and true to what our processes are called, listen at and understand.

No cluster is started here. What `kustomize build` makes of them is not looked at either: each file is, and that what the kustomizations name is there.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from ami_cis.__main__ import app as cis_commands
from ami_cis.settings import Settings as CisSettings
from ami_hes.__main__ import app as hes_commands
from ami_hes.api.metric_families import ALL
from ami_hes.settings import Settings as HesSettings

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy/kubernetes"
OLDEST = "1.31"
"""The version whose schemas they are held to: what it takes, later ones do."""
OURS = {"hes": (HesSettings, get_command(hes_commands)), "cis": (CisSettings, get_command(cis_commands))}
ADAPTER = FOLDER / "overlays/autoscaling/rules.yaml"
MANIFESTS = [one for one in sorted(FOLDER.rglob("*.yaml")) if one.name != "kustomization.yaml" and one != ADAPTER]
KUSTOMIZATIONS = sorted(FOLDER.rglob("kustomization.yaml"))


def documents(*files: Path) -> Iterator[dict[str, Any]]:
    for file in files or MANIFESTS:
        yield from yaml.safe_load_all(file.read_text("utf-8"))


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in documents() if one["kind"] == kind}


DEPLOYMENTS = of_kind("Deployment")


def pod(name: str) -> dict[str, Any]:
    found: dict[str, Any] = DEPLOYMENTS[name]["spec"]["template"]["spec"]
    return found


@pytest.mark.ci
@pytest.mark.needs("kubernetes-validate")
def test_each_manifest_is_valid_and_one_with_a_misspelt_key_is_not() -> None:
    from kubernetes_validate import ValidationError, validate

    for one in documents():
        validate(one, OLDEST, strict=True)
    wrong = DEPLOYMENTS["worker"]
    wrong["spec"]["template"]["spec"]["terminationGracePeriod"] = 30
    with pytest.raises(ValidationError):
        validate(wrong, OLDEST, strict=True)
    del wrong["spec"]["template"]["spec"]["terminationGracePeriod"]


@pytest.mark.parametrize("file", KUSTOMIZATIONS, ids=lambda file: file.parent.name)
def test_what_a_kustomization_names_is_there(file: Path) -> None:
    (one,) = documents(file)
    generated = [name for made in one.get("configMapGenerator", ()) for name in made["files"]]
    for name in (*one["resources"], *generated):
        assert (file.parent / name).exists(), name
    if file.parent.name == "base":
        assert {file.parent / name for name in one["resources"]} == {m for m in MANIFESTS if m.parent == file.parent}
    kinds = {(kind, name) for kind in ("Deployment", "NetworkPolicy") for name in of_kind(kind)}
    assert {(patch["target"]["kind"], patch["target"]["name"]) for patch in one.get("patches", ())} <= kinds
    images = {container["image"] for name in DEPLOYMENTS for container in pod(name)["containers"]}
    assert {image["name"] for image in one.get("images", ())} in (set(), images)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_container_is_one_of_our_images_with_a_role_and_settings_that_there_are(name: str) -> None:
    (container,) = pod(name)["containers"]
    built = yaml.safe_load((ROOT / "docker-compose.scale.yml").read_text("utf-8"))["services"].values()
    assert container["image"] in {service["image"] for service in built if "build" in service}
    _, module, role, _, file, *options = container["args"]
    part = module.removeprefix("ami_")
    settings, commands = OURS[part]
    assert role in commands.commands  # type: ignore[attr-defined]
    known = {option for one in commands.commands[role].params for option in one.opts}  # type: ignore[attr-defined]
    assert {"--config", *options} <= known
    assert file == f"/etc/ami/{part}.toml" and (FOLDER / f"base/{part}.toml").exists()
    section = settings.model_fields[part].annotation
    for variable in container.get("env", ()):
        prefix, _, key = variable["name"].partition("__")
        assert prefix == f"AMI_{part.upper()}" and key.lower() in section.model_fields, variable  # type: ignore[union-attr]


@pytest.mark.parametrize("part", OURS)
def test_a_configuration_is_understood_and_holds_no_secret(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = FOLDER / f"base/{part}.toml"
    settings = OURS[part][0].load(file)
    assert settings.meters == ()
    secrets = [line for line in file.read_text("utf-8").splitlines() if re.match(r"\w*(password|key)\w* ", line)]
    assert secrets and all(re.search(r'= "file:/keys/[\w-]+"', line) for line in secrets)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_ports_are_those_that_the_process_listens_at_and_others_ask(name: str) -> None:
    (container,) = pod(name)["containers"]
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    part = container["args"][1].removeprefix("ami_")
    settings = getattr(OURS[part][0].load(FOLDER / f"base/{part}.toml"), part)
    environment = {one["name"]: one["value"] for one in container.get("env", ())}
    expected = {"http": settings.port, "status": int(environment.get(f"AMI_{part.upper()}__STATUS_PORT", 0))}
    expected |= {"dlms": 4059, "dlms-udp": 4059}
    assert ports == {key: expected[key] for key in ports}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] in ports
    for service in of_kind("Service").values():
        if service["spec"]["selector"] == {"app.kubernetes.io/name": name}:
            assert {one["targetPort"] for one in service["spec"]["ports"]} <= set(ports)
    allowed = {
        port["port"]
        for policy in of_kind("NetworkPolicy").values()
        if name in str(policy["spec"]["podSelector"])
        for rule in policy["spec"].get("ingress", ())
        for port in rule["ports"]
    }
    assert allowed == set(ports.values()), "what listens is let in, and nothing else"


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_pod_is_nobody_special_and_is_replaced_one_at_a_time(name: str) -> None:
    spec = pod(name)
    assert spec["securityContext"]["runAsNonRoot"] is True and spec["automountServiceAccountToken"] is False
    for container in (*spec["initContainers"], *spec["containers"]):
        walls = container["securityContext"]
        assert walls["readOnlyRootFilesystem"] is True and walls["allowPrivilegeEscalation"] is False
        assert walls["capabilities"] == {"drop": ["ALL"]} and "memory" in container["resources"]["limits"]
    (container,) = spec["containers"]
    assert not {one["name"] for one in container["volumeMounts"]} & {"secrets"}, "it has its own copies"
    if name != "cis":
        assert name in of_kind("PodDisruptionBudget")
        assert DEPLOYMENTS[name]["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        assert spec["terminationGracePeriodSeconds"] > 5 + 10, "the pause, and what a process takes to end"


def test_workers_are_as_many_as_the_lanes_have_work_for() -> None:
    (scaler,) = of_kind("HorizontalPodAutoscaler").values()
    target = scaler["spec"]["scaleTargetRef"]
    assert target["name"] in DEPLOYMENTS
    hes = HesSettings.load(FOLDER / "base/hes.toml").hes
    places = {"control": hes.max_sessions} | {
        lane: round(hes.max_sessions * getattr(hes.lanes, lane).share) for lane in ("read", "campaign")
    }
    asked = [one["external"] for one in scaler["spec"]["metrics"]]
    assert {one["metric"]["name"] for one in asked} == {"hes_lane_depth"} <= {family.name for family in ALL}
    lanes = {one["metric"]["selector"]["matchLabels"]["lane"]: int(one["target"]["averageValue"]) for one in asked}
    assert lanes == places
    (rule,) = yaml.safe_load(ADAPTER.read_text("utf-8"))["externalRules"]
    assert rule["name"]["as"] == rule["seriesQuery"] == "hes_lane_depth"


def test_a_pod_of_everything_that_is_allowed_to_speak_is_one_of_ours_or_what_they_stand_on() -> None:
    named = set()
    for policy in of_kind("NetworkPolicy").values():
        text = str(policy["spec"])
        named |= set(re.findall(r"'app.kubernetes.io/name': '([\w-]+)'", text))
        named |= {
            value for found in re.findall(r"'values': \[([^\]]*)\]", text) for value in re.findall(r"[\w-]+", found)
        }
    assert named == {*DEPLOYMENTS, "postgresql", "nats"}
    assert of_kind("NetworkPolicy")["nobody"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_the_configurations_are_toml_of_the_same_system() -> None:
    hes, cis = (tomllib.loads((FOLDER / f"base/{part}.toml").read_text("utf-8")) for part in ("hes", "cis"))
    assert hes["cis"]["reply_address"] == cis["cis"]["reply_address"]
    services = of_kind("Service")
    host, _, port = cis["cis"]["hes_url"].removeprefix("http://").partition(":")
    assert int(port) in {one["port"] for one in services[host]["spec"]["ports"]}

"""What docker-compose.scale.yml and the files beside it say of each other, and of our processes; that it runs, tests/compose tries."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from ami_hes.settings import HesSettings, Settings

ROOT = Path(__file__).resolve().parents[2]
SCALE = ROOT / "docker/scale"
COMPOSED = yaml.safe_load((ROOT / "docker-compose.scale.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSED["services"]
ROLES = ("front", "worker", "listener")


def ports(role: str) -> set[int]:
    """At which a process of this role listens."""
    hes = Settings.load(ROOT / "config/scale/hes.toml").hes
    return {hes.port} if role == "front" else {int(SERVICES[role]["environment"]["AMI_HES__STATUS_PORT"])}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_settings_that_there_are_and_is_measured_where_it_listens(role: str) -> None:
    for variable in SERVICES[role]["environment"]:
        prefix, _, key = variable.partition("__")
        assert variable == "HES_URL" or (prefix == "AMI_HES" and key.lower() in HesSettings.model_fields), variable
    (job,) = [
        one
        for one in yaml.safe_load((SCALE / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
        if one["job_name"] == role
    ]
    (found,) = job["dns_sd_configs"]
    assert found["names"] == [role] and {found["port"]} == ports(role)
    assert set(SERVICES["prometheus"]["networks"]) & set(SERVICES[role]["networks"]), "they share a network"


def test_the_balancer_leads_to_those_who_listen() -> None:
    text = (SCALE / "haproxy.cfg").read_text("utf-8")
    led = set(re.findall(r"server-template \w+ \d+ (\w+):(\d+)", text))
    dlms = Settings.load(ROOT / "config/scale/hes.toml").hes.dlms_port
    assert led == {("front", str(*ports("front"))), ("listener", str(dlms))}
    bound = set(re.findall(r"bind :(\d+)", text))
    published = {one.rpartition(":")[2] for one in SERVICES["haproxy"]["ports"]}
    assert published < bound and published == {"8081", "4059"}
    for name, network in (("front", "north"), ("listener", "south")):
        assert network in SERVICES[name]["networks"] and network in SERVICES["haproxy"]["networks"]


def test_walls_are_where_they_belong() -> None:
    networks = {name: set(one.get("networks", ())) for name, one in SERVICES.items()}
    assert networks["cis"] == {"north", "records"} and networks["front"] == {"north", "inner"}
    assert networks["called"] == networks["dialling"] == {"south"}
    assert networks["nats"] == {"inner"} and networks["postgresql"] == {"inner", "records"}
    internal = {name for name, one in COMPOSED["networks"].items() if one and one["internal"]}
    assert internal == {"south", "inner", "records"}


def test_no_secret_is_in_an_environment_and_each_has_only_its_own() -> None:
    keys = {
        name: [str(one) for one in service.get("volumes", ()) if "keys-" in str(one)]
        for name, service in SERVICES.items()
    }
    for name, service in SERVICES.items():
        assert not [one for one in service.get("environment", ()) if re.search("KEY|SECRET|PASSWORD|TOKEN$", one)]
        own = {"keys"} if name == "keys" else {f"keys-{'hes' if name in ROLES else name}"}
        if name != "keys":
            assert {one.partition(":")[0] for one in keys[name]} <= own and all(
                one.endswith(":ro") for one in keys[name]
            )
    for role in ROLES:
        assert SERVICES[role]["secrets"] == [{"source": "hes", "target": "/etc/ami/hes.toml"}]
    assert "_key" not in (ROOT / "config/scale/cis.toml").read_text("utf-8")


def test_meters_are_called_and_dial_in_by_turns_and_each_has_a_container() -> None:
    files = {
        name: tomllib.loads((ROOT / f"config/scale/{name}.toml").read_text("utf-8"))
        for name in ("hes", "called", "dialling")
    }
    names = {file: [one["name"] for one in content["meters"]] for file, content in files.items()}
    assert names["hes"][::2] == names["called"] and names["hes"][1::2] == names["dialling"]
    assert {one["simulated"]["dial_to"] for one in files["dialling"]["meters"]} == {"dlms:4059"}
    assert "dlms" in SERVICES["haproxy"]["networks"]["south"]["aliases"]


def test_three_servers_of_nats_are_one_cluster() -> None:
    three = yaml.safe_load((ROOT / "docker-compose.scale-r3.yml").read_text("utf-8"))["services"]
    servers = [name for name in three if name.startswith("nats")]
    commands = {name: three[name]["command"] for name in servers}
    assert len(servers) == 3 and all(one[one.index("--server_name") + 1] == name for name, one in commands.items())
    routes = {one[one.index("--routes") + 1] for one in commands.values()}
    assert routes == {",".join(f"nats://{name}:6222" for name in servers)}
    for role in ROLES:
        said = three[role]["environment"]
        assert said["AMI_HES__ENGINE_REPLICAS"] == 3
        assert said["AMI_HES__ENGINE"] == f"nats://ami_hes@{','.join(f'{name}:4222' for name in servers)}/hes"

"""The same job in containers: rounds confirmed by every meter, and walls where walls belong."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from compose_project import CONSOLE_PORTS, METERS, PORTS, ROOT, Compose
from free_ports import free_port
from patience import PATIENCE_S
from pcap import Segment, segments

from ami_cli.demo_state import DemoState

pytestmark = [pytest.mark.compose, pytest.mark.needs("docker"), pytest.mark.timeout(600)]
ROUNDS = 2
NAMES = tuple(f"M{1001 + index}" for index in range(METERS))
METERS_OF = ("meter-1", "meter-2", "meters", "field")
SERVICES = {"cis": "cis", "hes": "hes"} | dict.fromkeys(METERS_OF, "meter-sim")
OWN = {
    "cis": {"ami-cis", "ami-cim", "ami-console", "ami-process"},
    "hes": {
        "ami-hes",
        "ami-mapping",
        "ami-cim",
        "ami-console",
        "ami-dlms",
        "ami-packs",
        "ami-registry",
        "ami-process",
        "ami-trace",
    },
    "meter-sim": {"ami-meter-sim", "ami-console", "ami-dlms", "ami-registry", "ami-packs", "ami-process"},
}
EXTRAS = {"cis": ["postgresql"], "hes": ["postgresql", "scale"], "meter-sim": []}
"""What docker-compose.yml builds in besides: the same images serve many processes."""


@pytest.fixture(scope="session")
def seen(each: Compose) -> DemoState:
    """All that CIS, HES and meters said until so many rounds were confirmed."""
    model = DemoState(meters=NAMES, started_at=datetime.now(UTC))
    following = each.events("cis", "hes", "meter-1", "meter-2", "meters")
    watchdog = threading.Timer(PATIENCE_S, each.run, ("stop", "cis", "hes", "meter-1", "meter-2", "meters"))
    watchdog.start()
    for service, event in following:
        model.apply("meter" if service.startswith("meter") else service, event, datetime.now(UTC))
        total = model.summary()
        if (
            total.cycles >= ROUNDS and not total.unfulfilled
        ):  # the log of one comes before that of another, and may be long
            break
    watchdog.cancel()
    following.close()  # type: ignore[attr-defined]
    return model


def test_every_round_is_confirmed_by_every_meter(seen: DemoState) -> None:
    total = seen.summary()
    assert total.cycles >= ROUNDS, total
    assert total.unfulfilled == 0, [(r.code, r.result, r.reasons) for r in seen.newest_first]
    assert set(seen.states) == set(NAMES), "two meters have containers of their own, all others share one"
    switched = {one.who for one in seen.happenings if one.text in ("connected", "disconnected")}
    assert switched == set(NAMES), "the meters themselves say so too"


@pytest.mark.parametrize("service", [one for one in SERVICES if one != "field"])
def test_everything_is_healthy(each: Compose, service: str) -> None:
    assert each.inspect(service)["State"]["Health"]["Status"] == "healthy"


ALL_MODULES = """
import importlib, pkgutil
for package in [one.name for one in pkgutil.iter_modules() if one.name.startswith("ami_")]:
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""
"""Also those that only its commands import, and of a library what only some of its users need."""


@pytest.mark.parametrize("service", ["cis", "hes", "meters"])
def test_an_image_has_all_that_its_modules_import(compose: Compose, service: str) -> None:
    done = compose.python(service, ALL_MODULES)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("meter", ["meter-1", "meter-2", "meters"])
def test_the_hes_reaches_the_meters_and_the_cis_does_not(each: Compose, meter: str) -> None:
    by_address = each.address(meter, "south")
    for place in (meter, by_address):
        code = f"import socket; socket.create_connection(({place!r}, 4059), 3).close(); print('connected')"
        assert each.python("hes", code).stdout == "connected\n"
        refused = each.python("cis", code)
        assert refused.returncode != 0
        assert re.search(r"gaierror|TimeoutError|timed out|unreachable|refused", refused.stderr), refused.stderr


def test_a_meter_reaches_neither_the_cis_nor_the_world(each: Compose) -> None:
    for place, port in ((each.address("cis", "north"), 8080), ("cis", 8080), ("192.0.2.1", 80)):
        code = f"import socket; socket.create_connection(({place!r}, {port}), 2)"
        assert each.python("meter-1", code).returncode != 0


@pytest.mark.parametrize("meter", ["meter-1", "meter-2", "meters"])
def test_the_console_of_a_meter_is_for_this_machine_alone(each: Compose, meter: str) -> None:
    """Neither the HES nor the CIS is on the network that it is served on, and nothing of that network is answered from beyond."""
    published = each.inspect(meter)["NetworkSettings"]["Ports"]
    port = f"{PORTS[meter]}/tcp"
    assert [one["HostIp"] for one in published[port]] == ["127.0.0.1"]
    assert list(published) == [port], "its DLMS port is for the HES"
    for asking in ("hes", "cis"):
        for place in (f"{meter}-console", each.address(meter, "consoles"), each.address(meter, "south")):
            code = f"import socket; socket.create_connection(({place!r}, {PORTS[meter]}), 2)"
            assert each.python(asking, code).returncode != 0, (asking, place)
    dlms = f"import socket; socket.create_connection(({each.address(meter, 'consoles')!r}, 4059), 2)"
    assert each.python(meter, dlms).returncode != 0, "it speaks DLMS on the network of the HES alone"
    asked = ["docker", "network", "inspect", f"{each.project}_consoles"]
    (network,) = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
    assert network["Options"]["com.docker.network.bridge.enable_ip_masquerade"] == "false"
    members = {one["Name"].removeprefix(f"{each.project}-") for one in network["Containers"].values()}
    assert members == {"meter-1-1", "meter-2-1", "meters-1"}


def test_the_console_of_a_meter_has_that_meter_alone(each: Compose) -> None:
    for service, names in (("meter-1", NAMES[:1]), ("meter-2", NAMES[1:2]), ("meters", NAMES[2:])):
        command = ("exec", "-T", service, "meter-sim", "meters", "list", "--token-file", TOKENS)
        listed = each.run(*command).stdout
        assert set(re.findall(r"\bM1\d{3}\b", listed)) == set(names), listed


@pytest.mark.parametrize("service", SERVICES)
def test_nobody_is_root_and_nobody_writes_outside_of_the_volume(compose: Compose, service: str) -> None:
    code = """if True:
        import os, pathlib, re
        status = pathlib.Path("/proc/self/status").read_text()
        print(os.getuid(), re.search("CapBnd:.([0-9a-f]+)", status)[1], re.search("NoNewPrivs:.(.)", status)[1])
        for place in ("/app/x", "/etc/ami/x", "/usr/x"):
            try:
                open(place, "w")
            except OSError:
                continue
            print("could write", place)
        """
    uid, capabilities, *more = compose.python(service, code).stdout.split()
    assert uid != "0"
    assert int(capabilities, 16) == 0
    assert more == ["1"], "no new privileges, nothing written"
    assert compose.inspect(service)["HostConfig"]["Privileged"] is False


def test_the_capture_has_three_capabilities_and_no_privilege(compose: Compose) -> None:
    host = compose.inspect("capture")["HostConfig"]
    assert host["Privileged"] is False
    assert {name.removeprefix("CAP_") for name in host["CapAdd"]} == {"NET_RAW", "NET_ADMIN", "DAC_OVERRIDE"}
    assert host["CapDrop"] == ["ALL"] and host["ReadonlyRootfs"]


@pytest.mark.parametrize("service", OWN)
def test_an_image_holds_its_own_packages_and_nothing_else(compose: Compose, service: str) -> None:
    running = next(name for name, image in SERVICES.items() if image == service)
    code = "import importlib.metadata as m, json; print(json.dumps(sorted(d.name for d in m.distributions())))"
    held = {_normal(name) for name in json.loads(compose.python(running, code).stdout)}
    locks = [(ROOT / f"requirements/{name}.txt").read_text() for name in (service, *EXTRAS[service])]
    locked = re.findall(r"^([A-Za-z0-9._-]+)==", "\n".join(locks), re.MULTILINE)
    assert OWN[service] <= held
    assert held - OWN[service] <= {_normal(name) for name in locked}
    assert not held & {"pip", "hatchling", "pytest"}


@pytest.mark.parametrize(
    ("service", "absent"),
    [
        ("cis", ["ami_dlms", "ami_mapping", "ami_trace", "ami_hes", "ami_meter_sim"]),
        ("hes", ["ami_cis", "ami_meter_sim", "zeep"]),
        ("meter-1", ["ami_cim", "lxml", "ami_mapping", "ami_hes", "ami_cis", "zeep"]),
    ],
)
def test_what_an_image_must_not_be_able_to_import(compose: Compose, service: str, absent: list[str]) -> None:
    code = f"import importlib.util as u; print([n for n in {absent} if u.find_spec(n)])"
    assert compose.python(service, code).stdout == "[]\n"


def test_the_hes_can_be_asked_from_this_machine(compose: Compose) -> None:
    where = compose.run("port", "hes", "8081").stdout.strip()
    assert where.startswith("127.0.0.1:"), "not offered to other machines unless somebody wants it"
    with urllib.request.urlopen(f"http://{where}/cim/ExecuteEndDeviceControls?wsdl", timeout=PATIENCE_S) as answer:
        assert b"ExecuteEndDeviceControls" in answer.read()


TOKENS = "/var/lib/ami/tokens"
CONSOLES = [
    ("cis", "CIS_PORT", "/usage-points"),
    ("hes", "HES_PORT", "/requests"),
    ("meter-1", "METER_SIM_PORT", "/meters"),
    ("meter-2", "METER_SIM_2_PORT", "/meters"),
    ("meters", "METER_SIM_3_PORT", "/meters"),
    ("field", "FIELD_PORT", "/meters"),
]
APIS = ("cis", "hes")


def _asked(compose: Compose, service: str, token: str | None) -> tuple[int, dict[str, object]]:
    """Status and body of the answer to a question that is put to an API from this machine."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    with compose.client(service) as client:
        answer = client.get("/api/v1/clock", headers=headers)
    return answer.status_code, answer.json()


@pytest.mark.parametrize("service", APIS)
def test_an_api_wants_the_token_that_its_process_has_made(each: Compose, service: str) -> None:
    """As docker-each.yml says it is had."""
    tokens = {name: each.run("exec", "-T", name, "cat", TOKENS).stdout.strip() for name in APIS}
    assert len(set(tokens.values())) == 2, "each made its own"
    for wrong in (None, "x" * 43, *(token for name, token in tokens.items() if name != service)):
        status, body = _asked(each, service, wrong)
        assert status == 401 and "token" in str(body["error"])
    status, body = _asked(each, service, tokens[service])
    assert status == 200 and "now" in body
    mode = each.python(service, f"import os, stat; print(oct(stat.S_IMODE(os.stat({TOKENS!r}).st_mode)))").stdout
    assert mode == "0o600\n"
    assert tokens[service] not in each.run("logs", "--no-color", service).stdout


@pytest.mark.parametrize(("service", "port", "first"), CONSOLES)
def test_a_console_is_published_and_asks_for_the_token(compose: Compose, service: str, port: str, first: str) -> None:
    token = compose.run("exec", "-T", service, "cat", TOKENS).stdout.strip()
    with httpx.Client(base_url=f"http://127.0.0.1:{os.environ[port]}", trust_env=False, timeout=PATIENCE_S) as client:
        asked = client.get(first)
        assert (asked.status_code, asked.headers["location"]) == (303, f"/login?next={first}")
        assert client.get("/login").status_code == 200
        assert client.post("/session", json={"token": "x" * 43}).status_code == 401
        assert client.post("/session", json={"token": token}).status_code == 204
        assert client.get("/").headers["location"] == first
        assert client.get(first).status_code == 200
        assert client.get("/api/v1/clock").status_code == 200


def test_the_command_of_the_cis_is_let_in_with_the_token_file(each: Compose) -> None:
    """What it asks for is refused all the same, so that nothing is switched in the middle of a round."""
    send = ("exec", "-T", "cis", "cis", "send", "--code", "3.31.0.23", "--meter", "NOBODY")
    without = each.run(*send, check=False)
    assert without.returncode == 2 and "bearer token" in without.stderr and "is needed" in without.stderr
    refused = each.run(*send, "--token-file", TOKENS, check=False)
    assert refused.returncode != 0 and "token" not in refused.stdout + refused.stderr
    assert "NOBODY" in refused.stdout + refused.stderr


def test_the_cis_is_told_what_happens_to_meters(each: Compose, seen: DemoState) -> None:
    """The HES has it as a subscriber, so that its inbox has something to show."""
    assert seen.summary().cycles >= ROUNDS
    kept = each.run("exec", "-T", "cis", "cis", "events", "--token-file", TOKENS, "--json").stdout
    assert {"M1001", "M1002"} <= {one["meter"] for one in json.loads(kept)["events"]}


def test_the_command_of_the_hes_finds_its_process_in_the_container(each: Compose) -> None:
    listed = ("exec", "-T", "hes", "hes", "meters", "list")
    without = each.run(*listed, check=False)
    assert without.returncode == 2 and "bearer token" in without.stderr and "is needed" in without.stderr
    assert "M1001" in each.run(*listed, "--token-file", TOKENS).stdout


@pytest.mark.parametrize("each", ["open"], indirect=True)
def test_the_capture_holds_both_legs(compose: Compose, seen: DemoState, captures: Path) -> None:
    assert seen.summary().cycles >= ROUNDS
    found = [segment for path in captures.glob("*.pcap") for segment in segments(path)]
    north = [segment for segment in found if 8081 in (segment.source_port, segment.destination_port)]
    asked = b"".join(segment.payload for segment in north if segment.destination_port == 8081)
    answered = b"".join(segment.payload for segment in north if segment.source_port == 8081)
    assert b"POST /cim" in asked
    assert b"EndDeviceControls" in asked
    assert b"3.31.0.23" in asked
    assert b"ResponseMessage" in answered
    south = [segment for segment in found if 4059 in (segment.source_port, segment.destination_port)]
    meters = {compose.address(name, "south") for name in ("meter-1", "meter-2", "meters")}
    assert {segment.destination for segment in south if segment.destination_port == 4059} == meters
    assert len({frame for segment in south for frame in _wrapper_frames(segment)}) > 20


def _wrapper_frames(segment: Segment) -> Iterator[bytes]:
    """The wrapper PDUs of a segment that begins with one; the HES's and the meters' all fit into one segment."""
    octets = segment.payload
    while len(octets) >= 8:
        version, _, _, length = struct.unpack_from("!HHHH", octets)
        assert version == 1, octets.hex()
        yield octets[: 8 + length]
        octets = octets[8 + length :]


def test_state_survives_a_restart_and_a_stop_is_clean(each: Compose, seen: DemoState) -> None:
    assert seen.summary().cycles >= ROUNDS
    each.run("stop", "--timeout", "60", "cis", "meter-1")
    for service in ("cis", "meter-1"):
        state = each.inspect(service)["State"]
        assert (state["ExitCode"], state["OOMKilled"]) == (0, False), service
    each.run("start", "meter-1", "cis")
    last = max(request.sent_at for request in seen.requests.values()).isoformat()
    model = DemoState(meters=NAMES, started_at=datetime.now(UTC))
    watchdog = threading.Timer(PATIENCE_S, each.run, ("stop", "cis", "hes"))
    watchdog.start()
    following = each.events("--since", last, "cis", "hes")
    for service, event in following:
        model.apply(service, event, datetime.now(UTC))
        newest = model.newest_first[0] if model.requests else None
        if newest is not None and newest.fulfilled and len(model.requests) > ROUNDS * 2:
            break
    watchdog.cancel()
    following.close()  # type: ignore[attr-defined]
    assert model.newest_first[0].fulfilled, "the meter's invocation counter was still known, so its keys still work"


def test_no_image_is_larger_than_a_small_one(compose: Compose) -> None:
    base = _size("python:3.13-slim")
    # of these 14 MB are the clients of PostgreSQL and NATS in CIS and HES, 16 MB uvloop in CIS and HES and as many cryptography, which reads certificates, and 70 MB numpy in the simulator
    for image, most_mb in (("ami-cis", 140), ("ami-hes", 140), ("ami-meter-sim", 160)):
        assert (_size(image) - base) / 1e6 < most_mb, image


def _size(image: str) -> int:
    done = subprocess.run(
        ["docker", "image", "inspect", "-f", "{{.Size}}", image], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize(
    ("service", "names"),
    [
        ("cis", []),
        ("meter-1", ["M1001"]),
        ("meter-2", ["M1002"]),
        ("meters", [f"M{number}" for number in range(1003, 1101)]),
        ("hes", [f"M{number}" for number in range(1001, 1101)]),
    ],
)
def test_a_container_holds_its_own_keys_alone(each: Compose, service: str, names: list[str]) -> None:
    code = """if True:
        import json, os, pathlib, tomllib
        files = [one for one in pathlib.Path("/etc/ami").iterdir() if one.name != "principals.toml"]
        meters = [one for file in files for one in tomllib.loads(file.read_text())["meters"]]
        print(json.dumps([meter["name"] for meter in meters if "encryption_key" in meter]))
        print(json.dumps(dict(os.environ)))
        """
    held, environment = each.python(service, code).stdout.splitlines()
    assert json.loads(held) == names
    keys = set(re.findall(r'_key = "([0-9A-Fa-f]{32})"', (ROOT / "config/docker/default/hes.toml").read_text()))
    assert len(keys) > 100
    assert not [key for key in keys if key.lower() in environment.lower()]
    mounts = [one["Destination"] for one in each.inspect(service)["Mounts"] if one["Destination"].endswith(".toml")]
    assert len([one for one in mounts if "principals" not in one]) == 1


@pytest.mark.parametrize("service", [*SERVICES, "capture", "town"])
def test_nobody_takes_the_memory_and_processes_of_the_machine(compose: Compose, service: str) -> None:
    host = compose.inspect(service)["HostConfig"]
    assert 0 < host["Memory"] <= 512 * 2**20
    assert 0 < host["PidsLimit"] <= 128


def test_a_head_end_of_its_own_works_the_published_meters(compose: Compose, tmp_path: Path) -> None:
    """With nothing but the shipment file, at the published port."""
    command = ["meter-sim", "shipment", "--config", "/etc/ami/field.toml", "--address", "127.0.0.1"]
    shipped = json.loads(compose.run("exec", "-T", "field", *command).stdout)["meters"]
    assert len(shipped) == 10 and len({meter["encryption_key"] for meter in shipped}) == 10
    last = shipped[-1]
    assert last["address"] == "127.0.0.1:4109"
    port = compose.run("port", "field", "4109").stdout.strip().rpartition(":")[2]
    path = tmp_path / "field.json"
    path.write_text(json.dumps({"format": 1, "meters": [last | {"address": f"127.0.0.1:{port}"}]}))
    reading = [
        sys.executable,
        "-m",
        "ami_cli",
        "meter",
        "read",
        "0-0:96.1.0",
        "value",
        "--registry",
        str(path),
        "--json",
    ]
    environment = os.environ | {"AMI_METER_COUNTERS": str(tmp_path / "counters.json")}
    done = subprocess.run(reading, capture_output=True, text=True, timeout=PATIENCE_S, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert last["device_id"] in done.stdout


def test_the_container_of_a_prefix_keeps_no_capability(compose: Compose) -> None:
    host = compose.inspect("town")["HostConfig"]
    assert host["Privileged"] is False
    assert {name.removeprefix("CAP_") for name in host["CapAdd"]} == {"NET_ADMIN", "SETUID", "SETGID"}
    status = compose.python("town", "print(open('/proc/1/status').read())").stdout
    of_simulator = dict(
        re.findall(r"^(Uid|Gid|Groups|CapInh|CapPrm|CapEff|CapAmb|NoNewPrivs):\t(.*)$", status, re.MULTILINE)
    )
    ids = {of_simulator.pop(name) for name in ("Uid", "Gid")}
    assert all(set(one.split()) == {"10001"} or "0" not in one.split() for one in ids), ids
    assert of_simulator.pop("Groups").strip() == "" and of_simulator.pop("NoNewPrivs") == "1"
    assert {int(value, 16) for value in of_simulator.values()} == {0}


def test_each_meter_of_a_prefix_has_an_address_that_the_hes_reaches_at_port_4059(compose: Compose) -> None:
    """It is put on their network, imports their shipment file, and reads the first, the last and one between."""
    subprocess.run(
        ["docker", "network", "connect", f"{compose.project}_town", compose.inspect("hes")["Id"]],
        check=True,
        timeout=PATIENCE_S,
    )
    command = ("exec", "-T", "--user", "ami", "town", "meter-sim", "shipment", "--config", "/etc/ami/town.toml")
    shipped = compose.run(*command).stdout
    meters = json.loads(shipped)["meters"]
    chosen = [meters[0], meters[300], meters[-1]]
    assert [one["address"] for one in chosen] == ["10.113.128.1:4059", "10.113.129.45:4059", "10.113.129.244:4059"]
    code = f"open('/tmp/town.json', 'w').write({json.dumps({'format': 1, 'meters': chosen})!r})"
    assert compose.python("hes", code).returncode == 0
    hes = ("exec", "-T", "hes", "hes")
    compose.run(*hes, "meters", "import", "/tmp/town.json", "--token-file", TOKENS)
    names = [one["name"] for one in chosen]
    read = compose.run(*hes, "read", *names, "--type", "1-0:1.8.0", "--json", "--token-file", TOKENS).stdout
    assert all(name in read for name in names), read


def test_a_meter_has_no_way_to_the_cim_port_of_the_hes(each: Compose) -> None:
    places = ("hes", "hes-north", each.address("hes", "south"), each.address("hes", "north"))
    for place in places:
        code = f"import socket; socket.create_connection(({place!r}, 8081), 2)"
        assert each.python("meter-1", code).returncode != 0, place
    dlms = f"import socket; socket.create_connection(({places[2]!r}, 4059), 2).close(); print('connected')"
    assert each.python("meter-1", dlms).stdout == "connected\n", "while it may dial in"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("METERS", "101", "METERS=101: the configuration in config/docker has 1 to 100 meters"),
        ("METERS", "many", "METERS=many: a number is wanted"),
        ("SECURITY", "typo", "does not exist: " + str(ROOT / "config/docker/typo/")),
    ],
)
def test_what_cannot_be_started_says_why_and_ends(
    compose: Compose,
    docker_compose_project_name: str,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    told: str,
) -> None:
    monkeypatch.setenv(name, value)
    for port in ("CIS_PORT", "HES_PORT", "DLMS_PORT", *CONSOLE_PORTS):
        monkeypatch.setenv(port, str(free_port()))
    monkeypatch.setenv("COMPOSE_PROFILES", "")
    other = Compose(f"{docker_compose_project_name}-wrong")
    try:
        done = other.run("up", check=False)
        assert done.returncode != 0
        assert told in done.stdout + done.stderr
    finally:
        other.run("down", "--volumes", "--timeout", "5")

"""Meters by the number: registry entries with identities and keys of their own, the same ones for the same seed.

The keys are for simulated meters only: anyone who knows the seed knows them. Layouts (docs/adr/0004): `ports` gives
every meter a port of one host, `one-address` makes all of them logical devices of one address, distinguished by the server
wrapper port, `docker` is what docker-compose.yml starts: meter-1, meter-2, and `meters` for all others; `scale` is what
docker-compose.scale.yml starts: every second meter is called, the others dial in.
"""

import copy
import hashlib
import uuid
from enum import StrEnum
from typing import Any

from ami_meter_sim.population.topology import Topology

Document = dict[str, Any]
MANUFACTURER = b"AMI"
FIRST_NUMBER = 1000
"""Meter 1 is M1001."""
FIRST_LOGICAL_DEVICE = 0x10
ALL_STATION = 0x7F
OWN_CONTAINERS = 2
DIALS_IN = "dials-in"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - inside a container, whose networks decide who reaches it
NETWORK = Topology(meters_per_transformer=10, transformers_per_feeder=6, feeders_per_substation=5)
"""Of the generated meters: small, so that a hundred of them are on more than one feeder."""
PLACE = ("latitude", "longitude", "main_address")
DEMONSTRATION = "The keys are for demonstration only: anyone who knows the seed knows them."
NO_KEYS = "What the CIS may know: no key is in here."
OWN_KEYS = "What one container of meters may know: its own keys. " + DEMONSTRATION
HEADING = """\
# {count} meters, written by: ami fleet --count {count} --seed {seed} --layout {layout} --base {base}{options}
# {note}

"""


class Layout(StrEnum):
    """How the meters are distinguished on the network."""

    PORTS = "ports"
    ONE_ADDRESS = "one-address"
    DOCKER = "docker"
    SCALE = "scale"


class Share(StrEnum):
    """Whose share of a configuration: in containers, each process has its own and no more."""

    ALL = "all"
    CIS = "cis"
    HES = "hes"
    METER_1 = "meter-1"
    METER_2 = "meter-2"
    METERS = "meters"
    CALLED = "called"
    DIALLING = "dialling"


def meter(number: int, address: str, *, seed: str, server_wport: int = 1) -> Document:
    """One [[meters]] entry of the simulated meter `number` (1 is M1001)."""
    serial, at = FIRST_NUMBER + number, NETWORK.place(number - 1)
    return {
        "name": f"M{serial}",
        "mrid": str(uuid.UUID(bytes=_octets(seed, serial, "mrid"), version=4)),
        "usage_points": [f"UP-{serial}"],
        "latitude": at.latitude,
        "longitude": at.longitude,
        "main_address": at.main_address,
        "address": address,
        "client_wport": 1,
        "server_wport": server_wport,
        "authentication": "hls-gmac",
        "suite": 0,
        "ciphering": "general-glo",
        "encryption_key": _octets(seed, serial, "encryption_key").hex().upper(),
        "authentication_key": _octets(seed, serial, "authentication_key").hex().upper(),
        "system_title": (MANUFACTURER + serial.to_bytes(5, "big")).hex().upper(),
        "logical_device_name": f"AMI{serial:013d}",
        "device_id": str(serial),
        "simulated": {"model": "residential", "control_mode": 4},
    }


def fleet(base: Document, count: int, *, seed: str, layout: Layout, address: str, clear: bool = False) -> Document:
    """`base` with `count` meters: its own first, generated ones after them, all placed by the layout."""
    document = copy.deepcopy(base)
    own = document["meters"][:count]
    made = [meter(number, "", seed=seed) for number in range(len(own) + 1, count + 1)]
    document["meters"] = own + made
    for index, one in enumerate(document["meters"]):
        one["address"], one["server_wport"] = _place(index, layout, address)
        one.get("simulated", {}).pop("listen", None)
        if clear:
            one["authentication"] = "none"
    if layout is Layout.DOCKER:
        _for_containers(document)
    if layout is Layout.SCALE:
        _for_many_processes(document)
    return document


def for_the_cis(document: Document) -> Document:
    """What a CIS needs of it and no more: meters by their CIM names, and not one key."""
    known = ("name", "mrid", "usage_points", *PLACE)
    return {
        "demo": document.get("demo", {}),
        "cis": document["cis"],
        "hes": {key: value for key, value in document["hes"].items() if key == "deadline_s"},
        "meters": [{key: meter[key] for key in known if key in meter} for meter in document["meters"]],
    }


def part(document: Document, whose: Share) -> Document:
    """The share of one container: the CIS gets places and no keys, the HES nothing of the simulation, a simulator only its own meters' keys."""
    if whose is Share.ALL:
        return document
    if whose is Share.CIS:
        return for_the_cis(document)
    if whose is Share.HES:
        meters = [without(one, "simulated", *PLACE) for one in document["meters"]]
        address = {key: document["cis"][key] for key in ("host", "reply_address")}
        return {"cis": address, "hes": document["hes"], "meters": meters}
    at = DIALS_IN if whose is Share.DIALLING else whose
    own = [without(one, *PLACE) for one in document["meters"] if one["address"].partition(":")[0] == at]
    return {"meter_sim": document["meter_sim"], "meters": own}


def without(one: Document, *keys: str) -> Document:
    """An entry of [[meters]] with all but these keys."""
    return {key: value for key, value in one.items() if key not in keys}


def note(whose: Share) -> str:
    """What its heading says about secrets."""
    return {Share.CIS: NO_KEYS, Share.HES: DEMONSTRATION, Share.ALL: DEMONSTRATION}.get(whose, OWN_KEYS)


def _place(index: int, layout: Layout, address: str) -> tuple[str, int]:
    """Address and server wrapper port; in containers, a name that the network of the HES gives."""
    host, _, port = address.rpartition(":")
    if layout is Layout.PORTS:
        return f"{host}:{int(port) + index}", 1
    if layout is Layout.ONE_ADDRESS:
        return address, logical_device(index)
    if layout is Layout.SCALE:
        return (DIALS_IN, 1) if index % 2 else ("called:4059", logical_device(index // 2))
    if index < OWN_CONTAINERS:
        return f"meter-{index + 1}:4059", 1
    return "meters:4059", logical_device(index - OWN_CONTAINERS)


def logical_device(index: int) -> int:
    """Server wrapper port of the logical device `index`: 16 and up, without the all-station address 127."""
    wport = FIRST_LOGICAL_DEVICE + index
    return wport if wport < ALL_STATION else wport + 1


def _for_containers(document: Document) -> None:
    """CIM is served on the network of the CIS alone, DLMS on that of the HES: docker-compose.yml gives names such as hes-north and meter-1-south there."""
    document["cis"] |= {
        "host": EVERYWHERE,
        "hes_url": "http://hes:8081",
        "reply_address": "http://cis:8080/cim",
        "store": "/var/lib/ami/cis.sqlite",
    }
    document["hes"] |= {"host": "hes-north", "dlms_host": EVERYWHERE, "store": "/var/lib/ami/hes.sqlite"}
    document["meter_sim"] |= {"state": "/var/lib/ami/meters"}
    for one in document["meters"]:
        if "simulated" in one:
            host, _, port = one["address"].partition(":")
            one["simulated"]["listen"] = f"{host}-south:{port}"


def _for_many_processes(document: Document) -> None:
    """One configuration for all processes of the HES, whose keys and passwords are files of docker/scale_keys.py; what differs between roles is in their environment."""
    keys = "file:/keys"
    document["cis"] |= {
        "host": EVERYWHERE,
        "hes_url": "http://hes:8081",
        "reply_address": "http://cis:8080/cim",
        "store": "postgresql://ami_cis@postgresql/ami_cis",
        "store_password": f"{keys}/cis-database",
    }
    document["hes"] |= {
        "host": EVERYWHERE,
        "dlms_host": EVERYWHERE,
        "max_callers_per_address": 64,  # all come from the one balancer
        "store": "postgresql://ami_hes@postgresql/ami_hes",
        "store_password": f"{keys}/hes-database",
        "master_key": f"{keys}/master-key",
        "engine": "nats://ami_hes@nats:4222/hes",
        "engine_password": f"{keys}/nats",
        "principals": "/keys/principals.toml",
        "token_file": "/keys/tokens",
    }
    document["meter_sim"] |= {"state": "/var/lib/ami/meters"}
    for one in document["meters"]:
        one["simulated"] |= {"dial_to": "dlms:4059"} if one["address"] == DIALS_IN else {"listen": "called-south:4059"}


def _octets(seed: str, serial: int, what: str) -> bytes:
    return hashlib.sha256(f"{seed}/{serial}/{what}".encode()).digest()[:16]

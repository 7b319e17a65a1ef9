"""All simulated meters of the matrix, one for each row, in one real process; every one has its port and its transport."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomli_w
from agreed import CLIENT_WPORT, KEYS, PASSWORD
from free_ports import free_port
from loopback import SERVER_WPORT
from matrix import GMAC, HDLC, METER, UDP, WRAPPER, Row

AUTHENTICATIONS = {"none": "none", "LLS": "lls", GMAC: "hls-gmac"}
TRANSPORTS: Mapping[str, dict[str, Any]] = {WRAPPER: {}, UDP: {"transport": "udp"}, HDLC: {"transport": "hdlc"}}


@contextmanager
def simulated_meters(rows: Iterable[Row]) -> Iterator[Mapping[Row, int]]:
    """`python -m ami_meter_sim` with a meter for each row of it; the port of each."""
    ports = {row: free_port() for row in rows if row.ours == METER}
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "meters.toml"
        config.write_text(tomli_w.dumps(configuration(ports, Path(directory))))
        command = [sys.executable, "-m", "ami_meter_sim", "serve", "--config", str(config)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            assert process.stdout is not None
            ready = process.stdout.readline()
            drain = threading.Thread(target=process.stdout.read)  # what it says later must not fill the pipe
            try:
                assert b'"ready"' in ready, (ready + process.stdout.read()).decode()
                assert len(json.loads(ready)["listen"]) == len(ports)
                drain.start()
                yield ports
            finally:
                process.terminate()
                if drain.is_alive():
                    drain.join()


def configuration(ports: Mapping[Row, int], directory: Path) -> dict[str, Any]:
    return {
        "meter_sim": {"state": str(directory / "state")},
        "meters": [entry(row, number, port) for number, (row, port) in enumerate(ports.items(), 1001)],
    }


def entry(row: Row, number: int, port: int) -> dict[str, Any]:
    meter: dict[str, Any] = {
        "name": f"M{number}",
        "address": f"127.0.0.1:{port}",
        "client_wport": CLIENT_WPORT,
        "server_wport": SERVER_WPORT,
        "authentication": AUTHENTICATIONS[row.mechanism],
        "secret": PASSWORD.hex(),
        "ciphering": "none" if row.policy == "none" else "general-glo",
        "system_title": (b"AMI" + number.to_bytes(5)).hex(),
        "logical_device_name": f"AMI{number:013}",
        "device_id": str(number),
        "simulated": {"control_mode": 4, "model": row.model},
    }
    if row.policy != "none":
        meter |= {"encryption_key": KEYS.encryption_key.hex(), "authentication_key": KEYS.authentication_key.hex()}
    return meter | TRANSPORTS[row.framing]

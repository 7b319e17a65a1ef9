"""`ami watch` beside real processes over mutual TLS: the CIS, the head-end and a meter, and somebody else who orders something."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from harness import System
from patience import PATIENCE_S

from ami_cli import configuration, demo_tls

pytestmark = pytest.mark.ci


def test_what_the_cis_sends_and_is_told_is_seen_over_mutual_tls(ami: System) -> None:
    """The configuration is what a demo with TLS writes: the CIS is a subscriber of the HES."""
    ami.config = demo_tls.secured(configuration.subscribed(ami.config), datetime.now(UTC))
    [subscriber] = ami.config["hes"]["subscribers"]
    assert subscriber["url"] == f"https://127.0.0.1:{ami.config['cis']['port']}/cim"
    ami.config["demo"] |= {"period_s": 0.5, "connect_after_s": 0.2}
    ami.start_together()
    pki = Path(ami.config["cis"]["tls"]["certificate"]).parent
    urls = {name: f"https://127.0.0.1:{ami.config[name]['port']}" for name in ("hes", "cis")}
    files = ("--ca", pki / "ca.pem", "--certificate", pki / "cis.pem", "--key", pki / "cis.key")
    command = [sys.executable, "-m", "ami_cli", "watch", urls["hes"], "--cis", urls["cis"], *map(str, files)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AMI_")}
    with subprocess.Popen([*command, "--octets"], stdout=subprocess.PIPE, text=True, env=environment) as watch:
        try:
            assert watch.stdout is not None
            assert watch.stdout.readline() == f"HES {urls['hes']}: connected\n"
            ami.start_cis().wait_for("event_received")
            wanted = {"reply taken", "disconnect_control 0-0:96.3.10*255 remote_disconnect (class 70", "told of M1001"}
            seen = ""
            while not all(one in seen for one in wanted):
                seen += watch.stdout.readline()
            watch.send_signal(signal.SIGINT)
            assert watch.wait(PATIENCE_S) == 0
        finally:
            watch.kill()
    keys = {meter[key] for meter in ami.config["meters"] for key in ("encryption_key", "authentication_key")}
    assert not any(key.lower() in seen.lower() for key in keys)

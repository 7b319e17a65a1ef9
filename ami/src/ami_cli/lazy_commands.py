"""Sub-commands whose modules are imported only when they are called or listed: `ami demo` should start at once."""

from functools import partial
from importlib import import_module

import typer

MODULES = {
    "meter": "ami_cli.meter.cli",
    "sample": "ami_cli.sample",
    "settings": "ami_cli.settings_page",
    "events": "ami_cli.events_page",
    "models": "ami_cli.models_page",
    "map": "ami_cli.mapping",
    "audit": "ami_cli.audit",
    "cim": "ami_cli.cim.cli",
    "decode": "ami_cli.decode.cli",
    "encode": "ami_cli.decode.encode",
    "trace": "ami_cli.trace.cli",
    "watch": "ami_cli.watch.cli",
    "wireshark": "ami_cli.wireshark.cli",
    "bench-dlms": "ami_cli.bench_dlms.cli",
    "bench-fleet": "ami_cli.bench_fleet.cli",
    "bench-readings": "ami_cli.bench_readings.cli",
    "bench-commissioning": "ami_cli.bench_commissioning",
    "bench-traces": "ami_cli.bench_traces",
    "bench-security": "ami_cli.bench_security",
    "pki": "ami_process.pki_command",
    "bench-outage": "ami_cli.bench_outage.cli",
}
"""Name of the sub-command -> the module whose `app` it is."""


def _app_of(module: str) -> typer.Typer:
    app: typer.Typer = import_module(module).app
    return app


LAZY_COMMANDS = {name: partial(_app_of, module) for name, module in MODULES.items()}

"""Sub-commands with much behind them, loaded only when they are called or listed: `ami demo` should start at once."""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

LATER = {
    "meter": "ami_cli.meter.cli",
    "sample": "ami_cli.sample",
    "settings": "ami_cli.settings_page",
    "events": "ami_cli.events_page",
    "models": "ami_cli.models_page",
    "map": "ami_cli.mapping",
    "decode": "ami_cli.decode.cli",
    "encode": "ami_cli.decode.encode",
    "bench-dlms": "ami_cli.bench_dlms.cli",
    "bench-fleet": "ami_cli.bench_fleet.cli",
}
"""Name of the sub-command -> the module whose `app` it is."""


class LaterGroup(TyperGroup):
    """A group that knows the names in `LATER` besides its own commands; typer does not export its types of these."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *LATER]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in LATER:
            return super().get_command(ctx, cmd_name)
        app: typer.Typer = import_module(LATER[cmd_name]).app
        return typer.main.get_command(app)

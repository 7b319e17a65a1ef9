"""Serving the API and the console of the process that plays the meters, at a socket of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from ami_console import Console, Live, Sessions, reporting
from ami_meter_sim.admin.changes import Changes
from ami_meter_sim.admin.routes import application
from ami_meter_sim.console import SITE
from ami_meter_sim.control import FleetControl
from ami_meter_sim.fleet import Fleet
from ami_meter_sim.scenarios.runner import Runner
from ami_meter_sim.settings import MeterSimSettings
from ami_meter_sim.snapshots import Snapshots
from ami_meter_sim.tap import Tap
from ami_process.api import guarded
from ami_process.http_server import serving
from ami_process.sockets import address_of, listening
from ami_process.tokens import Tokens

HOST = "meter_sim.host"


@asynccontextmanager
async def serving_api(settings: MeterSimSettings, port: int, fleet: Fleet, tap: Tap) -> AsyncIterator[str]:
    """Serve it at `meter_sim.host` and this port; gives the address. Raises CannotListen, SettingsError."""
    with listening(settings.host, port, "meter_sim.") as listener:
        tokens = Tokens.of(settings.token_file, "meter_sim.token_file", bound_to=listener.getsockname()[0])
        control = FleetControl(fleet)
        runner = Runner(control, tap)
        sessions = Sessions(tokens, "meter_sim", fleet.environment.random_bytes, told=reporting(fleet.environment.emit))
        console = Console(SITE, sessions, names=(settings.host,), names_setting=HOST)
        with tap.watch() as reader:
            async with Live.opened(Changes(control, runner, reader).take) as live:
                app = application(
                    control, runner, Snapshots(fleet), tap, live, version("ami-meter-sim"), settings.consoles
                )
                admits = sessions.principal_of
                api = guarded(app, tokens, names=(settings.host,), names_setting=HOST, bounded=True, admits=admits)
                async with serving(console.before(api), listener):
                    try:
                        yield address_of(listener)
                    finally:
                        live.close()
                        tap.end()
                        await runner.stop()
                        await control.end()

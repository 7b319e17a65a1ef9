"""The API of the process that plays the meters: its clock."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ami_meter_sim.settings import MeterSimSettings
from ami_process.api import create_api
from ami_process.clock_api import clock_routes
from ami_process.environment import Environment
from ami_process.http_server import serving
from ami_process.sockets import address_of, listening
from ami_process.tokens import Tokens


@asynccontextmanager
async def serving_api(settings: MeterSimSettings, port: int, environment: Environment) -> AsyncIterator[str]:
    """Serve it at `meter_sim.host` and this port; gives the address. Raises CannotListen, SettingsError."""
    with listening(settings.host, port, "meter_sim.") as listener:
        tokens = Tokens.of(settings.token_file, "meter_sim.token_file", bound_to=listener.getsockname()[0])
        api = create_api(
            clock_routes(environment.clock), tokens, names=(settings.host,), names_setting="meter_sim.host"
        )
        async with serving(api, listener):
            yield address_of(listener)

"""`cis store`: what is done with the store while the process does not run: copies and upgrades."""

from pathlib import Path

from ami_cis.settings import Settings
from ami_cis.store import SCHEMA
from ami_process.store.commands import store_commands
from ami_process.store.places import Place, place_of


def _store_in(config: Path) -> Place:
    cis = Settings.load(config).cis
    return place_of(cis.store, cis.store_password, "cis.store")


store = store_commands(SCHEMA, _store_in)

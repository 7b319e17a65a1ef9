import sys
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import pytest
from engines import ENGINES, OpenEngine
from nats_engine import AllHere, by_nats

from ami_hes.engine.nats_link import NatsAddress
from ami_process.store.places import Place


@pytest.fixture(
    params=[
        *ENGINES,
        pytest.param("nats", marks=pytest.mark.needs("nats")),
        pytest.param("nats, dialled in", marks=[pytest.mark.needs("nats"), pytest.mark.ci]),
    ]
)
def open_engine(request: pytest.FixtureRequest, place: Place) -> OpenEngine:
    """Each engine in turn, on each kind of store; that over NATS for meters that are called and for those that dial in."""
    if request.param.startswith("nats"):
        broker, connections = request.getfixturevalue("nats"), None if request.param == "nats" else AllHere()
        address = NatsAddress((broker.server,), broker.new_system())
        return partial(by_nats, place, address, connections=connections)
    return partial(ENGINES[request.param], place)


@pytest.fixture
def events() -> list[Any]:
    """What an HES that is given this list reports, as it is read."""
    return []

import sys
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import pytest
from engines import ENGINES, OpenEngine

from ami_process.store.places import Place


@pytest.fixture(params=ENGINES)
def open_engine(request: pytest.FixtureRequest, place: Place) -> OpenEngine:
    """Each engine in turn, on each kind of store."""
    return partial(ENGINES[request.param], place)


@pytest.fixture
def events() -> list[Any]:
    """What an HES that is given this list reports, as it is read."""
    return []

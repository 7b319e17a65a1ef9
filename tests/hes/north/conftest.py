import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import pytest
from engines import ENGINES, OpenEngine


@pytest.fixture(params=ENGINES)
def open_engine(request: pytest.FixtureRequest) -> OpenEngine:
    """Each engine in turn."""
    return ENGINES[request.param]


@pytest.fixture
def events() -> list[Any]:
    """What an HES that is given this list reports, as it is read."""
    return []

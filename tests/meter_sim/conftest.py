from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def stores_are_closed() -> Iterator[None]:
    """Those that benches have opened."""
    yield
    bench = sys.modules.get("bench")
    if bench is not None:
        bench.all_die()

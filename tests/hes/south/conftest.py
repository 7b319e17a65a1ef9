from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from small_meter import South, south


@pytest.fixture
def events() -> list[dict[str, Any]]:
    """The events that the code under test tells, in order."""
    return []


@pytest.fixture
async def ami(events: list[dict[str, Any]], tmp_path: Path) -> AsyncIterator[South]:
    async with south(events, tmp_path) as one:
        yield one

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cis_stand_in import StandInHes, standing_in


@pytest.fixture
async def hes() -> AsyncIterator[StandInHes]:
    async with standing_in() as one:
        yield one

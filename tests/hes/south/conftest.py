from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
from structlog.typing import EventDict

sys.path.insert(0, str(Path(__file__).parent))

from small_meter import South, south


@pytest.fixture
def events() -> list[EventDict]:
    """The events that the code under test tells, in order."""
    return []


@pytest.fixture(autouse=True)
def _captured(events: list[EventDict]) -> object:
    def keep(_: object, level: str, event: EventDict) -> EventDict:
        events.append(event | {"level": level})
        raise structlog.DropEvent

    structlog.configure(processors=[keep], cache_logger_on_first_use=False)
    yield
    structlog.reset_defaults()


@pytest.fixture
async def ami(events: list[EventDict], tmp_path: Path) -> AsyncIterator[South]:
    async with south(events, tmp_path) as one:
        yield one

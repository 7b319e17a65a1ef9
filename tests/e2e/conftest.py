from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import System, system


@pytest.fixture
def ami(tmp_path: Path) -> Iterator[System]:
    with system(tmp_path) as one:
        yield one

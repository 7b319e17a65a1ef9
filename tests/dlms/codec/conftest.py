"""Vectors by their id, and what every decoder owes to wrong octets."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ami_dlms.errors import DecodeError

sys.path.insert(0, str(Path(__file__).parent))
VECTORS = Path(__file__).parents[2] / "vectors" / "apdus.json"


@pytest.fixture(scope="session")
def vectors() -> dict[str, bytes]:
    return {row["id"]: bytes.fromhex(row["hex"]) for row in json.loads(VECTORS.read_text())}


@pytest.fixture(scope="session")
def decodes_or_refuses() -> Callable[[Callable[[bytes], Any], bytes], Any]:
    """Runs a decoder: its value, or None when it raised DecodeError; everything else fails the test."""

    def run(decoder: Callable[[bytes], Any], octets: bytes) -> Any:
        try:
            return decoder(octets)
        except DecodeError as error:
            assert str(error)
            return None

    return run

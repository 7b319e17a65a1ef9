"""Lets the tests of this folder import each other's helpers and `in_memory`, the two joined ends of an association."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "association"))

"""Lets the tests of this folder import `recorded_traffic`, and that one `in_memory`, the two joined ends of an association."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "dlms" / "association")]

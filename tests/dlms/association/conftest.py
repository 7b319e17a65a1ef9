"""Lets the tests of this folder import `in_memory`, the two joined ends, and `every_apdu`, what may be sent to them."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "codec")]

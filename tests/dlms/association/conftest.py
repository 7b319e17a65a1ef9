"""Lets the tests of this folder import `in_memory`, the two joined ends."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

"""Lets the tests of this folder import `recorded_traffic`, and of those of DLMS `in_memory` and `any_apdu`."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), *(str(HERE.parent / "dlms" / name) for name in ("association", "explain"))]

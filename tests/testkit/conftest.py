"""What modules of this folder share is found by its name, as in the other folders."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

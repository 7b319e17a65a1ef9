import sys
from pathlib import Path

for directory in ("north", "south", "second_noun"):
    sys.path.insert(0, str(Path(__file__).parents[1] / directory))
